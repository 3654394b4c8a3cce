import type { Config, RouteConfig } from '../config/config.ts';
import { isOpen } from '../config/settle-use.ts';
import { createNameParser, createNameShower, type NameParser } from '../pull/name.ts';
import type { ShowName } from '../pull/lists.ts';
import { compilePatterns, createRouter, type RouteOptions, type Router } from '../pull/route.ts';
import { HOSTED } from '../metadata/records.ts';
import type { RouteView } from '../admin/image.ts';
import type { Admission } from '../admission/admission.ts';
import { isJudged } from './admission.ts';
import { nameOptions } from './names.ts';
import { createUpstreamSet, type UpstreamSet, type UpstreamSetDeps } from './upstreams.ts';

/** Everything that a reload replaces: how names are read, which route they take, and the upstreams behind it. */
export interface Chains {
  readonly config: Config;
  readonly parseName: NameParser;
  readonly showName: (host: string | undefined) => ShowName;
  readonly router: Router;
  readonly routeOf: (name: { readonly registry: string; readonly repository: string }) => RouteView | undefined;
  readonly upstreams: UpstreamSet;
  readonly registries: ReadonlySet<string>;
  readonly upstreamNames: ReadonlySet<string>;
}

export interface ChainsDeps extends UpstreamSetDeps {
  /** Default: throws for a route that has rules about content, since nobody is there to judge it. */
  readonly admissionOf?: AdmissionOf;
}

/** The rules of a route about content. */
export type AdmissionOf = (route: RouteConfig) => Admission | undefined;

const nobodyJudges: AdmissionOf = (route) => {
  if (isJudged(route)) throw new Error(`nobody is there to judge what the route ${route.name} serves`);
  return undefined;
};

export function createChains(config: Config, deps: ChainsDeps, previous?: Chains): Chains {
  return chainsOver(config, createUpstreamSet(config, deps, previous?.upstreams), deps.admissionOf);
}

/** The same over upstreams that are there already, whatever stands behind them. */
export function chainsOver(config: Config, upstreams: UpstreamSet, admissionOf: AdmissionOf = nobodyJudges): Chains {
  const names = nameOptions(config);
  const routes = config.routes.map((route) => {
    const admission = admissionOf(route);
    return { route, admission, options: toRoute(route, upstreams, config, admission) };
  });
  const views = routes.map(({ route, admission, options }) => ({
    matches: compilePatterns(route.match),
    view: { ...toView(route, options, upstreams), admission },
  }));
  return {
    config,
    parseName: createNameParser(names),
    showName: createNameShower(names),
    router: createRouter(routes.map(({ options }) => options)),
    routeOf: ({ registry, repository }) => views.find(({ matches }) => matches(`${registry}/${repository}`))?.view,
    upstreams,
    registries: new Set(config.registries),
    upstreamNames: new Set(config.upstreams.keys()),
  };
}

function toRoute(route: RouteConfig, upstreams: UpstreamSet, config: Config, admission: Admission | undefined): RouteOptions {
  const { access, auth } = config;
  const { name, match, deny, push, shadow, policy } = route;
  const hosted = route.upstreams.includes(HOSTED);
  return {
    name,
    match,
    deny,
    hosted,
    alone: hosted && route.upstreams.length === 1,
    push,
    shadow,
    quota: policy.quota,
    order: upstreams.balanceOf(route),
    passthrough: upstreams.passingOf(route),
    policy: {
      tagTtlMs: policy.tagttl,
      staleMs: policy.stale,
      retryMs: policy.retry,
      negativeTtlMs: policy.negativettl,
      hedge: policy.hedge,
      hedgeTags: policy.hedge && policy.replicas,
      limits: upstreams.limitsOf(route),
      parallel: policy.parallel,
      immutable: compilePatterns(policy.immutable),
      onDelete: policy.ondelete,
      offline: policy.offline,
      prefetch: policy.prefetch === 'layers',
      platforms: policy.platforms,
      asof: policy.asof,
      cooldownMs: policy.cooldown,
      admission,
      open: !route.passthrough && isOpen(route, access, auth !== undefined),
      unlocks: (upstream) => route.upstreams.some((name) => unlocks(config, name, upstream)),
    },
  };
}

/** Whether the member of a chain called `name` is the one that goes by `upstream`, and what it sends opens doors. */
function unlocks({ upstreams, originUse, credentials }: Config, name: string, upstream: string): boolean {
  // Origin goes by the host that it asks.
  if (name === 'origin') return !upstreams.has(upstream) && originUse === 'all' && credentials.length > 0;
  const found = name === upstream ? upstreams.get(name) : undefined;
  if (found === undefined) return false;
  const { account, use, headers, tls } = found;
  return (account !== undefined && use === 'all') || headers.size > 0 || tls?.certificate !== undefined;
}

/** The chain as it is written, empty where nobody is asked: without those that are only asked again when they refuse our credentials. */
function toView(
  route: RouteConfig,
  { name, deny, hosted, alone, push, policy }: RouteOptions,
  { byName }: UpstreamSet,
): RouteView {
  const names = policy.offline ? [] : route.upstreams;
  const chain = names.map((upstream) => byName.get(upstream)).filter((upstream) => upstream !== undefined);
  return {
    name,
    at: route.at,
    deny,
    offline: policy.offline,
    hosted,
    alone,
    push,
    names: route.upstreams,
    chain,
    tagttlMs: policy.tagTtlMs,
    cooldownMs: policy.cooldownMs,
    asof: policy.asof,
  };
}
