import { sleep, type Clock } from '../system/clock.ts';

/** The work's result, or `undefined` when it takes longer; the work itself goes on, since others may wait for it too. */
export async function within<T>(clock: Clock, work: Promise<T>, ms: number): Promise<T | undefined> {
  const timer = new AbortController();
  const late = sleep(clock, ms, timer.signal).catch(() => undefined); // Cancelled: the work was first.
  try {
    return await Promise.race([work, late.then(() => undefined)]);
  } finally {
    timer.abort(new Error('no need to wait any more'));
  }
}
