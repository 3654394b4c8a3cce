import { sleep, type Clock } from '../system/clock.ts';
import { nextTurn } from '../system/turn.ts';

/** The timer is not asked for less. */
const REST_MIN_MS = 20;

/** What `verify` waits for after each slice: so many bytes a second on average, and others first in any case. */
export function createPace(clock: Clock, bytesPerSecond: number, signal: AbortSignal): (bytes: number) => Promise<void> {
  let due = clock.monotonic();
  return async (bytes) => {
    // What stood still for a while is not caught up with.
    due = Math.max(due, clock.monotonic() - 1000) + (bytes / bytesPerSecond) * 1000;
    const rest = due - clock.monotonic();
    if (rest >= REST_MIN_MS) await sleep(clock, rest, signal);
    else await nextTurn();
  };
}

const MIB = 1024 * 1024;
const RATE_MIN = MIB;
const RATE_MAX = 64 * MIB;

/**
 * Bytes a second for a store on a disk of which `usedBytes` are used, by whomever: all of it within `periodMs`, with a fifth
 * of that to spare. Never so slow that one large blob takes days, since each restart begins it anew; never more than a
 * thirtieth of a processor.
 */
export function rateFor(usedBytes: number, periodMs: number): number {
  return Math.min(RATE_MAX, Math.max(RATE_MIN, usedBytes / ((0.8 * periodMs) / 1000)));
}
