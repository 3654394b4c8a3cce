import type { UpstreamStatus } from '../upstream/upstream.ts';
import type { CacheState, Reuse } from './cache.ts';
import type { Tally } from './recent.ts';
import { hitRatioOf, type Status, type WorkersStatus } from './status.ts';

/** One status of a server whose every process has told its own. `own`: of who does for all what one does. */
export function statusOfAll(own: Status, others: readonly Status[], workers: WorkersStatus, dropped: number): Status {
  const all = [own, ...others];
  const requests = {
    blob: sumTallies(all.map((one) => one.requests.blob)),
    manifest: sumTallies(all.map((one) => one.requests.manifest)),
  };
  const lost = dropped > 0 ? [`${dropped} writes to the log were dropped: nobody reads the log fast enough`] : [];
  return {
    ...own,
    requests,
    hitRatio: { blob: hitRatioOf(requests.blob), manifest: hitRatioOf(requests.manifest) },
    cache: own.cache && cacheOfAll(own.cache, all),
    upstreams: upstreamsOfAll(all.map(({ upstreams }) => upstreams)),
    // One that is followed by another process is the leader's.
    fills: all.flatMap(({ fills }) => fills),
    warnings: [...new Set([...all.flatMap(({ warnings }) => warnings), ...lost])],
    workers,
  };
}

function sumTallies(tallies: readonly Tally[]): Tally {
  const sums: Record<string, number> = {};
  for (const tally of tallies)
    for (const [outcome, count] of Object.entries(tally)) sums[outcome] = (sums[outcome] ?? 0) + count;
  return sums;
}

function cacheOfAll(own: CacheState, all: readonly Status[]): CacheState {
  const caches = all.flatMap(({ cache }) => cache ?? []);
  const evicted = caches.flatMap((cache) => cache.evicted ?? []);
  const [last] = evicted;
  return {
    ...own,
    evicted: last && {
      blobs: sum(evicted, 'blobs'),
      bytes: sum(evicted, 'bytes'),
      ageMs: Math.min(...evicted.map(({ ageMs }) => ageMs)),
    },
    reuse: reuseOfAll(caches.flatMap(({ reuse }) => reuse ?? [])),
  };
}

/**
 * Each worker sees pulls as they fall to it, by chance: whatever is pulled as often as before among fewer pulls is as far from its last
 * use, in bytes of others, as among all. So each tells the same curve, the better the more it has seen.
 */
function reuseOfAll(told: readonly Reuse[]): Reuse | undefined {
  const [first] = told;
  const uses = sum(told, 'uses');
  if (first === undefined || uses === 0) return first;
  const points = first.points.map(({ bytes }, index) => ({
    bytes,
    hitRatio: told.reduce((all, one) => all + (one.points[index]?.hitRatio ?? 0) * one.uses, 0) / uses,
  }));
  return { uses, points };
}

function upstreamsOfAll(told: readonly (readonly UpstreamStatus[])[]): readonly UpstreamStatus[] {
  const byName = new Map<string, UpstreamStatus>();
  for (const upstream of told.flat()) {
    const before = byName.get(upstream.name);
    byName.set(upstream.name, before === undefined ? upstream : upstreamOfBoth(before, upstream));
  }
  return [...byName.values()];
}

/** What somebody has to know counts: down, refused, used up. */
function upstreamOfBoth(one: UpstreamStatus, other: UpstreamStatus): UpstreamStatus {
  const limits = [one.rateLimit, other.rateLimit].filter((limit) => limit !== undefined);
  const pauses = [one.pausedMs, other.pausedMs].filter((ms) => ms !== undefined);
  return {
    ...one,
    up: one.up && other.up,
    latencyMs: one.latencyMs ?? other.latencyMs,
    credentialsValid:
      one.credentialsValid === false || other.credentialsValid === false
        ? false
        : (one.credentialsValid ?? other.credentialsValid),
    lastError: one.lastError ?? other.lastError,
    rateLimit: limits.toSorted((left, right) => left.remaining - right.remaining)[0],
    ...(pauses.length === 0 ? {} : { pausedMs: Math.max(...pauses) }),
    running: one.running + other.running,
  };
}

function sum<Key extends string>(all: readonly Readonly<Record<Key, number>>[], key: Key): number {
  return all.reduce((total, one) => total + one[key], 0);
}
