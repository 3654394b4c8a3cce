import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';

/** How long it holds that a file is right. Hashing a GiB takes about half a second: every hour that is nothing. */
export const KNOWN_MS = 3_600_000;

/** Of files up to {@link SMALL_BYTES}, which cost next to nothing. */
export const KNOWN_SMALL_MS = 60_000;
export const SMALL_BYTES = 256 * 1024;

/** Some megabytes of memory. */
const FILES_MAX = 20_000;

interface File {
  readonly size: number;
  readonly version: string;
}

/** What is known of held files since they were last hashed, in memory: a restart asks again. */
export class Known {
  readonly #clock: Clock;
  readonly #files = new Map<Digest, { readonly version: string; readonly right: boolean; readonly until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `undefined`: nothing, or of another file, or too long ago. That a file is wrong holds for ever. */
  of(digest: Digest, { version }: File): boolean | undefined {
    const known = this.#files.get(digest);
    if (known?.version !== version) return undefined;
    return !known.right || this.#clock.monotonic() < known.until ? known.right : undefined;
  }

  note(digest: Digest, { size, version }: File, right: boolean): void {
    const until = this.#clock.monotonic() + (size <= SMALL_BYTES ? KNOWN_SMALL_MS : KNOWN_MS);
    this.#files.delete(digest);
    this.#files.set(digest, { version, right, until });
    const [oldest] = this.#files.keys();
    if (this.#files.size > FILES_MAX && oldest !== undefined) this.#files.delete(oldest);
  }
}
