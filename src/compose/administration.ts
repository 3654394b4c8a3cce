import { AdminError } from '../admin/admin-error.ts';
import { isMachineTokenName } from '../auth/machine-token-text.ts';
import type { MachineTokenKeeping } from '../auth/machine-tokens.ts';
import { createAdmin, type Admin, type AdminOptions } from '../admin/admin.ts';
import type { Resolution, RefreshResult } from '../admin/image.ts';
import type { Recent } from '../admin/recent.ts';
import type { HostedRoute, OfflineRoutes } from '../admin/status.ts';
import type { Config } from '../config/config.ts';
import { HOSTED } from '../metadata/records.ts';
import type { Log } from '../observe/log.ts';
import { RegistryError } from '../oci/errors.ts';
import { formatInstant } from '../oci/instant.ts';
import { referenceText } from '../oci/reference.ts';
import type { Target } from '../pull/name.ts';
import { compilePatterns } from '../pull/route.ts';
import { newTrace } from '../pull/trace.ts';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';
import { randomId, type Random } from '../system/random.ts';
import { createCacheControl, type CacheHistory } from './cache-control.ts';
import { whoMayPull } from './access.ts';
import type { Chains } from './chains.ts';
import type { Collecting } from './collecting.ts';
import type { Evicting } from './evicting.ts';
import type { Condition } from './condition.ts';
import type { Pulling } from './pulling.ts';
import type { Scrubbing } from './scrubbing.ts';
import { quotasOf } from './quotas.ts';
import type { Storage } from './storage.ts';

export interface AdministrationParts {
  readonly system: { readonly clock: Clock; readonly disk: Disk; readonly random: Random };
  /** As those see it who answer clients. */
  readonly storage: Storage;
  /** As it is, for what is taken in. */
  readonly taken: Storage;
  readonly pulling: Pulling;
  readonly collecting: Pick<Collecting, 'collect' | 'keepOut'>;
  readonly evicting: Evicting;
  readonly history: CacheHistory;
  readonly scrubbing: Pick<Scrubbing, 'scrub'>;
  readonly machineTokens: MachineTokenKeeping;
  readonly recent: Recent;
  /** `undefined` where no server runs. */
  readonly log: Log | undefined;
  readonly version: string;
  readonly condition: Condition;
  readonly chains: () => Chains;
}

/** What `status`, `explain`, `ls` and `refresh` answer from, wired. */
export function createAdministration(parts: AdministrationParts): Admin {
  return createAdmin({ ...optionsOf(parts), started: parts.system.clock.now() });
}

function optionsOf(parts: AdministrationParts): Omit<AdminOptions, 'started'> {
  const { system, storage, taken, pulling, collecting, evicting, history, scrubbing, recent, log, version, condition, chains } =
    parts;
  return {
    version,
    clock: system.clock,
    records: storage.records,
    blobs: storage.blobs,
    recent,
    resolve: (image) => resolveImage(chains(), image),
    routeOf: (name) => chains().routeOf(name),
    whoMayPull: (holder, as) => whoMayPull(chains().config, holder, as),
    shown: (holder) => (chains().config.mode === 'plain' ? (chains().showName(undefined)(holder) ?? holder) : holder),
    match: (pattern) => compilePatterns([pattern]),
    refresh: (name, tag) => refresh(parts, name, tag),
    cache: createCacheControl({ storage: taken, records: storage.records, evicting, history, chains }),
    collect: collecting.collect,
    scrub: scrubbing.scrub,
    // Few servers are ever asked for these two.
    async *import(request) {
      const { createImporting } = await import('./importing.ts');
      yield* createImporting({ system, storage: taken, chains, keepOut: collecting.keepOut })(request);
    },
    async *backup(request) {
      const { createBackup } = await import('./backing-up.ts');
      yield* createBackup({ system, storage: taken, chains, keepOut: collecting.keepOut, version })(request);
    },
    tokens: { ...parts.machineTokens, isName: isMachineTokenName },
    fills: () =>
      pulling.fills.running().map(({ registry, digest, size, frontier, readers, upstream }) => ({
        registry,
        digest,
        size,
        frontier,
        followers: Math.max(0, readers - 1),
        upstream: upstream === '' ? undefined : upstream,
      })),
    offline: () => offlineRoutes(chains().config),
    hosted: () => hostedRoutes(chains().config),
    quotas: () => quotasOf({ clock: system.clock, records: storage.records }, chains()),
    upstreams: () => chains().upstreams.statuses(),
    warnings: () => [
      ...condition.degraded().map((part) => `${part} is in trouble: ${whatThen(part, chains().config)}`),
      ...chains().config.warnings,
    ],
    logDropped: () => log?.dropped() ?? 0,
  };
}

