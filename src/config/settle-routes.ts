import type { RetentionConfig, RouteConfig, RoutePolicyConfig } from './config.ts';
import { nearest } from './nearest.ts';
import { covers } from './pattern.ts';
import type { Written } from './schema.ts';
import type { Settling } from './settling.ts';
import { spellOut } from './spell-out.ts';
import { placeAt } from './tree-path.ts';

/** The built-in upstream that holds what was pushed here. */
const HOSTED = 'hosted';
const BUILT_IN: readonly string[] = ['origin', HOSTED];

type WrittenRoute = NonNullable<Written['routes']>[number];

/** Routes with their policy whole and `well-known` spelt out; faults for chains that name nothing. */
export function settleRoutes(
  written: readonly WrittenRoute[],
  defaults: Written['defaults'],
  names: readonly string[],
  work: Settling,
): RouteConfig[] {
  checkRetention(defaults.retention, ['defaults', 'retention'], work);
  if (written.length === 0) work.fault(['routes'], 'expected at least one route');
  const routes = written.map((route, index) => {
    const policy = policyOf(route, defaults);
    checkChain(route, index, names, policy.offline, work);
    checkPush(route, index, work);
    checkRetention(route.retention ?? [], ['routes', index, 'retention'], work);
    checkContent(route, index, work);
    if (policy.prefetch === 'none' && (route.platforms ?? []).length > 0)
      work.warnings.push(`routes[${index}].platforms has no effect here: nothing is filled in the background without prefetch`);
    if (route.hedge === true && (route.upstreams ?? []).filter((name) => name !== HOSTED).length < 2)
      work.warnings.push(`routes[${index}].hedge has no effect here: there is no other upstream to ask`);
    const at = placeAt(work.tree, ['routes', index]);
    return {
      name: route.name ?? route.match[0] ?? '',
      match: route.match.flatMap(spellOut),
      upstreams: route.upstreams ?? [],
      deny: route.deny,
      push: route.push ?? isHostedAlone(route.upstreams ?? []),
      shadow: route.shadow,
      passthrough: route.passthrough,
      policy,
      at: at.line === 0 ? (at.variable ?? at.file) : `${at.file}:${at.line}`,
    };
  });
  checkNames(routes, work);
  work.warnings.push(...unreached(routes), ...unnamed(routes, names));
  return routes;
}

/** What the route says, and where it says nothing what `defaults` say. */
export function policyOf(route: Partial<WrittenRoute>, defaults: Written['defaults']): RoutePolicyConfig {
  return {
    balance: route.balance ?? defaults.balance,
    replicas: route.replicas ?? defaults.replicas,
    hedge: route.hedge ?? defaults.hedge,
    ratelimit: route.ratelimit ?? defaults.ratelimit,
    parallel: route.parallel ?? defaults.parallel,
    immutable: route.immutable ?? defaults.immutable,
    retention: route.retention ?? defaults.retention,
    quota: route.quota ?? defaults.quota,
    maxAgeMs: (route.maxage ?? defaults.maxage).ms,
    pin: route.pin ?? defaults.pin,
    tagttl: route.tagttl ?? defaults.tagttl,
    stale: route.stale ?? defaults.stale,
    negativettl: route.negativettl ?? defaults.negativettl,
    retry: route.retry ?? defaults.retry,
    authttl: route.authttl ?? defaults.authttl,
    ondelete: route.ondelete ?? defaults.ondelete,
    offline: route.offline ?? defaults.offline,
    prefetch: route.prefetch ?? defaults.prefetch,
    platforms: route.platforms ?? defaults.platforms,
    asof: route.asof ?? defaults.asof,
    cooldown: route.cooldown ?? defaults.cooldown,
    digests: route.digests ?? defaults.digests,
    admit: route.admit ?? defaults.admit,
  };
}

