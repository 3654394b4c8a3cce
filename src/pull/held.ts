import type { Hash } from 'node:crypto';
import { FileDamaged, type BlobStore, type OpenBlob } from '../blobs/blob-store.ts';
import { startDigest, type Digest } from '../oci/digest.ts';
import { nextTurn } from '../system/turn.ts';
import { etagOf, type Content, type Reader } from './content.ts';
import type { HeldBack } from './fill/growing-reader.ts';
import { openThrough } from './through.ts';
import type { ThroughSource } from './through-reader.ts';
import { troubleOf } from './trouble.ts';

/** Read again at a time, where what was sent has to be hashed. */
const SLICE_BYTES = 256 * 1024;

/**
 * Bytes on disk. Opened once per reader. Where the disk fails a reader, an upstream goes on for it (promise 5); without one,
 * or where bytes that it was given are not sure to be right, it breaks: it never ends early.
 */
export function heldContent(blobs: BlobStore, digest: Digest, size: number, upstream?: () => ThroughSource): Content {
  return {
    digest,
    size,
    etag: etagOf(digest),
    async open(from, to, signal) {
      const reader = new HeldReader({ blobs, digest, size, upstream }, from, to ?? size, signal);
      await reader.connect();
      return reader;
    },
  };
}

interface HeldSource {
  readonly blobs: BlobStore;
  readonly digest: Digest;
  readonly size: number;
  readonly upstream: (() => ThroughSource) | undefined;
}

class HeldReader implements Reader {
  readonly #source: HeldSource;
  readonly #from: number;
  readonly #to: number;
  readonly #signal: AbortSignal;
  #file: OpenBlob | undefined;
  #position: number;
  #beyond: Reader | undefined;
  #closed = false;

  constructor(source: HeldSource, from: number, to: number, signal: AbortSignal) {
    this.#source = source;
    this.#from = from;
    this.#to = to;
    this.#position = from;
    this.#signal = signal;
  }

  async connect(): Promise<void> {
    try {
      this.#file = await openSized(this.#source);
    } catch (error) {
      await this.#goBeyond(error);
    }
  }

  /** Not an async function: what it would keep of itself lives for as long as the disk takes, for each of a thousand readers. */
  read(into: Uint8Array): Promise<number> {
    if (this.#beyond !== undefined) return this.#beyond.read(into);
    const wanted = Math.min(into.byteLength, this.#to - this.#position);
    if (wanted === 0) return Promise.resolve(0);
    const reading = this.#file?.read(wanted === into.byteLength ? into : into.subarray(0, wanted), this.#position);
    if (reading === undefined) return this.#readBeyond(into, this.#endedEarly());
    return reading.then(
      (count) => {
        if (count === 0) return this.#readBeyond(into, this.#endedEarly());
        this.#position += count;
        return count;
      },
      (error: unknown) => this.#readBeyond(into, error),
    );
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#file?.close();
    this.#beyond?.close();
  }

  #endedEarly(): Error {
    return new Error(`${this.#source.digest} ends on disk before its size`);
  }

  async #readBeyond(into: Uint8Array, cause: unknown): Promise<number> {
    await this.#goBeyond(cause);
    return this.read(into);
  }

  /** Rejects with `cause` where nobody can go on. */
  async #goBeyond(cause: unknown): Promise<void> {
    const { upstream, size } = this.#source;
    const isSpoilt = cause instanceof FileDamaged && this.#position > this.#from;
    if (upstream === undefined || isSpoilt || this.#closed) throw cause;
    const source = upstream();
    // A file that went, or was moved away, is no trouble of the disk.
    if (troubleOf(cause) === 'storage') source.report({ kind: 'bypass', reason: 'storage', error: cause });
    const whole = this.#from === 0 && this.#to === size;
    const back = whole ? await this.#heldBack(cause) : undefined;
    const beyond = await openThrough(source, this.#position, this.#to, back, this.#signal);
    if (this.#closed) beyond.close();
    this.#beyond = beyond;
  }

  /** The hash of what was sent, so that the end can be verified. What cannot be read again cannot be gone on with. */
  async #heldBack(cause: unknown): Promise<HeldBack> {
    const hash = startDigest(this.#source.digest);
    if (this.#position > 0 && !(await feed(hash, this.#file, this.#position))) throw cause;
    return { from: this.#position, held: new Uint8Array(0), hash };
  }
}

async function openSized({ blobs, digest, size }: HeldSource): Promise<OpenBlob> {
  const file = await blobs.open(digest);
  if (file?.size === size) return file;
  file?.close();
  const what =
    file === undefined
      ? 'went from the disk while it was being asked for'
      : `has ${file.size} bytes on disk instead of ${size}`;
  throw new Error(`${digest} ${what}`);
}

async function feed(hash: Hash, file: OpenBlob | undefined, to: number): Promise<boolean> {
  const slice = new Uint8Array(Math.min(SLICE_BYTES, to));
  for (let at = 0; at < to;) {
    const into = slice.subarray(0, Math.min(slice.byteLength, to - at));
    const read = async (): Promise<number> => (await file?.read(into, at)) ?? 0;
    // Once more: a disk that failed one read may well do the next.
    const count = await read()
      .catch(read)
      .catch(() => 0);
    if (count === 0) return false;
    hash.update(slice.subarray(0, count));
    at += count;
    await nextTurn();
  }
  return true;
}
