import type { Clock } from '../system/clock.ts';

/** So much per second, of requests or of bytes: a token bucket. */
export interface Pace {
  /** Milliseconds until one may go before which `ahead` others go. */
  waitMs(ahead: number): number;
  /** Takes so much, now, and yields the milliseconds after which it is paid for. */
  spend(amount: number): number;
}

/** `slack`: what may go at once, after a rest, beyond the first. */
export function createPace(clock: Clock, { perSecond, slack }: { readonly perSecond: number; readonly slack: number }): Pace {
  const msEach = 1000 / perSecond;
  /** When all that was taken is paid for. */
  let paidAt = 0;
  const dueMs = (at: number): number => Math.max(0, at - slack * msEach - clock.monotonic());
  return {
    waitMs: (ahead) => dueMs(Math.max(paidAt, clock.monotonic()) + ahead * msEach),
    spend(amount) {
      paidAt = Math.max(paidAt, clock.monotonic()) + amount * msEach;
      return dueMs(paidAt);
    },
  };
}
