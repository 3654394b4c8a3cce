import { LRUCache } from 'lru-cache';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import type { Store } from './store.ts';
import type { Unowned } from './unowned.ts';

/** Larger ones are read from disk each time: their cost is in their bytes. */
export const SMALL_BLOB_BYTES = 64 * 1024;

/** Of all of them together; beyond it the one that was used least lately goes. */
export const SMALL_BLOBS_BYTES = 16 * 1024 * 1024;

/** So long bytes are answered with for which nobody looks at their file: a file that went is missed, and comes again, as soon. */
export const BELIEVED_MS = 60_000;

/** What is asked for later than this is looked at in time, so that what is in use stays at hand: each that did not cost ten hits a minute. */
const RENEWED_AFTER_MS = BELIEVED_MS / 2;

export interface SmallBlobsDeps {
  readonly clock: Clock;
  readonly store: Pick<Store, 'readFile'>;
  readonly unowned: Unowned;
}

/** Bytes of small blobs in memory, by digest alone: who may have them is told by nothing here. */
export class SmallBlobs {
  readonly #deps: SmallBlobsDeps;
  readonly #held = new LRUCache<Digest, { readonly bytes: Uint8Array; readonly until: number }>({
    maxSize: SMALL_BLOBS_BYTES,
    sizeCalculation: ({ bytes }) => Math.max(1, bytes.byteLength),
  });
  readonly #reading = new Set<Digest>();

  constructor(deps: SmallBlobsDeps) {
    this.#deps = deps;
  }

  get(digest: Digest): Uint8Array | undefined {
    const found = this.#held.get(digest);
    const left = found === undefined ? 0 : found.until - this.#deps.clock.monotonic();
    if (found === undefined || left <= 0) return undefined;
    if (left <= BELIEVED_MS - RENEWED_AFTER_MS) this.#look(digest, found.bytes.byteLength);
    return found.bytes;
  }

  /** A blob was answered with from its file: the next time it is at hand. Nobody waits for it, and what fails is read again then. */
  learn(digest: Digest, size: number): void {
    if (size <= SMALL_BLOB_BYTES && this.get(digest) === undefined) this.#look(digest, size);
  }

  forget(digest: Digest): void {
    this.#reading.delete(digest);
    this.#held.delete(digest);
  }

  #look(digest: Digest, size: number): void {
    if (this.#reading.has(digest)) return;
    this.#reading.add(digest);
    void this.#deps.unowned.track(this.#read(digest, size)).finally(() => this.#reading.delete(digest));
  }

  /** Never rejects. */
  async #read(digest: Digest, size: number): Promise<void> {
    const bytes = await this.#deps.store.readFile(digest, size).catch(() => undefined);
    // Forgotten meanwhile: what was read may be what went.
    if (bytes === undefined || !this.#reading.has(digest)) return;
    this.#held.set(digest, { bytes, until: this.#deps.clock.monotonic() + BELIEVED_MS });
  }
}
