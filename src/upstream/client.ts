import { repositoryAt } from './address.ts';
import { createAsClient } from './as-client.ts';
import { askAs } from './ask-as.ts';
import { budgetOf, createFaces, leftOf } from './face.ts';
import { addressOf, DEFAULTS, paysOnly, type UpstreamDeps, type UpstreamOptions } from './options.ts';
import { createShared } from './shared.ts';
import type { ClientCredentials, Upstream } from './upstream.ts';
import { createProcessMemory, memoryOf, withQuota } from './with-quota.ts';

export type { UpstreamDeps, UpstreamOptions } from './options.ts';

/** An upstream with a second face. */
export interface RegistryUpstream extends Upstream {
  /**
   * The same upstream without credentials, to stand at the end of a chain (contract, "Our own credentials refused"). While
   * the credentials are not known to be refused it answers `absent` without asking, which changes nothing behind the
   * upstream itself. `undefined` where there are no credentials, or they unlock (`use: all`).
   */
  withoutCredentials(): Upstream | undefined;
  /** The same upstream asked with a client's own credentials (`passthrough`). `denied`: it refuses them. */
  as(client: ClientCredentials): Upstream;
}

/** Opens nothing until it is asked. */
export function createUpstream(options: UpstreamOptions, deps: UpstreamDeps): RegistryUpstream {
  const { name, url, proofMs = DEFAULTS.proofMs } = options;
  const { clock } = deps;
  // The name may be given to another address, of which nothing is known then: neither who may read there, nor what is spent.
  const memory = memoryOf(`${url.href} ${options.path ?? ''}`, deps.memory ?? createProcessMemory());
  const shared = createShared(options, deps);
  const { transport, explaining, slots, breaker, latency } = shared;
  const { account, address, shown } = createFaces(options, deps, shared, memory);
  const { signIn } = account;
  const signed = askAs(account, options, shared);
  const anonymous = askAs(address, options, shared);
  const asClient = createAsClient(options, shared);
  const upstream: Upstream = {
    name,
    ask: paysOnly(options) ? withQuota({ signed, anonymous, clock, memory, proofMs }) : signed,
    status: () => ({
      name,
      url: shownUrl(url),
      up: breaker.isClosed(),
      latencyMs: latency.average(),
      credentialsValid: signIn.valid(),
      lastError: explaining.lastError(),
      ...budgetOf(shown()),
      running: slots.running(),
    }),
    standing: () => ({
      up: breaker.isOffered(),
      latencyMs: latency.average(),
      usualMs: latency.usual(),
      busy: slots.busy(),
      budget: leftOf(shown()),
    }),
    close() {
      breaker.stop();
      return transport.close();
    },
  };
  const fallback: Upstream = {
    ...upstream,
    ask: async (request, signal) =>
      (await signIn.isRefused(repositoryAt(addressOf(options), request), signal))
        ? await anonymous(request, signal)
        : { kind: 'absent' },
  };
  return {
    ...upstream,
    withoutCredentials: () => (paysOnly(options) ? fallback : undefined),
    as: (client) => ({ ...upstream, ask: asClient(client) }),
  };
}

function shownUrl(url: URL): string {
  return `${url.origin}${url.pathname === '/' ? '' : url.pathname}`;
}
