import type { Readiness } from '../http/probes.ts';
import type { Clock, Timer } from '../system/clock.ts';

/** How often the metadata store, and a disk in trouble, are looked at (reliability.md, S51: never by a request). */
const LOOK_MS = 5_000;

export interface ConditionOptions {
  readonly clock: Clock;
  /** Reject when that part does not work. */
  readonly probes: Readonly<Record<Part, () => Promise<void>>>;
  readonly anyUpstreamUp: () => boolean;
  /** Told once per change. */
  readonly onChange: (part: Trouble, degraded: boolean, error: unknown) => void;
  /** What does not work in other processes of this server. */
  readonly elsewhere?: () => readonly Trouble[];
}

/** What may not work. */
export type Trouble = Part | 'audit';

/** What pulls need. */
export type Part = 'storage' | 'metadata';

/** What the rooms report that says how a part does. */
export type Noted =
  | { readonly kind: 'bypass' | 'push-failed'; readonly reason: Part | 'room'; readonly error: unknown }
  | { readonly kind: 'kept' };

/** What works and what does not, kept up to date by what the house reports and by one timer. */
export class Condition {
  readonly #options: ConditionOptions;
  readonly #degraded = new Set<Trouble>();
  #phase: 'starting' | 'serving' | 'draining' = 'starting';
  #timer: Timer | undefined;

  constructor(options: ConditionOptions) {
    this.#options = options;
  }

  /** Looks for the first time, then for ever until `drain`. */
  async start(): Promise<void> {
    await this.#look();
    this.#phase = 'serving';
  }

  drain(): void {
    this.#phase = 'draining';
    this.#timer?.cancel();
  }

  note(event: Noted): void {
    if (event.kind !== 'kept') {
      // Full, as it is meant to be.
      if (event.reason !== 'room') this.#set(event.reason, true, event.error);
      return;
    }
    // What was kept went through both.
    for (const part of ['storage', 'metadata'] as const) this.#set(part, false, undefined);
  }

  /** Whether the audit can be written; nobody is served less for it. */
  noteAudit(error: unknown): void {
    this.#set('audit', error !== undefined, error);
  }

  /** Here or in another process: whoever is asked speaks for the server. */
  degraded(): readonly Trouble[] {
    return [...new Set([...this.#degraded, ...(this.#options.elsewhere?.() ?? [])])];
  }

  degradedHere(): readonly Trouble[] {
    return [...this.#degraded];
  }

  isUp(part: Part): boolean {
    return !this.#degraded.has(part);
  }

  /** Pulls that pass through are service too: not ready is only who can do neither. */
  readiness(): Readiness {
    const degraded = this.degraded();
    if (this.#phase !== 'serving') return { ready: false, reason: this.#phase, degraded };
    const needed = degraded.filter((part) => part !== 'audit');
    if (needed.length === 0 || this.#options.anyUpstreamUp()) return { ready: true, degraded };
    return { ready: false, reason: `neither ${needed.join(' nor ')} nor any upstream can be reached`, degraded };
  }

  async #look(): Promise<void> {
    for (const part of ['metadata', 'storage'] as const) {
      // A disk that works is not written to just to see that: trouble shows when something is to be kept.
      if (part === 'storage' && this.#phase === 'serving' && !this.#degraded.has(part)) continue;
      try {
        await this.#options.probes[part]();
        this.#set(part, false, undefined);
      } catch (error) {
        this.#set(part, true, error);
      }
    }
    if (this.#phase !== 'draining') this.#timer = this.#options.clock.after(LOOK_MS, () => void this.#look());
  }

  #set(part: Trouble, degraded: boolean, error: unknown): void {
    if (degraded === this.#degraded.has(part)) return;
    if (degraded) this.#degraded.add(part);
    else this.#degraded.delete(part);
    this.#options.onChange(part, degraded, error);
  }
}
