import type { AccessConfig } from './auth-config.ts';
import type {
  Config,
  HealthConfig,
  MetadataConfig,
  NamesConfig,
  RedisConfig,
  RouteConfig,
  UpstreamConfig,
  ValidationConfig,
} from './config.ts';
import type { Written } from './schema.ts';
import { settleAccess, settleAuth } from './settle-auth.ts';
import { settleCache } from './settle-cache.ts';
import { settleHttp } from './settle-http.ts';
import { settleLimits } from './settle-limits.ts';
import { settleNotifications } from './settle-notifications.ts';
import { checkPassthrough } from './settle-passthrough.ts';
import { settleRoutes } from './settle-routes.ts';
import { settleCredentials, settleUpstreams, type UnguardedUpstream } from './settle-upstreams.ts';
import { withSigned } from './settle-signed.ts';
import { settleUse } from './settle-use.ts';
import { sharedNames } from './shared-names.ts';
import { plainOf } from './settle-plain.ts';
import { proxyOf } from './settle-proxy.ts';
import type { Settling } from './settling.ts';
import { WELL_KNOWN_PATTERNS } from '../oci/well-known.ts';

/** Turns what is written into the Config, reading the files that it names; what is wrong is told to `work`. */
export async function settle(
  written: Written,
  work: Settling,
  file: string | undefined,
): Promise<Omit<Config, 'warnings' | 'watched' | 'shown'>> {
  const unguarded = await settleChains(withOffline(written), work);
  const plain = unguarded.mode === 'plain' ? unguarded.names.default : undefined;
  const access = settleAccess(written, plain, work);
  const routes = await withSigned(unguarded.routes, written, work);
  const settled = { ...unguarded, routes, upstreams: guard(unguarded, access, work) };
  work.warnings.push(...sharedNames(settled.routes, settled.upstreams, access));
  const auth = await settleAuth(written.auth, work);
  const http = await settleHttp(written.http, work);
  checkPassthrough({ ...settled, auth, access, http }, work);
  if (
    settled.mode === 'proxy' &&
    [...settled.upstreams.values()].some(({ account, use }) => account !== undefined && use === 'quota')
  )
    work.warnings.push('proxy.username pays for the rate limit and does not unlock: private repositories stay private');
  return {
    file,
    directory: work.directory,
    http,
    storage: {
      rootdirectory: work.absolute(written.storage.filesystem.rootdirectory),
      delete: written.storage.delete,
      readonly: written.storage.maintenance.readonly.enabled,
      uploadpurging: written.storage.maintenance.uploadpurging,
    },
    cache: settleCache(written.cache, work),
    metadata: await settleMetadata(written, work),
    credentials: await settleCredentials(written.credentials, work),
    registries: registriesOf(settled, written),
    log: {
      level: written.log.level,
      formatter: written.log.formatter,
      fields: written.log.fields,
      accesslog: !written.log.accesslog.disabled,
    },
    health: settleHealth(written.health, work),
    notifications: await settleNotifications(written.notifications, work),
    validation: settleValidation(written.validation, work),
    auth,
    access,
    limits: settleLimits(written.limits, work),
    audit: { file: settleAuditFile(written.audit.file, work) },
    originUse: settleUse('origin', undefined, { routes: settled.routes, access }, work),
    workers: settleWorkers(written, work),
    ...settled,
  };
}

/** Each asks by itself, one question at a time at least. */
function settleWorkers({ workers, upstreams }: Written, work: Settling): Config['workers'] {
  for (const [name, { concurrency }] of upstreams) {
    if (workers !== 'auto' && concurrency < workers)
      work.warnings.push(`upstreams.${name}.concurrency is less than workers: it counts as ${workers}, one for each`);
  }
  return workers;
}

/** Standard output is no file that one could put something at the end of. */
function settleAuditFile(file: string | undefined, work: Settling): string | undefined {
  if (file === '-' || file === '/dev/stdout') return '-';
  return file === undefined ? undefined : work.absolute(file);
}

/** Offline at the top is offline everywhere: nobody is asked, whatever a route says. */
function withOffline(written: Written): Written {
  if (!written.offline) return written;
  const { defaults, routes } = written;
  return {
    ...written,
    defaults: { ...defaults, offline: true },
    routes: routes?.map((route) => ({ ...route, offline: true })),
  };
}

interface Chains {
  readonly mode: 'routes' | 'proxy' | 'plain';
  readonly names: NamesConfig;
  readonly upstreams: ReadonlyMap<string, UnguardedUpstream>;
  readonly routes: readonly RouteConfig[];
}

