import type { Config, CredentialConfig, RouteConfig, TlsConfig, UpstreamConfig } from '../config/config.ts';
import { Secret } from '../config/secret.ts';
import { registryEndpoint } from '../oci/well-known.ts';
import type { Pseudonym } from '../oci/via.ts';
import { createBalance, type Balance } from '../pull/balance.ts';
import type { Passing } from '../pull/route.ts';
import { createLimits, type Limits } from '../pull/limits.ts';
import type { Records } from '../metadata/records.ts';
import { createUpstream, type RegistryUpstream, type UpstreamDeps } from '../upstream/client.ts';
import { longestPrefix, type CredentialsProvider } from '../upstream/credentials.ts';
import { createOrigin, type Origin } from '../upstream/origin.ts';
import type { UpstreamStatus } from '../upstream/upstream.ts';
import type { Memory } from '../upstream/with-quota.ts';
import { credentialsOf, named, payerOf, type AccountDeps } from './accounts.ts';

export interface UpstreamSet {
  /** By the name in the configuration, `origin` among them where a route uses it. */
  readonly byName: ReadonlyMap<string, RegistryUpstream | Origin>;
  /** The rate limits of those whom a route asks. */
  limitsOf(route: RouteConfig): Limits;
  /** The most that a route keeps of an upstream's rate limit; for `origin` by the registry. */
  reserveOf(upstream: string): number;
  /** Whom a route asks: its upstreams by its balance, then those that may be asked again without credentials. */
  balanceOf(route: RouteConfig): Balance;
  /** Whom to ask with clients' own credentials, where the route passes them on. */
  passingOf(route: RouteConfig): Passing | undefined;
  statuses(): readonly UpstreamStatus[];
  /** Closes those that `next` does not go on using, once their requests have ended. */
  retire(next: UpstreamSet): void;
  close(): Promise<void>;
}

export interface UpstreamSetDeps extends Omit<UpstreamDeps, 'memory' | 'env'>, AccountDeps {
  /** What an upstream remembers across restarts; `undefined`: for as long as the process lives. */
  readonly memoryOf: (upstream: string) => Memory | undefined;
  readonly version: string;
  /** As which this mirror signs what it asks; `undefined` where nobody is served. */
  readonly pseudonym?: Pseudonym;
  /** `all` where only the sign-in is to be proved: everything is asked with the credentials, and nothing served. Default: as configured. */
  readonly use?: 'all';
}

/** Made anew at each reload; an upstream whose configuration is the same keeps its connections, tokens and breaker. */
export function createUpstreamSet(config: Config, deps: UpstreamSetDeps, previous: UpstreamSet | undefined): UpstreamSet {
  const byName = new Map<string, RegistryUpstream | Origin>();
  const fingerprints = new Map<string, string>();
  const reuse = (name: string, fingerprint: string, make: () => RegistryUpstream | Origin): void => {
    const kept =
      previous !== undefined && fingerprintOf(previous, name) === fingerprint ? previous.byName.get(name) : undefined;
    byName.set(name, kept ?? make());
    fingerprints.set(name, fingerprint);
  };
  for (const [name, upstream] of config.upstreams) {
    if (isOffline(config, name)) continue;
    const proofMs = proofMsOf(config, name);
    reuse(name, toFingerprint([upstream, proofMs, config.names.allow, config.names.self]), () =>
      createUpstream(
        { ...upstreamOptions(upstream, deps), ...common(config, deps, upstream.use, proofMs) },
        { ...deps, ...memory(deps, name) },
      ),
    );
  }
  if (config.routes.some(({ upstreams, policy }) => !policy.offline && upstreams.includes('origin'))) {
    const proofMs = proofMsOf(config, 'origin');
    reuse('origin', toFingerprint([config.credentials, config.originUse, proofMs, config.names.allow, config.names.self]), () =>
      createOrigin(
        { ...credentialsOptions(config.credentials, deps), ...common(config, deps, config.originUse, proofMs) },
        { ...deps, ...memory(deps, 'origin') },
      ),
    );
  }
  const set: UpstreamSet = {
    byName,
    limitsOf: (route) => createLimits(chainOf(route, byName), route.policy.ratelimit.reserve),
    reserveOf: (upstream) => reserveOf(config, byName.has(upstream) ? upstream : 'origin'),
    balanceOf: (route) => balanceOf(route, config, byName),
    passingOf: (route) => passingOf(route, config, byName),
    statuses: () =>
      [...byName.values()].flatMap((upstream) => ('statuses' in upstream ? upstream.statuses() : [upstream.status()])),
    retire(next) {
      for (const [name, upstream] of byName) {
        // There is nobody left to tell how a retired upstream's connections ended.
        if (next.byName.get(name) !== upstream) upstream.close().catch(() => undefined);
      }
    },
    close: async () => void (await Promise.all([...byName.values()].map((upstream) => upstream.close()))),
  };
  FINGERPRINTS.set(set, fingerprints);
  return set;
}

/** What each upstream was made from, secrets included, and therefore nowhere but here. */
const FINGERPRINTS = new WeakMap<UpstreamSet, ReadonlyMap<string, string>>();

function fingerprintOf(set: UpstreamSet, name: string): string | undefined {
  return FINGERPRINTS.get(set)?.get(name);
}

