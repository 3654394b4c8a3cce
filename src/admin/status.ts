import type { UpstreamStatus } from '../upstream/upstream.ts';
import type { AdminOptions } from './admin.ts';
import type { CacheState } from './cache.ts';
import type { Tally } from './recent.ts';

export interface RunningFill {
  /** Whose upstreams bring it: each registry has a fill of its own. */
  readonly registry: string;
  readonly digest: string;
  readonly size: number | undefined;
  /** Up to where its bytes may be read. */
  readonly frontier: number;
  readonly followers: number;
  readonly upstream: string | undefined;
}

/** Routes on which nobody is asked. */
export interface OfflineRoutes {
  /** There is no other. */
  readonly all: boolean;
  /** By name. */
  readonly routes: readonly string[];
}

/** A route whose chain holds what was pushed here. */
export interface HostedRoute {
  readonly name: string;
  /** Takes pushes. */
  readonly push: boolean;
}

/** A route with a `quota`, in bytes. */
export interface RouteQuota {
  readonly route: string;
  readonly limit: number;
  /** What its repositories hold. */
  readonly used: number;
  /** What is being pushed to them. */
  readonly reserved: number;
}

/** The processes of a server that is several. */
export interface WorkersStatus {
  readonly workers: readonly {
    readonly worker: number;
    readonly pid: number;
    /** Ms since the epoch. */
    readonly started: number;
    readonly state: string;
    /** Does what one process does for all. */
    readonly onDuty: boolean;
  }[];
  /** Those that had to be started in the place of others. */
  readonly restarted: number;
}

export interface Status {
  readonly version: string;
  /** ISO 8601. */
  readonly started: string;
  readonly uptimeMs: number;
  readonly disk: { readonly freeBytes: number; readonly totalBytes: number } | undefined;
  /** Since the start. */
  readonly requests: { readonly blob: Tally; readonly manifest: Tally };
  /** Hits as a share of hits and misses; `undefined` before the first of them. */
  readonly hitRatio: { readonly blob: number | undefined; readonly manifest: number | undefined };
  readonly offline: OfflineRoutes;
  readonly hosted: readonly HostedRoute[];
  readonly quotas: readonly RouteQuota[];
  /** `undefined` while it cannot be asked. */
  readonly cache: CacheState | undefined;
  readonly upstreams: readonly UpstreamStatus[];
  readonly fills: readonly RunningFill[];
  readonly partialFills: number;
  readonly warnings: readonly string[];
  /** Left out where one process serves. */
  readonly workers?: WorkersStatus;
}

export async function status(options: AdminOptions): Promise<Status> {
  const now = options.clock.now();
  const warnings = [...options.warnings()];
  const requests = options.recent.tally();
  const dropped = options.logDropped();
  if (dropped > 0) warnings.push(`${dropped} log records were dropped: nobody reads the log fast enough`);
  const disk = await found(() => options.blobs.space(), 'the disk cannot be asked', warnings);
  const parts = await found(() => options.blobs.parts(), 'partial fills cannot be listed', warnings);
  const quotas = await found(() => options.quotas(), 'quotas cannot be counted', warnings);
  const cache = await found(() => options.cache.state(), 'the cache cannot be asked how full it is', warnings);
  if (disk !== undefined && (cache?.maxBytes ?? 0) > disk.totalBytes - (cache?.keepFreeBytes ?? 0))
    warnings.push('cache.maxsize is more than the disk has: what goes when is decided by cache.keepfree alone');
  await found(() => options.records.ping(), 'the metadata store does not answer', warnings);
  return {
    version: options.version,
    started: new Date(options.started).toISOString(),
    uptimeMs: now - options.started,
    disk: disk === undefined ? undefined : { freeBytes: disk.freeBytes, totalBytes: disk.totalBytes },
    requests,
    hitRatio: { blob: hitRatioOf(requests.blob), manifest: hitRatioOf(requests.manifest) },
    offline: options.offline(),
    hosted: options.hosted(),
    quotas: quotas ?? [],
    cache,
    upstreams: options.upstreams(),
    fills: options.fills(),
    partialFills: parts?.length ?? 0,
    warnings,
  };
}

/** Trouble is part of a status: it becomes a warning, and the rest is shown all the same. */
async function found<T>(ask: () => Promise<T>, trouble: string, warnings: string[]): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    warnings.push(`${trouble}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** Contract, "Metrics": hit, stale and revalidated are hits; miss, collapsed and bypass are misses. */
export function hitRatioOf(tally: Tally): number | undefined {
  const hits = (tally.hit ?? 0) + (tally.stale ?? 0) + (tally.revalidated ?? 0);
  const misses = (tally.miss ?? 0) + (tally.collapsed ?? 0) + (tally.bypass ?? 0);
  return hits + misses === 0 ? undefined : hits / (hits + misses);
}
