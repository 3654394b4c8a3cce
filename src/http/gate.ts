import type { Action } from '../auth/access.ts';
import type { Asking, Auth } from '../auth/auth.ts';
import { referenceText } from '../oci/reference.ts';
import type { PushName } from '../push/push.ts';
import type { ShowName } from '../pull/lists.ts';
import type { Target } from '../pull/name.ts';
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
}

/** Who are you, may you: what every route but the open ones asks before it looks at anything. Each throws RegistryError. */
export interface Gate {
  /** Whether this address may ask for anything now; asked for open routes too, but not for probes. */
  admit(exchange: Exchange): Promise<void>;
  /** Who asks, noted with the exchange; and whether they may ask for more now. */
  enter(exchange: Exchange): Promise<void>;
  permit(exchange: Exchange, action: Action, target: Guarded): void;
  /** For what lists all repositories. */
  permitList(exchange: Exchange): void;
  /** Only what this client may pull is shown to it. */
  shown(exchange: Exchange, show: ShowName): ShowName;
  /** Whether another repository than the one that is asked for may be read besides: yes or no. */
  mayPull(exchange: Exchange, name: PushName): boolean;
  /** The same of one that nobody named; `spelt`: as this client would. */
  mayPullHeld(exchange: Exchange, holder: string, spelt: string): boolean;
}

/** A target that names a repository. */
export type Guarded = Extract<Target, { readonly name: unknown }>;

export function createGate({ auth, limits, addresses, publicUrl, pathPrefix }: GateOptions): Gate {
  const asking = (exchange: Exchange): Asking => (exchange.asking ??= askingOf(exchange, addresses, publicUrl));
  const named = ({ registry, repository, base }: PushName) => ({
    holder: `${registry}/${repository}`,
    spelt: base.slice(base.indexOf('/v2/', pathPrefix.length) + 4),
  });
  return {
    admit: (exchange) => limits.address(exchange),
    async enter(exchange) {
      exchange.identity = await auth.identify(asking(exchange));
      await limits.subject(exchange);
    },
    permit(exchange, action, target) {
      auth.permit(asking(exchange), exchange.identity, action, { ...named(target.name), reference: referenceOf(target) });
    },
    permitList: (exchange) => auth.permitList(asking(exchange), exchange.identity),
    shown: (exchange, show) => (holder) => (auth.sees(exchange.identity, holder) ? show(holder) : undefined),
    mayPull: (exchange, name) => auth.may(exchange.identity, 'pull', named(name)),
    mayPullHeld: (exchange, holder, spelt) => auth.may(exchange.identity, 'pull', { holder, spelt }),
  };
}

function referenceOf(target: Guarded): string | undefined {
  return 'reference' in target ? referenceText(target.reference) : 'digest' in target ? target.digest : undefined;
}

/** What a request shows of who sends it. */
export function askingOf(
  { incoming, client, certificate, requestId }: Exchange,
  addresses: ClientAddresses,
  publicUrl: string | undefined,
): Asking {
  const { authorization, host } = incoming.headers;
  return { authorization, host, publicUrl: publicAddress(incoming, publicUrl, addresses), client, certificate, requestId };
}
