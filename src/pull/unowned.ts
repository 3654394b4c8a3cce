import { setMaxListeners } from 'node:events';
import { RegistryError } from '../oci/errors.ts';
import type { Clock } from '../system/clock.ts';
import { within } from './within.ts';

/** Whatever does not end when it is told to is left to the end of the process. */
export const END_MS = 10_000;

/**
 * What goes on when the client that began it has gone, since others may wait for it too, or come for it later. The end of the
 * server is its end: nothing of it is to find files and records closed.
 */
export class Unowned {
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(clock: Clock) {
    this.#clock = clock;
    // Each question that is asked at the time listens.
    setMaxListeners(0, this.#abort.signal);
  }

  /** Ends its questions to upstreams: with a refusal, so that nobody asks anew in another way. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The same work, waited for at the end. */
  track<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    const ended = (): void => void this.#running.delete(work);
    work.then(ended, ended);
    return work;
  }

  /** Resolves when nothing of it runs any more, what it began meanwhile included, or after {@link END_MS}. */
  async end(): Promise<void> {
    this.#abort.abort(new RegistryError('UNAVAILABLE', 'the server ends', { status: 503 }));
    await within(this.#clock, this.#ended(), END_MS);
  }

  async #ended(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }
}
