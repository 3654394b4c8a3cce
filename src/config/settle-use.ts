import type { AccessConfig, AccessRuleConfig, RouteConfig, UpstreamConfig } from './config.ts';
import { covers, overlaps } from './pattern.ts';
import type { Settling } from './settling.ts';

export type Use = UpstreamConfig['use'];

interface Guarded {
  readonly routes: readonly RouteConfig[];
  readonly access: AccessConfig;
}

/**
 * What the account of an upstream is for. `all` unlocks what the account may see for whoever may pull it here. Without a word
 * that is so only where every route that leads there is guarded: else signing in would publish what is private.
 */
export function settleUse(name: string, written: Use | undefined, { routes, access }: Guarded, work: Settling): Use {
  const leading = routes.filter(({ upstreams }) => upstreams.includes(name));
  if (written !== 'all')
    return written ?? (leading.length > 0 && leading.every((route) => isGuarded(route, access)) ? 'all' : 'quota');
  if (access.rules === undefined) {
    work.fault(
      ['upstreams', name, 'use'],
      'expected quota, or rules under access that say who may see what this account unlocks',
    );
    return 'quota';
  }
  const open = leading.find((route) => !isGuarded(route, access));
  if (open !== undefined)
    work.warnings.push(`upstreams.${name}.use: on the route ${open.name} anyone may pull what this account unlocks (access)`);
  return 'all';
}

/** Nothing that the route matches may be pulled by anyone, as far as that is plain to see. */
export function isGuarded({ match }: Pick<RouteConfig, 'match'>, { rules, groups }: AccessConfig): boolean {
  if (rules === undefined) return false;
  return match.every((pattern) => {
    for (const rule of rules) {
      if (!rule.match.some((one) => overlaps(one, pattern))) continue;
      if (letsAnyone(rule, groups)) return false;
      // The first rule that matches decides: what stands behind this one is asked of nothing here.
      if (rule.match.some((one) => covers(one, pattern))) return true;
    }
    return true;
  });
}

/** Whoever asks may pull all that the route matches, as far as that is plain to see. */
export function isOpen({ match }: Pick<RouteConfig, 'match'>, { rules, groups }: AccessConfig, signsIn: boolean): boolean {
  if (rules === undefined) return !signsIn;
  return match.every((pattern) => {
    for (const rule of rules) {
      if (!rule.match.some((one) => overlaps(one, pattern))) continue;
      if (!letsAnyone(rule, groups)) return false;
      if (rule.match.some((one) => covers(one, pattern))) return true;
    }
    return false;
  });
}

/** By itself, or as one of a group. */
function letsAnyone({ allow }: AccessRuleConfig, groups: AccessConfig['groups']): boolean {
  return allow.pull.some((one) =>
    one.kind === 'group' ? groups.get(one.name)?.some(({ kind }) => kind === 'anyone') : one.kind === 'anyone',
  );
}
