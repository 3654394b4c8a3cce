/** Time, as a port: the only way that the house learns the time or waits for it, so that tests and the simulator can turn it. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch. It may jump either way: use it for times that are kept, never for waiting. */
  now(): number;
  /** Milliseconds since some start, never going back: for durations. */
  monotonic(): number;
  /**
   * Calls back once after `ms` milliseconds. `ms` is 0 to {@link TIMER_MS_MAX}; more throws RangeError, since Node's timers
   * overflow at 2^31 ms and then fire at once. A timer never keeps the process alive by itself.
   */
  after(ms: number, callback: () => void): Timer;
}

export interface Timer {
  /** Harmless after the timer has fired. */
  cancel(): void;
}

/** One day: nothing in the house waits longer without looking at the clock again. */
export const TIMER_MS_MAX = 24 * 3600 * 1000;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, callback) {
    if (!(ms >= 0 && ms <= TIMER_MS_MAX)) throw new RangeError(`a timer of ${ms} ms is outside 0 to ${TIMER_MS_MAX}`);
    const timer = setTimeout(callback, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Resolves after `ms`; rejects with the signal's reason if that comes first. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
