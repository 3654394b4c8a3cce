import type { Action } from '../auth/access.ts';
import type { Asking, Auth } from '../auth/auth.ts';
import { RegistryError } from '../oci/errors.ts';
import { referenceText } from '../oci/reference.ts';
import type { PushName } from '../push/push.ts';
import type { ShowName } from '../pull/lists.ts';
import type { NameParser, Target } from '../pull/name.ts';
import type { Client } from '../pull/pull.ts';
import type { ClientAddresses } from './client-address.ts';
import type { Exchange } from './exchange.ts';
import type { Limits } from './limits.ts';
import { publicAddress } from './public-address.ts';

export interface GateOptions {
  readonly auth: Auth;
  readonly limits: Limits;
  readonly addresses: ClientAddresses;
  /** `http.host`. */
  readonly publicUrl: string | undefined;
  /** `http.prefix` without its last slash. */
  readonly pathPrefix: string;
  /** Whether clients' own credentials decide who may read `registry/repository` (`passthrough`). */
  readonly passesOn: (holder: string) => boolean;
  readonly parseName: NameParser;
}

/** Who are you, may you: what every route but the open ones asks before it looks at anything. Each throws RegistryError. */
export interface Gate {
  /** Whether this address may ask for anything now; asked for open routes too, but not for probes. */
  admit(exchange: Exchange): Promise<void>;
  /** Who asks, noted with the exchange; and whether they may ask for more now. */
  enter(exchange: Exchange): Promise<void>;
  permit(exchange: Exchange, action: Action, target: Guarded): void;
  /** What the client's credentials are for an upstream to judge; `undefined`: it showed none, or none for that registry. */
  clientOf(exchange: Exchange, target: Guarded): Client | undefined;
  /** What an upstream does not show, as this Host asks for credentials; any other error as it is. */
  refusal(exchange: Exchange, target: Guarded, error: unknown): unknown;
  /** For what lists all repositories. */
  permitList(exchange: Exchange): void;
  /** Only what this client may pull is shown to it: not what only an upstream could say. */
  shown(exchange: Exchange, show: ShowName): ShowName;
  /** Whether another repository than the one that is asked for may be read besides: yes or no. None that only an upstream shows. */
  mayPull(exchange: Exchange, name: PushName): boolean;
  /** The same of one that nobody named; `spelt`: as this client would. */
  mayPullHeld(exchange: Exchange, holder: string, spelt: string): boolean;
}

/** A target that names a repository. */
export type Guarded = Extract<Target, { readonly name: unknown }>;

export function createGate(options: GateOptions): Gate {
  const { auth, limits, addresses, publicUrl, pathPrefix, passesOn } = options;
  const asking = (exchange: Exchange): Asking =>
    (exchange.asking ??= { ...senderOf(exchange, addresses, publicUrl), passesOn: () => passesOnFor(exchange, options) });
  const named = ({ registry, repository, base, ns }: PushName) => ({
    holder: `${registry}/${repository}`,
    spelt: base.slice(base.indexOf('/v2/', pathPrefix.length) + 4),
    ns,
  });
  return {
    admit: (exchange) => limits.address(exchange),
    async enter(exchange) {
      exchange.identity = await auth.identify(asking(exchange));
      // A proxy before us that keeps answers would give them to the next one (reliability.md, S28).
      if (!isNobody(exchange)) exchange.commonHeaders['cache-control'] = 'private';
      await limits.subject(exchange);
    },
    permit(exchange, action, target) {
      auth.permit(asking(exchange), exchange.identity, action, { ...named(target.name), reference: referenceOf(target) });
    },
    permitList: (exchange) => auth.permitList(asking(exchange), exchange.identity),
    clientOf({ identity: { credentials }, client }, { name }) {
      if (credentials === undefined || credentials.registries?.includes(name.registry) === false) return undefined;
      return { username: credentials.username, password: credentials.password, address: client };
    },
    refusal(exchange, target, error) {
      const asksWho = error instanceof RegistryError && error.code === 'UNAUTHORIZED';
      return asksWho ? auth.askWho(asking(exchange), named(target.name), error.message) : error;
    },
    shown: (exchange, show) =>
      Object.assign(
        (holder: string) => (auth.sees(exchange.identity, holder) && !passesOn(holder) ? show(holder) : undefined),
        { home: show.home },
      ),
    mayPull: (exchange, name) => !passesOn(holderOf(name)) && auth.may(exchange.identity, 'pull', named(name)),
    mayPullHeld: (exchange, holder, spelt) => !passesOn(holder) && auth.may(exchange.identity, 'pull', { holder, spelt }),
  };
}

function referenceOf(target: Guarded): string | undefined {
  return 'reference' in target ? referenceText(target.reference) : 'digest' in target ? target.digest : undefined;
}

/** Who has shown a certificate, a password or a token; also one that only an upstream can judge. */
function isNobody({ identity: { subject, credentials } }: Exchange): boolean {
  return subject.kind === 'anyone' && credentials === undefined;
}

function holderOf({ registry, repository }: Pick<PushName, 'registry' | 'repository'>): string {
  return `${registry}/${repository}`;
}

/** What a request shows of who sends it, whatever it asks for. */
export function senderOf(
  { incoming, client, certificate, requestId }: Exchange,
  addresses: ClientAddresses,
  publicUrl: string | undefined,
): Omit<Asking, 'passesOn'> {
  const { authorization, host } = incoming.headers;
  return { authorization, host, publicUrl: publicAddress(incoming, publicUrl, addresses), client, certificate, requestId };
}

/** What cannot be read is told so once it is known who asks. */
function passesOnFor({ target, incoming }: Exchange, { parseName, passesOn }: GateOptions): boolean {
  try {
    const parsed = parseName(target, incoming.headers.host);
    return 'name' in parsed && passesOn(holderOf(parsed.name));
  } catch (error) {
    if (error instanceof RegistryError) return false;
    throw error;
  }
}
