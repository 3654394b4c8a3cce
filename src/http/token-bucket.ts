import { createRecent } from '../auth/recent.ts';
import type { EdgeClock } from './ports.ts';

/** How often: so many a second, and so many at once before that counts. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** A bucket for each key that was seen lately. */
export interface TokenBuckets {
  /**
   * Takes one, also one that is only there within `waitMsMax`: `waitMs` says when. Where it would be later nothing is taken,
   * and `waitMs` says when there is one again.
   */
  take(key: string, rate: Rate, waitMsMax: number): Taken;
  /** Whether one could be taken without a wait. */
  has(key: string, rate: Rate): boolean;
}

export interface Taken {
  readonly taken: boolean;
  readonly waitMs: number;
}

/** Who is forgotten has all of the burst again; whoever has so many keys to forget them by has as many bursts anyway. */
export const BUCKETS_MAX = 10_000;

/** What is taken before it is there leaves less than nothing, so that those who wait have a turn each. */
export function createTokenBuckets(clock: Pick<EdgeClock, 'monotonic'>): TokenBuckets {
  const buckets = createRecent<{ readonly left: number; readonly atMs: number }>(BUCKETS_MAX);
  const leftNow = (key: string, { perSecond, burst }: Rate, now: number): number => {
    const { left, atMs } = buckets.get(key) ?? { left: burst, atMs: now };
    return Math.min(burst, left + ((now - atMs) * perSecond) / 1000);
  };
  return {
    has: (key, rate) => leftNow(key, rate, clock.monotonic()) >= 1,
    take(key, rate, waitMsMax) {
      const now = clock.monotonic();
      const before = leftNow(key, rate, now);
      const { perSecond } = rate;
      const waitMs = Math.max(0, ((1 - before) * 1000) / perSecond);
      const taken = waitMs <= waitMsMax;
      // Who is refused is remembered too.
      buckets.put(key, { left: taken ? before - 1 : before, atMs: now });
      return { taken, waitMs };
    },
  };
}
