import type { RouteQuota } from '../admin/status.ts';
import { HOSTED } from '../metadata/records.ts';
import { recount, type RecountDeps } from '../push/recount.ts';
import type { Chains } from './chains.ts';

/** What the routes with a quota hold, counted again. Rejects while the metadata cannot be asked. */
export async function quotasOf(deps: RecountDeps, { config, routeOf }: Chains): Promise<readonly RouteQuota[]> {
  const quotas: RouteQuota[] = [];
  for (const { name, deny, upstreams, policy } of config.routes) {
    if (policy.quota === undefined || deny || !upstreams.includes(HOSTED)) continue;
    const sums = await recount(deps, name, (holder) => {
      const slash = holder.indexOf('/');
      return routeOf({ registry: holder.slice(0, slash), repository: holder.slice(slash + 1) })?.name === name;
    });
    quotas.push({ route: name, limit: policy.quota, ...sums });
  }
  return quotas;
}
