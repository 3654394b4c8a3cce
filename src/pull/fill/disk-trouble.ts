import type { Digest } from '../../oci/digest.ts';
import type { Clock } from '../../system/clock.ts';

/** How long after the disk failed a fill it is not tried again (decision 13). */
export const TROUBLE_MS = 5_000;

/** Digests that are remembered to have failed. */
const DIGESTS_MAX = 1000;

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
  readonly #digests = new Map<Digest, number>();
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
  lastsFor(digest: Digest): boolean {
    if (this.lasts()) return true;
    const until = this.#digests.get(digest);
    if (until === undefined) return false;
    if (this.#clock.monotonic() < until) return true;
    this.#digests.delete(digest);
    return false;
  }

  /** A fill that had written so many bytes gave the disk up. */
  failed(digest: Digest, error: unknown, written: number): void {
    const until = this.#clock.monotonic() + TROUBLE_MS;
    this.#digests.delete(digest);
    this.#digests.set(digest, until);
    const [oldest] = this.#digests.keys();
    if (this.#digests.size > DIGESTS_MAX && oldest !== undefined) this.#digests.delete(oldest);
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
