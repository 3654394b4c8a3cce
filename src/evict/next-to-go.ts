import type { Clock } from '../system/clock.ts';
import { evict, type EvictDeps } from './evict.ts';
import type { EvictStep } from './events.ts';
import type { Keep } from './keep.ts';
import { excessOf, headroom, isNone, type CacheLimits, type Excess } from './limits.ts';
import type { Room } from './room.ts';

export interface NextToGoDeps extends EvictDeps {
  readonly room: Pick<Room, 'stock'>;
  readonly limits: () => CacheLimits;
  readonly keep: () => Promise<Keep>;
}

/** Of a long round the rest is counted, and not told one by one. */
const TOLD_MAX = 1_000;

/** What would go first by the limits, and when it was used last: now where they are passed, else when they will be. */
export async function* nextToGo(deps: NextToGoDeps): AsyncGenerator<EvictStep> {
  const started = deps.clock.monotonic();
  const { due, excess } = await nextRound(deps);
  yield { kind: 'round', due, ...excess };
  const totals = { images: 0, kept: 0, blobs: 0, bytes: 0 };
  for await (const { digest, bytes, idleMs } of evict(deps, {
    excess,
    keep: await deps.keep(),
    turn: NOTHING_GOES,
    dryRun: true,
  })) {
    totals.blobs += 1;
    totals.bytes += bytes;
    if (totals.blobs <= TOLD_MAX)
      yield { kind: 'blob', digest, bytes, goes: true, why: `last used ${since(deps.clock, idleMs)}` };
  }
  yield { kind: 'done', dryRun: true, ms: Math.round(deps.clock.monotonic() - started), ...totals };
}

async function nextRound({ room, limits }: NextToGoDeps): Promise<{ readonly due: boolean; readonly excess: Excess }> {
  const [now, stock] = [limits(), await room.stock()];
  const excess = excessOf(now, stock);
  if (!isNone(excess)) return { due: true, excess };
  return { due: false, excess: excessOf(now, stock, headroom(now, stock) + 1) };
}

function since(clock: Clock, idleMs: number): string {
  return new Date(clock.now() - idleMs).toISOString();
}

const NOTHING_GOES = {
  check: () => Promise.reject(new Error('a look ahead removes nothing')),
  end: () => Promise.resolve(),
  leave: () => undefined,
};