function toFingerprint(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key: string, shown: unknown) {
    const raw = this[key]; // `shown` has been through toJSON, which hides a secret.
    if (raw instanceof Secret) return raw.reveal();
    return raw instanceof Map ? [...raw] : shown;
  });
}

function chainOf({ policy, upstreams }: RouteConfig, byName: UpstreamSet['byName']): readonly (RegistryUpstream | Origin)[] {
  const names = policy.offline ? [] : upstreams;
  return names.map((name) => byName.get(name)).filter((upstream) => upstream !== undefined);
}

function reserveOf({ routes }: Config, name: string): number {
  const reserves = routes.filter(({ upstreams }) => upstreams.includes(name)).map(({ policy }) => policy.ratelimit.reserve);
  return Math.max(0, ...reserves);
}

function balanceOf(route: RouteConfig, config: Config, byName: UpstreamSet['byName']): Balance {
  const chain = chainOf(route, byName);
  // "The next upstream, then the same without credentials" (contract, HTTP).
  const again = chain.map((upstream) => upstream.withoutCredentials()).filter((upstream) => upstream !== undefined);
  const weights = new Map([...config.upstreams.values()].map(({ name, weight }) => [name, weight]));
  return createBalance(chain, again, { kind: route.policy.balance, replicas: route.policy.replicas, weights });
}

function passingOf(route: RouteConfig, { upstreams }: Config, byName: UpstreamSet['byName']): Passing | undefined {
  const [upstream] = chainOf(route, byName);
  // Origin is where the name says.
  const { url = 'origin', path = '' } = upstreams.get(route.upstreams[0] ?? '') ?? {};
  if (!route.passthrough || upstream === undefined) return undefined;
  return {
    as(client) {
      const chain = [upstream.as(client)];
      return () => chain;
    },
    place: `${url} ${path}`,
    proofMs: route.policy.authttl,
  };
}

/**
 * Only offline routes lead there, or none does and all are offline: it is not even made, so that nothing of it signs in,
 * probes or looks at its health.
 */
function isOffline({ routes }: Config, name: string): boolean {
  const leading = routes.filter(({ upstreams }) => upstreams.includes(name));
  return (leading.length > 0 ? leading : routes).every(({ deny, policy }) => deny || policy.offline);
}

function common(
  config: Config,
  { version, pseudonym, use }: UpstreamSetDeps,
  configured: UpstreamConfig['use'],
  proofMs: number,
) {
  const { allow, self } = config.names;
  return { use: use ?? configured, allow, self, userAgent: `entrepot/${version}`, pseudonym, proofMs };
}

/** The shortest `authttl` of the routes that lead there. */
function proofMsOf(config: Config, name: string): number {
  const ttls = config.routes.filter(({ upstreams }) => upstreams.includes(name)).map(({ policy }) => policy.authttl);
  return ttls.length === 0 ? 15 * 60_000 : Math.min(...ttls);
}

function upstreamOptions(upstream: UpstreamConfig, deps: UpstreamSetDeps) {
  const { name, url, path, ns, account, headers, tls, timeout, tokenhosts, redirecthosts, proxy } = upstream;
  const { concurrency, rate, bandwidth, check } = upstream;
  return {
    name,
    url: new URL(url),
    path,
    ns,
    headers: Object.fromEntries([...headers].map(([header, value]) => [header.toLowerCase(), value.reveal()])),
    timeouts: { connectMs: timeout.connect, headersMs: timeout.headers, stallMs: timeout.stall },
    concurrency,
    rate,
    bandwidth,
    // Where only the sign-in is to be proved, one question is all.
    checkMs: deps.use === 'all' ? undefined : check,
    tokenHosts: tokenhosts,
    redirectHosts: redirecthosts,
    proxy: proxy === undefined ? ('environment' as const) : proxy === 'none' ? proxy : new URL(proxy.reveal()),
    ...(tls === undefined ? {} : { tls: tlsOptions(tls) }),
    ...(account === undefined ? {} : { credentials: credentialsOf(account, new URL(url), deps), payer: payerOf(account) }),
  };
}

function tlsOptions({ ca, certificate, key, skipverify }: TlsConfig) {
  return {
    skipverify,
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key: key.reveal() }),
  };
}

function credentialsOptions(credentials: readonly CredentialConfig[], deps: AccountDeps) {
  const providers = Object.fromEntries(
    credentials.map(({ prefix, account }) => {
      const registry = new URL(registryEndpoint(prefix.split('/')[0] ?? ''));
      return [prefix, named(credentialsOf(account, registry, deps), prefix)];
    }),
  );
  const anonymously: CredentialsProvider = async () => undefined;
  return {
    credentialsFor: (registry: string, repository: string): CredentialsProvider =>
      longestPrefix(providers, registry, repository) ?? anonymously,
    hasCredentials: (registry: string): boolean => credentials.some(({ prefix }) => prefix.split('/')[0] === registry),
  };
}

function memory({ memoryOf }: UpstreamSetDeps, upstream: string): { readonly memory?: Memory } {
  const found = memoryOf(upstream);
  return found === undefined ? {} : { memory: found };
}

/** An upstream's memory in the metadata. */
export function recordedMemory(records: Records): (upstream: string) => Memory {
  return (upstream) => ({
    recall: (key) => records.remembered(upstream, key),
    keep: (key, record) => records.remember(upstream, key, record),
  });
}
