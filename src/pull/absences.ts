import type { Clock } from '../system/clock.ts';
import type { Refusal } from './refusal.ts';
import { recentOnes } from './recent.ts';

/** Absences that are remembered at once: more is a crawler's doing. */
const ABSENCES_MAX = 10_000;

export type Absence = Extract<Refusal, { kind: 'absent' }>;

/**
 * True where every upstream said 404. One that refused to show it (401 or 403, hence the hint) may hold it still: that is
 * answered as an absence, but nothing is dropped for it. So may one that asks us in turn.
 */
export function isCertain({ hint, looped }: Absence): boolean {
  return hint === undefined && looped !== true;
}

/**
 * 404s of whole chains, for the route's negative ttl. Only a definite absence comes here, never 401, 403, 429 or trouble
 * (reliability.md, R26). In memory: a restart may ask again.
 */
export class Absences {
  readonly #clock: Clock;
  readonly #entries = recentOnes<{ readonly absence: Absence; readonly until: number }>(ABSENCES_MAX);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `key` names route, repository and what was asked for. */
  get(key: string): Absence | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (this.#clock.monotonic() < entry.until) return entry.absence;
    this.#entries.delete(key);
    return undefined;
  }

  /**
   * For its ttl, counted from the question: what was pushed since is there. What was found out in a circle of mirrors holds for
   * whoever asked, and is not kept for others.
   */
  remember(key: string, absence: Absence, ttlMs: number): void {
    const { asked = this.#clock.monotonic() } = absence;
    if (ttlMs > 0 && absence.looped !== true) this.#entries.set(key, { absence, until: asked + ttlMs });
  }

  forget(key: string): void {
    this.#entries.delete(key);
  }

  /** Of all routes: their chains may be others now. */
  clear(): void {
    this.#entries.clear();
  }
}
