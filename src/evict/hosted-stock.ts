import { allHostedDigests, type Records } from '../metadata/records.ts';
import type { Clock, Timer } from '../system/clock.ts';

/** How often what is hosted is counted again; more rarely where that takes long. */
export const COUNT_EVERY_MS = 10 * 60_000;
/** Of the time, at most one part in so many is spent on it. */
const IDLE_SHARE = 100;

export interface HostedAmount {
  readonly bytes: number;
  readonly blobs: number;
}

export interface HostedStockDeps {
  readonly clock: Clock;
  readonly records: Pick<Records, 'hostedDigests' | 'blob'>;
}

/** What lies on the disk because it was pushed, each digest once: counted in the background, since nobody waits for it. */
export class HostedStock {
  readonly #deps: HostedStockDeps;
  #amount: HostedAmount | undefined;
  #running: Promise<void> | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: HostedStockDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#running = this.#count();
  }

  /** Resolves when nothing is read any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  /** As it was counted last; `undefined` before that. */
  amount(): HostedAmount | undefined {
    return this.#amount;
  }

  async #count(): Promise<void> {
    const { clock } = this.#deps;
    const started = clock.monotonic();
    try {
      this.#amount = await this.#sum();
    } catch {
      // The metadata do not answer, which is told elsewhere: what was counted last stands.
    }
    if (this.#stopped) return;
    const took = clock.monotonic() - started;
    this.#timer = clock.after(Math.max(COUNT_EVERY_MS, took * IDLE_SHARE), () => this.start());
  }

  async #sum(): Promise<HostedAmount | undefined> {
    const { records } = this.#deps;
    let [bytes, blobs] = [0, 0];
    for await (const digest of allHostedDigests(records)) {
      if (this.#stopped) return this.#amount;
      const blob = await records.blob(digest);
      if (blob === undefined) continue;
      bytes += blob.size;
      blobs += 1;
    }
    return { bytes, blobs };
  }
}
