import type { Action, Decision } from './access.ts';
import type { Identity, Subject } from './subject.ts';

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
  /** The common name of the certificate that the client has proved to have, one of `http.tls.clientcas`. */
  readonly certificate: string | undefined;
}

/** What is asked for: by the name that decides, and as the client spelt it, which is what tokens are issued for. */
export interface Named {
  /** `registry/repository`. */
  readonly holder: string;
  /** Of the path: `library/ubuntu` in `/v2/library/ubuntu/manifests/latest`. */
  readonly spelt: string;
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
  /** As {@link permit}, for what stands in lists and beside names: yes or no. */
  may(identity: Identity, action: Action, named: Named): boolean;
  /** For `check --as` and `explain --as`. */
  explain(subject: Subject, action: Action, holder: string): Decision;
  /** `GET` and `POST /token`; `undefined` where another server issues tokens, or nobody does. */
  readonly token: TokenEndpoint | undefined;
}

/** One question to the token endpoint (distribution, "Token Authentication Specification" and its OAuth2 form). */
export interface TokenQuestion extends Asking {
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
