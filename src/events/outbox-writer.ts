import type { OutboxEntry, Records } from '../metadata/records.ts';
import type { Clock, Timer } from '../system/clock.ts';
import type { ReportNotifications } from './events.ts';

/** Events that one commit may take, and that may wait in memory to be written, of pulls alone. */
const BATCH_MAX = 500;
export const UNWRITTEN_MAX = 10_000;

/** How long a store that could not be written is left alone. */
const RETRY_MS = 1_000;

export interface OutboxWriterOptions {
  readonly records: Pick<Records, 'outbox' | 'flushed'>;
  readonly clock: Clock;
  /** Of each endpoint, in the store. */
  readonly eventsMax: number;
  readonly report: ReportNotifications;
  /** Called when something was written. */
  readonly onWritten: () => void;
}

interface Item {
  /** The same event, for each endpoint that wants it. */
  readonly entries: readonly OutboxEntry[];
  /** Who waits until it is durable; `undefined`: nobody, and it is tried again. */
  readonly waiter: { resolve(): void; reject(error: unknown): void } | undefined;
}

/** Writes events into the outbox in the order in which they come; what comes while a commit runs goes into the next. */
export class OutboxWriter {
  readonly #options: OutboxWriterOptions;
  #items: Item[] = [];
  #writing: Promise<void> | undefined;
  #retry: Timer | undefined;

  constructor(options: OutboxWriterOptions) {
    this.#options = options;
  }

  /** Nobody waits for it: while the store cannot be written it is kept in memory, as far as there is room. */
  add(entries: readonly OutboxEntry[]): void {
    this.#items.push({ entries, waiter: undefined });
    this.#dropExcess();
    this.#start();
  }

  /** Resolves when they are durable; rejects when they could not be written. */
  addDurably(entries: readonly OutboxEntry[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#items.push({ entries, waiter: { resolve, reject } });
      this.#start();
    });
  }

  /** Writes what waits, once; what cannot be written then is lost, and reported. */
  async close(): Promise<void> {
    this.#cancelRetry();
    this.#start();
    await this.#writing;
    this.#cancelRetry();
    this.#lose(this.#items.splice(0));
  }

  #cancelRetry(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
  }

  #start(): void {
    if (this.#items.length === 0 || this.#retry !== undefined) return;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
      this.#start(); // What came after its last look.
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#items.length > 0) {
      const batch = this.#items.splice(0, BATCH_MAX);
      try {
        await this.#write(batch);
      } catch (error) {
        this.#onFailure(batch, error);
        return;
      }
    }
  }

  async #write(batch: readonly Item[]): Promise<void> {
    const { records, eventsMax, report, onWritten } = this.#options;
    const dropped = await records.outbox.append(
      batch.flatMap(({ entries }) => entries),
      eventsMax,
    );
    for (const [endpoint, count] of dropped) if (count > 0) report({ kind: 'notifications-dropped', endpoint, count });
    onWritten();
    if (batch.some(({ waiter }) => waiter !== undefined)) await records.flushed();
    for (const { waiter } of batch) waiter?.resolve();
  }

  #onFailure(batch: readonly Item[], error: unknown): void {
    this.#options.report({ kind: 'notifications-unreachable', error });
    const waiting = [...batch, ...this.#items];
    for (const { waiter } of waiting) waiter?.reject(error);
    this.#items = waiting.filter(({ waiter }) => waiter === undefined);
    this.#dropExcess();
    this.#retry = this.#options.clock.after(RETRY_MS, () => {
      this.#retry = undefined;
      this.#start();
    });
  }

  #dropExcess(): void {
    const excess = this.#items.length - UNWRITTEN_MAX;
    if (excess <= 0) return;
    const oldest = new Set(this.#items.filter(({ waiter }) => waiter === undefined).slice(0, excess));
    this.#items = this.#items.filter((item) => !oldest.has(item));
    this.#lose([...oldest]);
  }

  #lose(items: readonly Item[]): void {
    const counts = new Map<string, number>();
    for (const { receiver } of items.flatMap(({ entries }) => entries)) counts.set(receiver, (counts.get(receiver) ?? 0) + 1);
    for (const [endpoint, count] of counts) this.#options.report({ kind: 'notifications-dropped', endpoint, count });
  }
}
