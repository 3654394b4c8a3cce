import { registryEndpoint } from '../oci/well-known.ts';
import { createUpstream, type RegistryUpstream, type UpstreamDeps, type UpstreamOptions } from './client.ts';
import type { CredentialsProvider } from './credentials.ts';
import type { ClientCredentials, Upstream, UpstreamStatus } from './upstream.ts';

export interface OriginOptions extends Omit<
  UpstreamOptions,
  'name' | 'url' | 'path' | 'ns' | 'credentials' | 'publicOnly' | 'headers'
> {
  /** By longest prefix of `registry/repository`. */
  readonly credentialsFor: (registry: string, repository: string) => CredentialsProvider;
  /** Whether any credentials are configured for a registry; only then is `use: quota` of consequence there. */
  readonly hasCredentials: (registry: string) => boolean;
  /** Registries whose connections are kept; the one that was asked longest ago is let go. */
  readonly registriesMax?: number;
}

/** The registry that a name names, at its own address. */
export interface Origin extends Upstream {
  /** The upstream of one registry: its name is the registry's, and its breaker, budget and latency are its own. */
  at(registry: string): RegistryUpstream;
  /** See {@link RegistryUpstream.withoutCredentials}. */
  withoutCredentials(): Upstream | undefined;
  /** See {@link RegistryUpstream.as}. */
  as(client: ClientCredentials): Upstream;
  /** Of each registry that was asked lately. */
  statuses(): readonly UpstreamStatus[];
}

const REGISTRIES_MAX = 64;

export function createOrigin(options: OriginOptions, deps: UpstreamDeps): Origin {
  const open = new Map<string, RegistryUpstream>();
  const at = (registry: string): RegistryUpstream => {
    const upstream = open.get(registry) ?? createUpstream(optionsFor(options, registry), deps);
    open.delete(registry);
    open.set(registry, upstream);
    for (const [oldest, retired] of open) {
      if (open.size <= (options.registriesMax ?? REGISTRIES_MAX)) break;
      open.delete(oldest);
      // Requests in flight end first; there is nobody to tell if that goes wrong.
      retired.close().catch(() => undefined);
    }
    return upstream;
  };
  const origin: Upstream = {
    name: 'origin',
    ask: (request, signal) => at(request.registry).ask(request, signal),
    standing: (registry) => at(registry).standing(registry),
    status: () => summary([...open.values()].map((upstream) => upstream.status())),
    async close() {
      const upstreams = [...open.values()];
      open.clear();
      await Promise.all(upstreams.map((upstream) => upstream.close()));
    },
  };
  const fallback: Upstream = {
    ...origin,
    ask: async (request, signal) =>
      (await at(request.registry).withoutCredentials()?.ask(request, signal)) ?? { kind: 'absent' },
  };
  return {
    ...origin,
    at,
    withoutCredentials: () => (options.use === 'all' ? undefined : fallback),
    as: (client) => ({ ...origin, ask: (request, signal) => at(request.registry).as(client).ask(request, signal) }),
    statuses: () => [...open.values()].map((upstream) => upstream.status()),
  };
}

function optionsFor(options: OriginOptions, registry: string): UpstreamOptions {
  const { credentialsFor, hasCredentials, registriesMax: _registriesMax, ...rest } = options;
  const provider: CredentialsProvider = (repository, isRefused) => credentialsFor(registry, repository)(repository, isRefused);
  const credentials = hasCredentials(registry) ? { credentials: provider } : {};
  return { ...rest, ...credentials, name: registry, url: new URL(registryEndpoint(registry)), publicOnly: true };
}

/** All registries in one line: down only when none is up. */
function summary(statuses: readonly UpstreamStatus[]): UpstreamStatus {
  const refused = statuses.some(({ credentialsValid }) => credentialsValid === false);
  const known = statuses.some(({ credentialsValid }) => credentialsValid !== undefined);
  return {
    name: 'origin',
    url: '',
    up: statuses.length === 0 || statuses.some(({ up }) => up),
    latencyMs: undefined,
    credentialsValid: known ? !refused : undefined,
    lastError: statuses.findLast(({ lastError }) => lastError !== undefined)?.lastError,
    rateLimit: undefined,
    running: statuses.reduce((sum, { running }) => sum + running, 0),
  };
}
