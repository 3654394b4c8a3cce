import type { BlobStore } from '../blobs/blob-store.ts';
import type { InventoryPlace, Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import { pagesOf } from '../system/paged.ts';
import { nextTurn } from '../system/turn.ts';
import type { Evicted } from './events.ts';
import type { Keep } from './keep.ts';
import type { Excess } from './limits.ts';
import type { Turn } from './turn.ts';

/**
 * What was used within it is in use: a manifest was answered, and its layers are about to be asked for. No longer, since a
 * small cache under many pulls has little else to give; who still reads what goes reads on.
 */
export const IN_USE_MS = 5_000;

/** Entries that are looked at together. */
const PAGE = 64;

/** Files that are removed at once: each waits for its directory to be synced. */
const AT_ONCE = 8;

/** As many are looked at for a victim; when all were used since they took their places, the least recent of them goes. */
const LOOKED_AT_MAX = 256;

/** So much further ahead than now no use can be: a clock had jumped. */
const FUTURE_MS = 24 * 3600_000;

export interface EvictDeps {
  readonly clock: Clock;
  /** Without a limit: what leaves the inventory is written here. */
  readonly blobs: Pick<BlobStore, 'remove' | 'parts' | 'removePart'>;
  readonly records: Pick<
    Records,
    'inventory' | 'lastUse' | 'blob' | 'isHosted' | 'beginEviction' | 'endEviction' | 'flushed' | 'writeUses'
  >;
}

/**
 * Removes what was used least recently until the excess is gone, or nothing may go any more: bytes first, of layers before
 * their manifests, since a manifest's use is its layers' use too (records-uses.ts). Yields what went, or with `dryRun` what
 * would go, after it is gone. Its cost follows what goes, never what is held: each entry that is looked at either goes or
 * takes a place of its last use, where it is not met again before its turn.
 */
export async function* evict(
  deps: EvictDeps,
  { excess, keep, turn, dryRun = false }: { excess: Excess; keep: Keep; turn: Turn; dryRun?: boolean },
): AsyncGenerator<Evicted> {
  await deps.records.writeUses();
  const missing = { ...excess };
  for await (const victims of victimsOf(deps, keep, dryRun)) {
    const going: Candidate[] = [];
    for (const victim of victims) {
      if (missing.bytes <= 0 && missing.files <= 0) break;
      going.push(victim);
      missing.bytes -= victim.place.size;
      missing.files -= 1;
    }
    if (dryRun) yield* going.map(evictedOf(deps.clock.now()));
    else yield* await remove(deps, going, turn);
    if (missing.bytes <= 0 && missing.files <= 0) return;
    await nextTurn();
  }
}

/** Entries in the order of leaving, as many at a time as are looked at together. */
export const oldestFirst = ({ inventory }: Pick<Records, 'inventory'>): AsyncGenerator<readonly InventoryPlace[]> =>
  pagesOf(
    (after: InventoryPlace | undefined, limit) => inventory.oldest(after, limit),
    (place) => place,
    PAGE,
  );

/** An entry that may go, and when it was used last. */
export interface Candidate {
  readonly place: InventoryPlace;
  readonly used: number;
}

/** In pages, in the order of leaving; ends where everything that is left is in use. */
async function* victimsOf(deps: EvictDeps, keep: Keep, dryRun: boolean): AsyncGenerator<readonly Candidate[]> {
  let passed: Candidate[] = [];
  for await (const page of oldestFirst(deps.records)) {
    const { victims, used, moves, left, ended } = await judge(deps, keep, page);
    if (!dryRun) {
      await deps.records.inventory.move(moves);
      await deps.records.inventory.leave(left);
    }
    if (victims.length > 0) passed = [];
    else passed.push(...used);
    if (victims.length > 0) yield victims;
    else if (passed.length >= LOOKED_AT_MAX) {
      yield leastRecent(passed, deps.clock.now());
      passed = [];
    }
    if (ended) break;
  }
  if (passed.length > 0) yield leastRecent(passed, deps.clock.now());
}

/** What becomes of entries: they go, or move to where their last use puts them, or are no longer the cache's. */
async function judge(deps: EvictDeps, keep: Keep, page: readonly InventoryPlace[]) {
  const now = deps.clock.now();
  const victims: Candidate[] = [];
  const used: Candidate[] = [];
  const moves: { from: InventoryPlace; to: number }[] = [];
  const left: Digest[] = [];
  for (const place of page) {
    // Later entries were used later still.
    if (isInUse(place.position, now)) return { victims, used, moves, left, ended: true };
    const last = await lastUseOf(deps, place.digest);
    if (place.position > now + FUTURE_MS) moves.push({ from: place, to: now });
    else if (await deps.records.isHosted(place.digest)) left.push(place.digest);
    else if ((await keep.why(place.digest)) !== undefined) moves.push({ from: place, to: now });
    else if (last > place.position) {
      moves.push({ from: place, to: last });
      used.push({ place: { ...place, position: last }, used: last });
    } else victims.push({ place, used: place.position });
  }
  return { victims, used, moves, left, ended: false };
}

/** 0 where none is noted, or one that cannot be: a clock had jumped. */
export async function lastUseOf({ clock, records }: Pick<EvictDeps, 'clock' | 'records'>, digest: Digest): Promise<number> {
  const noted = (await records.lastUse(digest)) ?? 0;
  return noted > clock.now() + FUTURE_MS ? 0 : noted;
}

/** A use that is to come was before the clock went back: nobody can tell how long ago, and it is at least that long. */
function isInUse(used: number, now: number): boolean {
  return used > now - IN_USE_MS && used <= now + IN_USE_MS;
}

function leastRecent(candidates: readonly Candidate[], now: number): readonly Candidate[] {
  return candidates
    .filter(({ used }) => !isInUse(used, now))
    .sort((a, b) => a.used - b.used)
    .slice(0, PAGE);
}

/** A batch is ended whatever comes: what was begun and not ended is ended at the next start. */
export async function remove(
  { clock, blobs, records }: EvictDeps,
  batch: readonly Candidate[],
  turn: Turn,
): Promise<readonly Evicted[]> {
  if (batch.length === 0) return [];
  const digests = batch.map(({ place }) => place.digest);
  await records.inventory.begin(digests);
  const marked = new Set<Digest>();
  await Promise.all(digests.map(async (digest) => (await records.beginEviction(digest)) && marked.add(digest)));
  // A push that takes the record's word for it must not find it after a power loss that the file did not outlive.
  await records.flushed();
  const left = [...marked];
  const gone: Digest[] = [];
  const dropped = await Promise.allSettled(
    Array.from({ length: AT_ONCE }, async () => {
      for (let digest = left.pop(); digest !== undefined; digest = left.pop()) {
        await removeBytes({ blobs }, digest, turn);
        gone.push(digest);
      }
    }),
  );
  await turn.check();
  // Together, so that an embedded store makes one transaction of them instead of nearly as many as blobs: each writes the whole way
  // from its tree's root anew, which is the longer the more is held.
  const ended = await Promise.allSettled(gone.map((digest) => records.endEviction(digest)));
  // Not before all have come to their end: the turn goes back then, and nothing may be removed without it.
  const failed = [...dropped, ...ended].find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  await records.inventory.end(digests);
  return batch.filter(({ place }) => marked.has(place.digest)).map(evictedOf(clock.now()));
}

async function removeBytes({ blobs }: Pick<EvictDeps, 'blobs'>, digest: Digest, turn: Turn): Promise<void> {
  // Whoever evicts after us may have ended it, and a push have brought the bytes again.
  await turn.check();
  await blobs.remove(digest);
}

/** Ends what a process that died had begun; yields how many. Nobody else may evict meanwhile. */
export async function endEvictions({ blobs, records }: Pick<EvictDeps, 'blobs' | 'records'>, turn: Turn): Promise<number> {
  let ended = 0;
  for (;;) {
    const page = await records.inventory.going(undefined, PAGE);
    if (page.length === 0) return ended;
    for (const digest of page) {
      if ((await records.blob(digest))?.state === 'evicting') {
        await records.inventory.begin([digest]);
        await removeBytes({ blobs }, digest, turn);
        await records.endEviction(digest);
        await records.inventory.end([digest]);
      } else await records.inventory.spare([digest]);
      ended += 1;
    }
  }
}

const evictedOf =
  (now: number) =>
  ({ place: { digest, size }, used }: Candidate): Evicted => ({ digest, bytes: size, idleMs: Math.max(0, now - used) });
