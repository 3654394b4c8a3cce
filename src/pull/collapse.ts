import type { Pseudonym } from '../oci/via.ts';
import type { Clock } from '../system/clock.ts';
import { isLooped, PATIENCE_MS, type Told } from './via.ts';
import { within } from './within.ts';

/** What was answered; `joined` for those who found the question already being asked. */
export interface Answered<T> {
  readonly value: T;
  readonly joined: boolean;
}

/**
 * Joins those who ask the same question at the same time: the first runs it, the others get its answer. The run belongs to
 * nobody: a caller that leaves does not end it.
 */
export class Collapse<T extends Told> {
  readonly #clock: Clock;
  readonly #running = new Map<string, Promise<T>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * `via`: the mirrors through which the caller asks. Where the question that runs may wait for one of them, or was refused
   * because it came through another, the caller's own is asked beside it.
   */
  async ask(key: string, run: () => Promise<T>, via: readonly Pseudonym[] = []): Promise<Answered<T>> {
    const running = this.#running.get(key);
    if (running === undefined) return { value: await this.#run(key, run), joined: false };
    const value = via.length === 0 ? await running : await within(this.#clock, running, PATIENCE_MS);
    if (value !== undefined && !isLooped(value)) return { value, joined: true };
    const own = this.#own(`${key} via ${via.join(' ')}`, run);
    return value === undefined ? firstOf(running, own) : await own;
  }

  async #own(key: string, run: () => Promise<T>): Promise<Answered<T>> {
    const running = this.#running.get(key);
    return running === undefined ? { value: await this.#run(key, run), joined: false } : { value: await running, joined: true };
  }

  #run(key: string, run: () => Promise<T>): Promise<T> {
    const started = run().finally(() => this.#running.delete(key));
    this.#running.set(key, started);
    return started;
  }
}

/** The answer to either; to the own question where the other's is of no use. */
function firstOf<T extends Told>(running: Promise<T>, own: Promise<Answered<T>>): Promise<Answered<T>> {
  const other = running.then(
    (value) => (isLooped(value) ? own : { value, joined: true }),
    () => own, // What it failed with is its callers' to hear.
  );
  return Promise.race([other, own]);
}
