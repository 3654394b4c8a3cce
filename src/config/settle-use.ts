import type { AccessConfig, AccessRuleConfig } from './auth-config.ts';
import type { RouteConfig, UpstreamConfig } from './config.ts';
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
export function isGuarded(route: Pick<RouteConfig, 'match'>, { rules, groups }: AccessConfig): boolean {
  return rules !== undefined && decidedBy(rules, route, (rule) => !letsAnyone(rule, groups)) !== 'others';
}

/** Whoever asks may pull all that the route matches, as far as that is plain to see. */
export function isOpen(route: Pick<RouteConfig, 'match'>, { rules, groups }: AccessConfig, signsIn: boolean): boolean {
  if (rules === undefined) return !signsIn;
  return decidedBy(rules, route, (rule) => letsAnyone(rule, groups)) === 'these';
}

/**
 * Whether what the route matches is decided by such rules alone, or by others too, as far as that is plain to see; `none`: by
 * such, and some of it perhaps by no rule.
 */
function decidedBy(
  rules: readonly AccessRuleConfig[],
  { match }: Pick<RouteConfig, 'match'>,
  isSuch: (rule: AccessRuleConfig) => boolean,
): 'these' | 'others' | 'none' {
  const found = match.map((pattern) => {
    for (const rule of rules) {
      if (!rule.match.some((one) => overlaps(one, pattern))) continue;
      if (!isSuch(rule)) return 'others';
      // The first rule that matches decides: what stands behind this one is asked of nothing here.
      if (rule.match.some((one) => covers(one, pattern))) return 'these';
    }
    return 'none';
  });
  return found.includes('others') ? 'others' : found.includes('none') ? 'none' : 'these';
}

/** By itself, or as one of a group. */
function letsAnyone({ allow }: AccessRuleConfig, groups: AccessConfig['groups']): boolean {
  return allow.pull.some((one) =>
    one.kind === 'group' ? groups.get(one.name)?.some(({ kind }) => kind === 'anyone') : one.kind === 'anyone',
  );
}
