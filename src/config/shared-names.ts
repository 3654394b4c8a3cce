import type { AccessConfig } from './auth-config.ts';
import type { RouteConfig, UpstreamConfig } from './config.ts';
import { covers, overlaps } from './pattern.ts';

/**
 * A warning for each upstream that cannot tell registries apart, though rules do: where the names of several lead to it and it is
 * asked by the repository alone, what a rule closes as `a.test/secret` is had as `b.test/secret`.
 */
export function sharedNames(
  routes: readonly RouteConfig[],
  upstreams: ReadonlyMap<string, UpstreamConfig>,
  { rules = [] }: AccessConfig,
): string[] {
  const named = rules.flatMap(({ match }) => match).filter((pattern) => !isOfAny(pattern));
  return [...upstreams].flatMap(([name, { ns, path }]) => {
    if (ns || path?.includes('{registry}') === true) return [];
    const leading = routes.filter((route) => route.upstreams.includes(name));
    const patterns = leading.flatMap(({ match }) => match);
    const hasSeveral = patterns.some(isOfAny) || new Set(patterns.map(registryOf)).size > 1;
    const leadsHere = (rule: string): boolean => {
      const taker = routes.find(({ match }) => match.some((pattern) => covers(pattern, rule)));
      return taker === undefined ? patterns.some((pattern) => overlaps(pattern, rule)) : leading.includes(taker);
    };
    const closed = hasSeveral ? named.find(leadsHere) : undefined;
    if (closed === undefined) return [];
    const remedy = 'set ns: true, put {registry} into its path, or name one registry in match';
    return [
      `upstreams.${name}: several registries lead to it, and it is asked by the repository alone, so that what access says of ${closed} does not hold under their other names: ${remedy}`,
    ];
  });
}

/** Its registry is not named. */
function isOfAny(pattern: string): boolean {
  return /[*?]/.test(registryOf(pattern));
}

function registryOf(pattern: string): string {
  return pattern.split('/')[0] ?? '';
}