/** Either the routes that are written, or the one that `proxy` stands for, or that of a plain registry. */
async function settleChains(written: Written, work: Settling): Promise<Chains> {
  const proxy = await proxyOf(written, work);
  if (proxy !== undefined) {
    const names = settleNames(written.names, proxy.registry, proxy.registry);
    return { mode: 'proxy', names, upstreams: new Map([[proxy.upstream.name, proxy.upstream]]), routes: [proxy.route] };
  }
  if (written.routes === undefined) {
    const { registry, route } = plainOf(written, work);
    return { mode: 'plain', names: settleNames(written.names, registry, undefined), upstreams: new Map(), routes: [route] };
  }
  const upstreams = await settleUpstreams(written.upstreams, work);
  const routes = settleRoutes(written.routes, written.defaults, [...written.upstreams.keys()], work);
  return {
    mode: 'routes',
    names: settleNames(written.names, written.names.default ?? 'docker.io', undefined),
    upstreams,
    routes,
  };
}

/** With what each upstream's account is for. */
function guard({ upstreams, routes }: Chains, access: AccessConfig, work: Settling): ReadonlyMap<string, UpstreamConfig> {
  return new Map(
    [...upstreams].map(([name, upstream]) => [
      name,
      { ...upstream, use: settleUse(name, upstream.use, { routes, access }, work) },
    ]),
  );
}

function settleNames(written: Written['names'], registry: string, only: string | undefined): NamesConfig {
  return { ...written, default: registry, only };
}

async function settleMetadata(written: Written, work: Settling): Promise<MetadataConfig> {
  const { metadata } = written;
  if (metadata.kind === 'lmdb')
    return { kind: 'lmdb', path: metadata.path === undefined ? undefined : work.absolute(metadata.path) };
  return { kind: 'redis', redis: await settleRedis(written.redis, work) };
}

async function settleRedis(written: Written['redis'], work: Settling): Promise<RedisConfig> {
  const targets = [...(written?.addrs ?? []), ...(written?.addr === undefined ? [] : [written.addr])];
  const addrs = targets.map(({ host, port }) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`));
  if (addrs.length === 0)
    work.fault(['redis', 'addr'], 'is missing: expected the address of the server, such as localhost:6379');
  if (written?.addr !== undefined && written.addrs !== undefined)
    work.fault(['redis', 'addr'], 'expected either addr or addrs, not both');
  if (written !== undefined && addrs.length > 1 && written.db !== 0)
    work.fault(['redis', 'db'], 'expected 0: a cluster has no other');
  const tls = written?.tls;
  const speaksTls = tls !== undefined && tls.enabled !== false && (tls.enabled === true || Object.keys(tls).length > 0);
  return {
    addrs,
    username: written?.username,
    password: await work.secret(written?.password, written?.passwordfile, ['redis'], 'password'),
    db: written?.db ?? 0,
    tls: speaksTls ? await redisTls(tls, work) : undefined,
  };
}

async function redisTls(
  written: NonNullable<NonNullable<Written['redis']>['tls']>,
  work: Settling,
): Promise<RedisConfig['tls']> {
  const tls = await work.tls({ certificate: written.certificate, key: written.key }, ['redis', 'tls']);
  const authorities = await Promise.all(
    (written.rootcas ?? []).map((file, index) => work.read(file, ['redis', 'tls', 'rootcas', index])),
  );
  return {
    certificate: tls?.certificate,
    key: tls?.key,
    skipverify: false,
    ca: authorities.length === 0 ? undefined : authorities.join('\n'),
  };
}

function settleHealth(written: Written['health'], work: Settling): HealthConfig {
  const { enabled, ...check } = written.storagedriver;
  return {
    storagedriver: enabled ? check : undefined,
    file: written.file.map((entry) => ({ ...entry, file: work.absolute(entry.file) })),
    http: written.http,
    tcp: written.tcp,
  };
}

function settleValidation({ enabled, disabled, manifests }: Written['validation'], work: Settling): ValidationConfig {
  const { urls, indexes, images } = manifests;
  const { blobs } = images;
  if (indexes.platformlist.length > 0 && indexes.platforms !== 'list')
    work.warnings.push('validation.manifests.indexes.platformlist has no effect here: it is asked with platforms: list alone');
  if (disabled && !enabled) return { children: 'none', blobs, urls: undefined };
  const listed = indexes.platforms === 'list' && indexes.platformlist.length > 0;
  return {
    children: listed ? indexes.platformlist : indexes.platforms === 'none' ? 'none' : 'all',
    blobs,
    urls: urls.allow.length + urls.deny.length === 0 ? undefined : urls,
  };
}

/** Bounded by what is written, so that it may be a metric label. */
function registriesOf({ routes, names }: Pick<Chains, 'routes' | 'names'>, written: Written): string[] {
  const patterns = [...routes.flatMap(({ match }) => match), ...WELL_KNOWN_PATTERNS];
  const matched = patterns.map((pattern) => pattern.split('/')[0] ?? '');
  const named = [...written.names.hosts.values(), ...written.names.prefixes.values(), ...written.names.aliases.values()];
  const all = [...matched, ...named, names.default];
  return [...new Set(all.filter((name) => name !== '' && !/[*?]/.test(name)))];
}
