import type { Clock } from '../../system/clock.ts';
import type { Reader } from '../content.ts';

/** A range this far ahead waits if it will be reached within this time (architecture.md, decision 6). */
export const AHEAD_WAIT_MS = 2_000;
/** Before a rate is known, what is nearer than this is waited for. */
const AHEAD_NEAR_BYTES = 1024 * 1024;
/** Ranges of one blob that pass through beside its fill. */
export const AHEAD_MAX = 4;

/** How fast a fill's bytes arrive, from its first answer on. */
export class RateMeter {
  readonly #clock: Clock;
  #start: { readonly at: number; readonly written: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** An upstream has answered; what was on disk before it came at no rate. */
  begin(written: number): void {
    this.#start ??= { at: this.#clock.monotonic(), written };
  }

  /** Milliseconds until `target` is written, at the rate so far. */
  etaMs(target: number, written: number): number {
    const distance = target - written;
    const elapsedMs = this.#clock.monotonic() - (this.#start?.at ?? Infinity);
    const bytes = written - (this.#start?.written ?? 0);
    if (bytes <= 0 || elapsedMs <= 0) return distance <= AHEAD_NEAR_BYTES ? 0 : Infinity;
    return distance / (bytes / elapsedMs);
  }
}

/** A range ahead of the frontier: an upstream's bytes up to the held-back tail, and the fill's own from there. */
export class AheadReader implements Reader {
  #current: Reader;
  #rest: (() => Promise<Reader>) | undefined;
  readonly #onClose: () => void;
  #closed = false;

  /** `rest` opens what follows the last byte of `through`; nothing where that is all. */
  constructor(through: Reader, rest: (() => Promise<Reader>) | undefined, onClose: () => void) {
    this.#current = through;
    this.#rest = rest;
    this.#onClose = onClose;
  }

  async read(into: Uint8Array): Promise<number> {
    const count = await this.#current.read(into);
    const rest = this.#rest;
    if (count > 0 || rest === undefined) return count;
    this.#rest = undefined;
    this.#current.close();
    this.#current = await rest();
    if (this.#closed) this.#current.close();
    return this.#current.read(into);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#current.close();
    this.#onClose();
  }
}
