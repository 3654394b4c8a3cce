import { TIMER_MS_MAX, type Clock } from '../../src/system/clock.ts';

/** A clock that stands still until it is told to move. */
export interface FakeClock extends Clock {
  /**
   * Lets `ms` pass. Timers that fall due fire in the order of their times (equal times: in the order they were set), each
   * with the clock at its own time, and promise chains settle before the first, between any two, and after the last; so a
   * timer set by such a chain fires too, if it falls due. What a callback throws rejects here.
   */
  advance(ms: number): Promise<void>;
  /** Moves the wall clock alone, either way, as an administrator or NTP does; no timer fires. */
  jump(ms: number): void;
  /** Timers set, neither fired nor cancelled: 0 at the end of a test that leaks none. */
  pending(): number;
}

interface Waiting {
  readonly due: number;
  readonly callback: () => void;
}

/**
 * `start` is the wall clock's first reading, ms since the epoch. The monotonic clock starts at 0. `turns`: of the event loop,
 * that chains are given to settle; one is all that promises need.
 */
export function createFakeClock(start: number = Date.UTC(2026, 0, 1), turns = 3): FakeClock {
  const waiting = new Set<Waiting>();
  let elapsed = 0;
  let wallOffset = start;

  return {
    now: () => wallOffset + elapsed,
    monotonic: () => elapsed,
    after(ms, callback) {
      if (!(ms >= 0 && ms <= TIMER_MS_MAX)) throw new RangeError(`a timer of ${ms} ms is outside 0 to ${TIMER_MS_MAX}`);
      const timer = { due: elapsed + ms, callback };
      waiting.add(timer);
      return { cancel: () => void waiting.delete(timer) };
    },
    async advance(ms) {
      const until = elapsed + ms;
      await settle(turns);
      for (let next = earliest(waiting, until); next !== undefined; next = earliest(waiting, until)) {
        waiting.delete(next);
        elapsed = Math.max(elapsed, next.due);
        next.callback();
        await settle(turns);
      }
      elapsed = Math.max(elapsed, until);
    },
    jump(ms) {
      wallOffset += ms;
    },
    pending: () => waiting.size,
  };
}

/** A Set keeps the order of insertion, so that the first of equals is the one set first. */
function earliest(waiting: ReadonlySet<Waiting>, until: number): Waiting | undefined {
  let found: Waiting | undefined;
  for (const timer of waiting) {
    if (timer.due <= until && (found === undefined || timer.due < found.due)) found = timer;
  }
  return found;
}

/** All promise jobs run before an immediate does; several of them, for chains that pass through one themselves. */
async function settle(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
