import type { FillKey } from '../../metadata/records.ts';
import type { Clock } from '../../system/clock.ts';
import { keyText } from './fill-key.ts';

/** How long after the disk failed a fill it is not tried again (decision 13). */
export const TROUBLE_MS = 5_000;

/** Fills that are remembered to have failed. */
const FILLS_MAX = 1000;

/** What one fill cannot have caused: whoever comes next meets it too. */
const OF_ALL = new Set(['EROFS', 'EMFILE', 'ENFILE', 'EACCES', 'EPERM', 'ETIMEDOUT', 'EDQUOT']);

/** A fill that wrote so much before the disk was full gives it back: smaller ones may well find room. */
const LARGE_BYTES = 4 * 1024 * 1024;

/** So many fills in a row that fail, whatever the error: then it is the disk. */
const IN_A_ROW_MAX = 3;

/**
 * Whether the disk is to be tried. A fill that failed it is left alone for a while; all are, where the error says that they
 * would meet the same, until that while has passed and the disk works again.
 */
export class DiskTrouble {
  readonly #clock: Clock;
  readonly #isUp: () => boolean;
  readonly #fills = new Map<string, number>();
  #until = -Infinity;
  #ofAll = false;
  #inARow = 0;

  /** `isUp`: what whoever looks after the disk says of it now. */
  constructor(clock: Clock, isUp: () => boolean) {
    this.#clock = clock;
    this.#isUp = isUp;
  }

  /** Of all fills. */
  lasts(): boolean {
    this.#ofAll &&= this.#clock.monotonic() < this.#until || !this.#isUp();
    return this.#ofAll;
  }

  /** Of this one, or of all. */
  lastsFor(fill: FillKey): boolean {
    if (this.lasts()) return true;
    const key = keyText(fill);
    const until = this.#fills.get(key);
    if (until === undefined) return false;
    if (this.#clock.monotonic() < until) return true;
    this.#fills.delete(key);
    return false;
  }

  /** A fill that had written so many bytes gave the disk up. */
  failed(fill: FillKey, error: unknown, written: number): void {
    const until = this.#clock.monotonic() + TROUBLE_MS;
    const key = keyText(fill);
    this.#fills.delete(key);
    this.#fills.set(key, until);
    const [oldest] = this.#fills.keys();
    if (this.#fills.size > FILLS_MAX && oldest !== undefined) this.#fills.delete(oldest);
    this.#inARow += 1;
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const isFull = code === 'ENOSPC' && written < LARGE_BYTES;
    if (!OF_ALL.has(code) && !isFull && this.#inARow < IN_A_ROW_MAX) return;
    this.#until = until;
    this.#ofAll = true;
  }

  /** A fill was kept. */
  kept(): void {
    this.#inARow = 0;
  }
}
