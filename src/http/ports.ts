/** The part of the system's clock that the edge needs: durations and timers, which tests turn by hand. */
export interface EdgeClock {
  /** Milliseconds since some start, never going back. */
  monotonic(): number;
  /** Calls back once after `ms` milliseconds; never keeps the process alive. */
  after(ms: number, callback: () => void): { cancel(): void };
}
