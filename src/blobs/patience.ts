import type { Clock } from '../system/clock.ts';

/** A disk that answers after so long is of no use to who waits: an upstream is quicker. */
export const PATIENCE_MS = 10_000;

/** It may answer yet; `code` says that it is the disk's trouble. */
export class DiskSlow extends Error {
  override readonly name = 'DiskSlow';
  readonly code = 'ETIMEDOUT';

  constructor(what: string, ms: number) {
    super(`the disk did not end ${what} within ${ms / 1000} s`);
  }
}

interface Waiting {
  readonly what: string;
  readonly since: number;
  readonly reject: (error: DiskSlow) => void;
}

/** Limits how long the disk is waited for. One timer for all calls, and none while there are none: reads are many. */
export class Patience {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #waiting = new Set<Waiting>();
  #isLooking = false;

  constructor(clock: Clock, ms: number = PATIENCE_MS) {
    this.#clock = clock;
    this.#ms = ms;
  }

  /** Rejects with {@link DiskSlow} when the work takes too long, within a quarter of that; the work itself goes on. */
  limit<T>(what: string, work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const waiting: Waiting = { what, since: this.#clock.monotonic(), reject };
      this.#waiting.add(waiting);
      this.#lookLater();
      work.then(
        (result) => {
          this.#waiting.delete(waiting);
          resolve(result);
        },
        (error: unknown) => {
          this.#waiting.delete(waiting);
          reject(error);
        },
      );
    });
  }

  #lookLater(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#clock.after(this.#ms / 4, () => this.#look());
  }

  #look(): void {
    this.#isLooking = false;
    const before = this.#clock.monotonic() - this.#ms;
    for (const waiting of this.#waiting) {
      if (waiting.since > before) continue;
      this.#waiting.delete(waiting);
      waiting.reject(new DiskSlow(waiting.what, this.#ms));
    }
    if (this.#waiting.size > 0) this.#lookLater();
  }
}
