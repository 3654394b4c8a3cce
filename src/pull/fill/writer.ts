import type { Hash } from 'node:crypto';
import { algorithmOf, finishDigest, startDigest } from '../../oci/digest.ts';
import type { FillDeps } from './job.ts';
import { openPart, rehash } from './part.ts';
import type { Growing } from './growing.ts';

/** Bytes after which the prefix is first made durable; then at every doubling up to the largest step. */
export const SYNC_FIRST_BYTES = 4 * 1024 * 1024;
/** Read back at once of what was fetched ahead. */
const ADOPT_BYTES = 256 * 1024;
const SYNC_STEP_BYTES = 64 * 1024 * 1024;

/** Writes one fill's bytes to its part and hashes them on the way. What rejects here is the disk's error. */
export class FillWriter {
  readonly #deps: FillDeps;
  readonly #growing: Growing;
  #hash: Hash;
  #syncedAt = 0;

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

  async write(chunk: Uint8Array): Promise<void> {
    await this.#growing.part?.write(chunk, this.#growing.written);
    await this.#advance(chunk);
  }

  /** Moves on over bytes that stand in the part already: some of the next `available`. */
  async adopt(available: number): Promise<void> {
    const { part, written, digest } = this.#growing;
    const chunk = new Uint8Array(Math.min(ADOPT_BYTES, available));
    const count = (await part?.read(chunk, written)) ?? 0;
    if (count === 0) throw new Error(`the part of ${digest} is shorter than what was written to it`);
    await this.#advance(chunk.subarray(0, count));
  }

  async #advance(chunk: Uint8Array): Promise<void> {
    const growing = this.#growing;
    this.#hash.update(chunk);
    growing.advance(growing.written + chunk.byteLength);
    const due = this.#syncedAt === 0 ? SYNC_FIRST_BYTES : Math.min(this.#syncedAt * 2, this.#syncedAt + SYNC_STEP_BYTES);
    if (growing.written >= due) await this.sync();
  }

  /** What is durable and recorded is what a restart may trust (architecture.md, decision 5). */
  async sync(): Promise<void> {
    const { part, generation, written, size, digest, brought } = this.#growing;
    if (part === undefined || written === 0) return;
    await part.sync();
    this.#syncedAt = written;
    try {
      const at = this.#deps.clock.now();
      await this.#deps.records.putPart(digest, { id: part.id, generation, synced: written, size, at, brought: brought.record });
    } catch (error) {
      this.#deps.report({ kind: 'bypass', reason: 'metadata', error }); // Only a later resume is lost.
    }
  }

  matches(): boolean {
    const { digest } = this.#growing;
    return finishDigest(this.#hash.copy(), algorithmOf(digest)) === digest;
  }

  /** Of the bytes written so far; a copy, to go on with. */
  hashSoFar(): Hash {
    return this.#hash.copy();
  }

  /** Ends the generation: its readers are cut and its part is gone. `open` comes next. `size`: of which nobody doubts. */
  async discard(size: number | undefined): Promise<void> {
    const { part, digest } = this.#growing;
    this.#hash = startDigest(digest);
    this.#syncedAt = 0;
    this.#growing.restart(size);
    await part?.discard().catch(() => undefined); // A leftover is swept later; the bytes are wrong either way.
    part?.release();
    await this.#deps.records.dropPart(digest).catch(() => undefined); // Its part is gone: a resume would find nothing.
  }
}