function offlineRoutes({ routes }: Config): OfflineRoutes {
  const asked = routes.filter(({ deny }) => !deny);
  const offline = asked.filter(({ policy }) => policy.offline);
  return { all: offline.length === asked.length, routes: offline.map(({ name }) => name) };
}

/** Of a disk or metadata that cannot be asked. */
function whatThen(part: string, config: Config): string {
  if (part === 'audit') return 'requests go on, and its records wait in memory, or are lost beyond 4 MiB';
  return hostedRoutes(config).length === 0
    ? 'pulls pass through uncached'
    : 'mirrored pulls pass through uncached, and routes with hosted answer 503';
}

function hostedRoutes({ routes }: Config): HostedRoute[] {
  return routes.filter(({ upstreams }) => upstreams.includes(HOSTED)).map(({ name, push }) => ({ name, push }));
}

/** An image as a person writes it, `ubuntu`, `quay.io/org/x:1`, `x@sha256:…`, by the same parser as a request's name. */
function resolveImage(chains: Chains, image: string): Resolution {
  const { repository, reference } = splitImage(image);
  const target = parse(chains, `/v2/${repository}/manifests/${reference}`);
  if (target.kind !== 'manifest') throw new AdminError(`"${image}" can be no image`);
  const { name } = target;
  const route = chains.routeOf(name);
  return {
    registry: name.registry,
    repository: name.repository,
    reference: referenceText(target.reference),
    ...(name.asof === undefined ? {} : { asof: name.asof }),
    steps: [
      `${image} is read as ${repository}, ${reference.includes(':') ? 'digest' : 'tag'} ${reference}`,
      `its registry is ${name.registry}`,
      `its repository there is ${name.repository}`,
      ...(name.asof === undefined ? [] : [`its tags are meant as of ${formatInstant(name.asof)}`]),
      route === undefined ? 'no route matches it' : `the first route that matches is ${route.name}`,
    ],
  };
}

function parse(chains: Chains, path: string): Target {
  try {
    return chains.parseName(`${chains.config.http.prefix}${path}`, undefined);
  } catch (error) {
    if (error instanceof RegistryError) throw new AdminError(error.message);
    throw error;
  }
}

/** A tag stands behind the last colon, where no slash follows it; without one it is `latest`. */
function splitImage(image: string): { readonly repository: string; readonly reference: string } {
  const at = image.indexOf('@');
  const colon = image.lastIndexOf(':', at < 0 ? undefined : at);
  const tagged = colon > image.lastIndexOf('/', at < 0 ? undefined : at);
  const end = tagged ? colon : at < 0 ? undefined : at;
  if (at >= 0) return { repository: image.slice(0, end), reference: image.slice(at + 1) };
  return { repository: image.slice(0, end), reference: tagged ? image.slice(colon + 1) : 'latest' };
}

async function refresh(
  { system, storage, pulling, chains }: AdministrationParts,
  name: { readonly registry: string; readonly repository: string },
  tag: string,
): Promise<RefreshResult> {
  const holder = `${name.registry}/${name.repository}`;
  const before = (await storage.records.tag(holder, tag))?.digest;
  const shown = chains().showName(undefined)(holder) ?? holder;
  const target = parse(chains(), `/v2/${shown}/manifests/${tag}`);
  if (target.kind !== 'manifest') throw new AdminError(`"${holder}:${tag}" can be no image`);
  const trace = newTrace(randomId(system.random));
  try {
    const { digest } = await pulling.refresh({ method: 'GET', target, signal: new AbortController().signal, trace });
    const gone = (await storage.records.tag(holder, tag))?.gone !== undefined;
    const outcome = gone ? 'gone' : before === undefined ? 'new' : before === digest ? 'unchanged' : 'moved';
    return { outcome, digest, ...(before === undefined ? {} : { before }) };
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    return { outcome: error.status === 404 ? 'gone' : 'failed', before, message: error.message };
  }
}