function checkChain(route: WrittenRoute, index: number, names: readonly string[], offline: boolean, work: Settling): void {
  const chain = route.upstreams ?? [];
  const path = ['routes', index, 'upstreams'];
  if (route.match.length === 0) work.fault(['routes', index, 'match'], 'expected at least one pattern');
  if (route.deny && chain.length > 0) work.fault(path, 'expected either deny or upstreams, not both');
  if (!route.deny && !offline && chain.length === 0)
    work.fault(path, 'expected the upstreams to ask, such as [origin] or [hosted]; or deny: true, or offline: true');
  for (const [position, name] of chain.entries()) {
    if (!BUILT_IN.includes(name) && !names.includes(name)) {
      const expected = `expected origin, hosted, or a name that stands under upstreams${names.length === 0 ? '' : ` (${names.join(', ')})`}`;
      work.fault([...path, position], expected, nearest(name, [...BUILT_IN, ...names]));
    } else if (chain.indexOf(name) < position) work.fault([...path, position], 'expected each upstream once in a chain');
  }
}

/** What would surprise if it were ignored: a push is taken nowhere but in what is hosted. */
function checkPush(route: WrittenRoute, index: number, work: Settling): void {
  const chain = route.upstreams ?? [];
  const path = ['routes', index];
  if (isHostedAlone(chain) && route.cooldown !== undefined && route.cooldown > 0)
    work.warnings.push(`routes[${index}].cooldown has no effect here: what is pushed here is nobody else's`);
  if (chain.includes(HOSTED)) {
    if (route.shadow && isHostedAlone(chain))
      work.warnings.push(`routes[${index}].shadow has no effect here: the chain has nobody whose names could be shadowed`);
    return;
  }
  if (route.retention !== undefined)
    work.fault([...path, 'retention'], 'expected hosted among the upstreams: only what was pushed here is collected');
  if (route.quota !== undefined)
    work.fault([...path, 'quota'], 'expected hosted among the upstreams: it limits only what is pushed here');
  if (route.push === true) work.fault([...path, 'push'], 'expected hosted among the upstreams: what is pushed is kept there');
  if (route.shadow) work.fault([...path, 'shadow'], 'expected hosted among the upstreams: nothing else can shadow a name');
}

/** A line that said two things, or nothing, would take or keep tags by surprise. */
function checkRetention(lines: readonly RetentionConfig[], path: readonly (string | number)[], work: Settling): void {
  for (const [index, { match, keep, unpulled, newest }] of lines.entries()) {
    if (match.length === 0) work.fault([...path, index, 'match'], 'expected at least one pattern of tags');
    if ([keep, unpulled, newest].filter((rule) => rule !== undefined).length !== 1)
      work.fault([...path, index], 'expected one of keep: forever, unpulled: 14d and newest: 50');
  }
}

/** What would surprise in what is said of content. */
function checkContent({ digests, admit, passthrough }: WrittenRoute, index: number, work: Settling): void {
  for (const digest of new Set(digests?.allow?.filter((one) => digests.deny.includes(one))))
    work.warnings.push(`routes[${index}].digests allows and denies ${digest}: it is denied`);
  if (passthrough === true && admit !== undefined)
    work.warnings.push(
      `routes[${index}].admit asks about what only clients can read (passthrough): whoever is asked sees the manifest, and cannot pull it`,
    );
}

function isHostedAlone(chain: readonly string[]): boolean {
  return chain.length === 1 && chain[0] === HOSTED;
}

/** Two routes under one label could not be told apart in the metrics. */
function checkNames(routes: readonly RouteConfig[], work: Settling): void {
  for (const [index, route] of routes.entries()) {
    const first = routes.findIndex(({ name }) => name === route.name);
    if (first < index) work.fault(['routes', index], `expected another name than that of routes[${first}], ${route.name}`);
  }
}

/** The first route that matches decides: what stands behind one that matches all the same names is never asked. */
function unreached(routes: readonly RouteConfig[]): string[] {
  return routes.flatMap(({ match, name, at }, index) => {
    const before = routes.slice(0, index);
    const takers = match.map((pattern) => before.find((route) => route.match.some((wider) => covers(wider, pattern))));
    if (takers.length === 0 || takers.includes(undefined)) return [];
    const all = [...new Set(takers.map((taker) => taker?.name))].join(', ');
    return [`${at}: the route ${name} is never reached: ${all} stands before it and takes all that it matches`];
  });
}

function unnamed(routes: readonly RouteConfig[], names: readonly string[]): string[] {
  const named = new Set(routes.flatMap(({ upstreams }) => upstreams));
  return names.filter((name) => !named.has(name)).map((name) => `upstreams.${name} stands in no route: it is never asked`);
}
