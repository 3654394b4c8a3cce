import type { ProvedUpstream } from '../admin/prove.ts';
import { routedRegistries } from '../admin/client/registries.ts';
import type { Config } from '../config/config.ts';
import type { Random } from '../system/random.ts';
import { proxyFor } from '../upstream/proxy.ts';
import type { AccountDeps } from './accounts.ts';
import { createUpstreamSet } from './upstreams.ts';

/** Every upstream of the configuration, and each registry that a route names for `origin`, ready to be asked once. */
export function provable(
  config: Config,
  system: Omit<AccountDeps, 'env'> & { readonly random: Random },
): readonly ProvedUpstream[] {
  const { env } = process;
  // With `quota` a repository is asked for anonymously first, and a password that nobody wants to see would seem to be right.
  const deps = { ...system, env, memoryOf: () => undefined, version: 'check', use: 'all' } as const;
  const set = createUpstreamSet(config, deps, undefined);
  const originRoutes = config.routes.filter(({ upstreams, policy }) => !policy.offline && upstreams.includes('origin'));
  return [...set.byName].flatMap(([name, upstream]) => {
    if ('at' in upstream) {
      return routedRegistries(originRoutes).map((registry) => {
        const at = upstream.at(registry);
        return { upstream: at, registry, via: wayOut(undefined, at.status().url) };
      });
    }
    const routes = config.routes.filter(({ upstreams, policy }) => !policy.offline && upstreams.includes(name));
    const registries = routedRegistries(routes);
    const { proxy } = config.upstreams.get(name) ?? {};
    return [{ upstream, registry: registries[0] ?? config.names.default, via: wayOut(proxy, upstream.status().url) }];
  });
}

type Proxy = NonNullable<ReturnType<Config['upstreams']['get']>>['proxy'];

function wayOut(proxy: Proxy, url: string): string {
  const setting = proxy === undefined ? 'environment' : proxy === 'none' ? proxy : new URL(proxy.reveal());
  return proxyFor(setting, process.env, new URL(url))?.host ?? 'direct';
}
