import type { RegistryError } from '../oci/errors.ts';
import { noSuchName } from '../oci/no-such-name.ts';
import type { Access, Action } from './access.ts';
import type { ChallengeKind } from './challenge.ts';
import type { ReportAuth } from './events.ts';
import { createIdentify, type Ways } from './identify.ts';
import { createPermit, whoFor, isWithinScope } from './permit.ts';
import type { Identity } from './subject.ts';

/** What a request shows of who sends it. */
export interface Asking {
  /** The field `Authorization`, as it stood. */
  readonly authorization: string | undefined;
  /** The field `Host`, as it stood. */
  readonly host: string | undefined;
  /** By which clients reach us: `https://mirror.example.test`; `undefined` where the Host is no address. */
  readonly publicUrl: string | undefined;
  /** The client's address. */
  readonly client: string;
  readonly requestId: string;
  /** The common name of the certificate that the client has proved to have, one of `http.tls.clientcas`. */
  readonly certificate: string | undefined;
  /** Whether credentials that nobody knows here are passed on, for what is asked for: it is shown by them (`passthrough`). */
  readonly passesOn: () => boolean;
}

/** What is asked for: by the name that decides, and as the client spelt it, which is what tokens are issued for. */
export interface Named {
  /** `registry/repository`. */
  readonly holder: string;
  /** Of the path: `library/ubuntu` in `/v2/library/ubuntu/manifests/latest`. */
  readonly spelt: string;
  /** `?ns=`, where it decided what `spelt` means. */
  readonly ns?: string | undefined;
  /** The tag or digest, for whoever reads of a refusal; it decides nothing. */
  readonly reference?: string | undefined;
}

/** Who are you, may you: all that the edge asks this room. Refusals are thrown as RegistryError. */
export interface Auth {
  /**
   * Who sends it. 401 with the Host's challenge where nobody can tell, or the secret is wrong; 429 where too many were wrong.
   * Where nothing is challenged: nobody, whatever was sent.
   */
  identify(asking: Asking): Promise<Identity>;
  /**
   * May they? 404, the same as for a name that is not there, where somebody who is signed in may not; 401 where nobody has
   * said who they are, or the token is for something else. Before any look-up.
   */
  permit(asking: Asking, identity: Identity, action: Action, named: Named): void;
  /** 401 with the Host's challenge, for what an upstream shows to those whom it knows; 404 where nobody is asked who they are. */
  askWho(asking: Asking, named: Named, message: string): RegistryError;
  /** As {@link permit}, for what stands beside a name: yes or no. */
  may(identity: Identity, action: Action, named: Named): boolean;
  /** 401 where a token is not for what lists all repositories. What stands in such a list, {@link sees} says. */
  permitList(asking: Asking, identity: Identity): void;
  /** Whether somebody may pull it, as the rules say; for lists. */
  sees(identity: Identity, holder: string): boolean;
  /** `GET` and `POST /token`; `undefined` where another server issues tokens, or nobody does. */
  readonly token: TokenEndpoint | undefined;
}

/** One question to the token endpoint (distribution, "Token Authentication Specification" and its OAuth2 form). */
export interface TokenQuestion extends Omit<Asking, 'passesOn'> {
  /** Of the URL for a GET, of the form for a POST. */
  readonly parameters: URLSearchParams;
  readonly method: 'GET' | 'POST';
}

export interface TokenAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;
}

export type TokenEndpoint = (question: TokenQuestion) => Promise<TokenAnswer>;

export interface AuthOptions {
  readonly access: Access;
  /** How clients are told to sign in; `undefined`: nobody is asked who they are. */
  readonly challenge: ChallengeKind | undefined;
  readonly ways: Ways;
  /** Hosts, lower-case, with or without a port, on which nobody is asked either (`names.open`). */
  readonly openHosts: readonly string[];
  readonly token: TokenEndpoint | undefined;
  readonly report: ReportAuth;
}

/** What clients are told where there is no `auth`, and a repository is shown by credentials of its upstream. */
const ELSEWHERE: ChallengeKind = { kind: 'basic', realm: 'upstream' };

export function createAuth(options: AuthOptions): Auth {
  const { access, token } = options;
  const open = new Set(options.openHosts);
  // As the Host stands, then without its port: as `names.hosts` is read.
  const isOpenHost = (host: string | undefined): boolean =>
    host !== undefined && open.size > 0 && (open.has(host.toLowerCase()) || open.has(host.toLowerCase().replace(/:\d+$/, '')));
  const challengeOf = (host: string | undefined): ChallengeKind | undefined =>
    isOpenHost(host) ? undefined : options.challenge;
  return {
    identify: createIdentify({ ...options, challengeOf }),
    ...createPermit({ ...options, challengeOf }),
    // Where nobody signs in here, they still do so elsewhere.
    askWho: (asking, named, message) =>
      isOpenHost(asking.host)
        ? noSuchName(named.holder)
        : whoFor(challengeOf(asking.host) ?? ELSEWHERE, asking, named, message),
    may: (identity, action, named) =>
      access.decide(identity.subject, action, named.holder).allowed && isWithinScope(identity, action, named),
    sees: ({ subject }, holder) => access.decide(subject, 'pull', holder).allowed,
    token,
  };
}
