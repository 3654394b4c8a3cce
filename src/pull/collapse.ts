import type { Pseudonym } from '../oci/via.ts';
import type { Clock } from '../system/clock.ts';
import type { Unowned } from './unowned.ts';
import { isLooped, PATIENCE_MS, type Told } from './via.ts';
import { within } from './within.ts';

/** What was answered; `joined` for those who found the question already being asked. */
export interface Answered<T> {
  readonly value: T;
  readonly joined: boolean;
}

type Run<T> = (signal: AbortSignal) => Promise<T>;

/**
 * Joins those who ask the same question at the same time: the first runs it, the others get its answer. The run belongs to
 * nobody: a caller that leaves does not end it, the end of the server does, by the signal that it is given.
 */
export class Collapse<T extends Told> {
  readonly #clock: Clock;
  readonly #unowned: Unowned;
  readonly #running = new Map<string, Promise<T>>();

  constructor(clock: Clock, unowned: Unowned) {
    this.#clock = clock;
    this.#unowned = unowned;
  }

  /**
   * `via`: the mirrors through which the caller asks. Where the question that runs may wait for one of them, or was refused
   * because it came through another, the caller's own is asked beside it.
   */
  async ask(key: string, run: Run<T>, via: readonly Pseudonym[] = []): Promise<Answered<T>> {
    const running = this.#running.get(key);
    if (running === undefined) return { value: await this.#run(key, run), joined: false };
    const value = via.length === 0 ? await running : await within(this.#clock, running, PATIENCE_MS);
    if (value !== undefined && !isLooped(value)) return { value, joined: true };
    const own = this.#own(`${key} via ${via.join(' ')}`, run);
    return value === undefined ? firstOf(running, own) : await own;
  }

  async #own(key: string, run: Run<T>): Promise<Answered<T>> {
    const running = this.#running.get(key);
    return running === undefined ? { value: await this.#run(key, run), joined: false } : { value: await running, joined: true };
  }

  #run(key: string, run: Run<T>): Promise<T> {
    const started = this.#unowned.track(run(this.#unowned.signal).finally(() => this.#running.delete(key)));
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
