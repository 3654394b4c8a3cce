import type { InventoryPlace } from '../metadata/records.ts';
import { lastUseOf, oldestFirst, remove, type Candidate, type EvictDeps } from './evict.ts';
import type { Evicted } from './events.ts';
import type { Keep } from './keep.ts';
import type { Turn } from './turn.ts';

/** So much of what is held may expire in one pass, and so many in any case: a clock that jumped empties no cache (R34). */
const SHARE_MAX = 0.05;
const COUNT_MIN = 16;

/**
 * Removes what was not used for longer than the routes of all repositories that hold it allow. Looks at nothing that is
 * younger than the shortest of them.
 */
export async function* expire(
  deps: EvictDeps,
  { maxAgeMin, keep, turn }: { maxAgeMin: number; keep: Keep; turn: Turn },
): AsyncGenerator<Evicted> {
  await deps.records.writeUses();
  const { blobs } = await deps.records.inventory.usage();
  let left = Math.max(COUNT_MIN, Math.floor(blobs * SHARE_MAX));
  const before = deps.clock.now() - maxAgeMin;
  for await (const page of oldestFirst(deps.records)) {
    const due = page.filter(({ position }) => position <= before);
    const expired = (await Promise.all(due.map((place) => judge(deps, keep, place)))).filter((one) => one !== undefined);
    const gone = await remove(deps, expired.slice(0, left), turn);
    left -= gone.length;
    yield* gone;
    if (due.length < page.length || left === 0) return;
  }
}

async function judge(deps: EvictDeps, keep: Keep, place: InventoryPlace): Promise<Candidate | undefined> {
  const maxAgeMs = await keep.maxAgeOf(place.digest);
  if (maxAgeMs === undefined) return undefined;
  const used = Math.max(place.position, await lastUseOf(deps, place.digest));
  if (used > deps.clock.now() - maxAgeMs || (await deps.records.isHosted(place.digest))) return undefined;
  return (await keep.why(place.digest)) === undefined ? { place, used } : undefined;
}
