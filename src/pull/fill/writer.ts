import type { Hash } from 'node:crypto';
import { algorithmOf, finishDigest, startDigest } from '../../oci/digest.ts';
import { lengthOf } from '../../system/disk.ts';
import type { FillDeps } from './job.ts';
import { openPart, rehash } from './part.ts';
import type { Growing } from './growing.ts';

/** Bytes after which the prefix is first made durable; then at every doubling up to the largest step. */
export const SYNC_FIRST_BYTES = 4 * 1024 * 1024;
/** Read back at once of what was fetched ahead. */
const ADOPT_BYTES = 256 * 1024;
const SYNC_STEP_BYTES = 64 * 1024 * 1024;
/** What is being written and what waits behind it: at more than this the upstream waits too. */
const UNWRITTEN_BYTES_MAX = 1024 * 1024;

/**
 * Writes one fill's bytes to its part and hashes them on the way. What rejects here is the disk's error.
 *
 * What arrives while the disk writes goes to it together in the next call; what was written last is hashed meanwhile, and
 * nobody waits for an fsync but who ends the fill. One piece after the other, a fill takes twice as long.
 */
export class FillWriter {
  readonly #deps: FillDeps;
  readonly #growing: Growing;
  #hash: Hash;
  #syncedAt = 0;
  /** Taken over, and not yet given to the disk. */
  #waiting: Uint8Array[] = [];
  /** Of what is waiting or is being written. */
  #unwrittenBytes = 0;
  /** Written, and told to readers; `#hash` has not seen it yet. */
  #unhashed: readonly Uint8Array[] = [];
  /** Writes what is waiting until nothing is. Never rejects: see `#failure`. */
  #working: Promise<void> | undefined;
  /** One call of the disk within that. Never rejects. */
  #turn: Promise<void> = Promise.resolve();
  /** The fsync on its way. Never rejects. */
  #syncing: Promise<void> | undefined;
  /** The disk gave up: nothing more is written. */
  #failure: { readonly error: unknown } | undefined;

  constructor(deps: FillDeps, growing: Growing) {
    this.#deps = deps;
    this.#growing = growing;
    this.#hash = startDigest(growing.digest);
  }

  /**
   * Finds a place for the bytes: what was taken over from another process stands there already; else what an earlier one
   * left (`mayResume`), else a new part.
   */
  async open(mayResume: boolean): Promise<void> {
    const growing = this.#growing;
    if (growing.part !== undefined) {
      this.#hash = await rehash(growing.part, growing.digest, growing.written);
      return;
    }
    const opened = await openPart(this.#deps, growing, mayResume);
    this.#hash = opened.hash;
    this.#syncedAt = opened.prefix;
    growing.part = opened.part;
    growing.size ??= opened.size;
    if (opened.prefix > 0) growing.advance(opened.prefix);
  }

  /** Where what was taken over ends, written or not. */
  get received(): number {
    return this.#growing.written + this.#unwrittenBytes;
  }

  /** Takes over the next bytes, which nobody may change any more. Resolves when there is room for more of them. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#waiting.push(chunk);
    this.#unwrittenBytes += chunk.byteLength;
    this.#working ??= this.#work();
    while (this.#failure === undefined && this.#unwrittenBytes > UNWRITTEN_BYTES_MAX) await this.#turn;
    this.#throwFailure();
  }

  /** Resolves when all that was taken over is written. */
  async drain(): Promise<void> {
    await this.#working;
    this.#throwFailure();
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0 && this.#failure === undefined) {
      const pieces = this.#waiting;
      this.#waiting = [];
      this.#turn = this.#writeAll(pieces).catch((error: unknown) => this.#fail(error));
      await this.#turn;
    }
    this.#working = undefined; // In the same turn in which nothing was waiting any more.
    this.#hashWritten();
  }

  async #writeAll(pieces: readonly Uint8Array[]): Promise<void> {
    const growing = this.#growing;
    const writing = growing.part?.write(pieces, growing.written);
    this.#hashWritten();
    await writing;
    this.#unhashed = pieces;
    this.#unwrittenBytes -= lengthOf(pieces);
    this.#advance(lengthOf(pieces));
  }

  #hashWritten(): void {
    for (const piece of this.#unhashed) this.#hash.update(piece);
    this.#unhashed = [];
  }

  /** A part whose fsync failed is gone, and what is written to it then fails for no other reason: the first one is told. */
  async #fail(error: unknown): Promise<void> {
    await this.#syncing;
    this.#failure ??= { error };
    this.#waiting = [];
    this.#unwrittenBytes = 0;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Moves on over bytes that stand in the part already: some of the next `available`. */
  async adopt(available: number): Promise<void> {
    const { part, written, digest } = this.#growing;
    const chunk = new Uint8Array(Math.min(ADOPT_BYTES, available));
    const count = (await part?.read(chunk, written)) ?? 0;
    if (count === 0) throw new Error(`the part of ${digest} is shorter than what was written to it`);
    this.#hash.update(chunk.subarray(0, count));
    this.#advance(count);
    this.#throwFailure();
  }

  #advance(bytes: number): void {
    const growing = this.#growing;
    growing.advance(growing.written + bytes);
    const due = this.#syncedAt === 0 ? SYNC_FIRST_BYTES : Math.min(this.#syncedAt * 2, this.#syncedAt + SYNC_STEP_BYTES);
    if (growing.written < due || this.#syncing !== undefined) return;
    this.#syncing = this.#sync()
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => (this.#syncing = undefined));
  }

  /** Makes all that is written durable, and resolves when nothing is on its way to it any more. */
  async sync(): Promise<void> {
    await this.synced();
    await this.#sync();
  }

  /** Resolves when no fsync is on its way. A part of which one failed must not be published (`Part.sync`). */
  async synced(): Promise<void> {
    await this.#syncing;
    this.#throwFailure();
  }

  /**
   * What is durable and recorded is what a restart may trust (architecture.md, decision 5): what was written before the fsync
   * began, and no more.
   */
  async #sync(): Promise<void> {
    const { part, generation, written, size, brought } = this.#growing;
    if (part === undefined || written === 0) return;
    await part.sync();
    this.#syncedAt = written;
    try {
      const at = this.#deps.clock.now();
      await this.#deps.records.putPart(this.#growing, {
        id: part.id,
        generation,
        synced: written,
        size,
        at,
        brought: brought.record,
      });
    } catch (error) {
      this.#deps.report({ kind: 'bypass', reason: 'metadata', error }); // Only a later resume is lost.
    }
  }

  matches(): boolean {
    const { digest } = this.#growing;
    return finishDigest(this.#hash.copy(), algorithmOf(digest)) === digest;
  }

  /** Of the bytes written so far, while none are on their way; a copy, to go on with. */
  hashSoFar(): Hash {
    return this.#hash.copy();
  }

  /** Ends the generation: its readers are cut and its part is gone. `open` comes next. `size`: of which nobody doubts. */
  async discard(size: number | undefined): Promise<void> {
    const { part, digest } = this.#growing;
    await this.#syncing; // What it records is of what is thrown away.
    this.#hash = startDigest(digest);
    this.#syncedAt = 0;
    this.#growing.restart(size);
    await part?.discard().catch(() => undefined); // A leftover is swept later; the bytes are wrong either way.
    part?.release();
    await this.#deps.records.dropPart(this.#growing).catch(() => undefined); // Its part is gone: a resume would find nothing.
  }
}
