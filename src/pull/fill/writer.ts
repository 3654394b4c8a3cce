import type { Hash } from 'node:crypto';
import { algorithmOf, finishDigest, startDigest, type Digest } from '../../oci/digest.ts';
import type { FillDeps } from './job.ts';
import { newPart, rehash, takeUpPart } from './part.ts';
import type { Growing } from './growing.ts';

/** Bytes after which the prefix is first recorded; then at every doubling up to the largest step. */
export const RECORD_FIRST_BYTES = 4 * 1024 * 1024;
const RECORD_STEP_BYTES = 64 * 1024 * 1024;
/** What is recorded is made durable first where that was last done so long ago: a loss of power costs little more than what came since. */
export const SYNC_MS = 5000;
/** Read back at once of what was fetched ahead. */
const ADOPT_BYTES = 256 * 1024;

/**
 * Writes one fill's bytes to its part and hashes them on the way. What rejects here is the disk's error. Nobody waits for an fsync
 * or a record but the end of the fill.
 */
export class FillWriter {
  readonly #deps: FillDeps;
  readonly #growing: Growing;
  /** Of what is written, and no more. */
  #hash: Hash;
  /** Bytes that are durable. */
  #synced = 0;
  /** When the fsync began that made them so, by the monotonic clock; at first, when the fill began. */
  #syncedAt: number;
  /** Bytes that a record speaks of. */
  #recorded = 0;
  /** The record on its way, with its fsync where one is due. Never rejects. */
  #recording: Promise<void> | undefined;
  /** Of an fsync: nothing more is written. */
  #failure: { readonly error: unknown } | undefined;

  constructor(deps: FillDeps, growing: Growing) {
    this.#deps = deps;
    this.#growing = growing;
    this.#hash = startDigest(growing.digest);
    this.#syncedAt = deps.clock.monotonic();
  }

  /**
   * Finds a place for the bytes: what was taken over from another process stands there already; else what an earlier one
   * left (`mayResume`). False where there is neither: `begin` comes next.
   */
  async takeUp(mayResume: boolean): Promise<boolean> {
    const growing = this.#growing;
    if (growing.part !== undefined) {
      this.#hash = await rehash(growing.part, growing.digest, growing.written);
      return true;
    }
    const opened = mayResume ? await takeUpPart(this.#deps, growing) : undefined;
    if (opened === undefined) return false;
    this.#hash = opened.hash;
    this.#synced = opened.synced;
    this.#recorded = opened.prefix;
    growing.part = opened.part;
    growing.size ??= opened.size;
    growing.advance(opened.prefix);
    return true;
  }

  /** Makes a new part. */
  async begin(): Promise<void> {
    this.#growing.part = await newPart(this.#deps, this.#growing);
  }

  /**
   * Hashes while the disk writes. Who calls waits for its end, and may use the memory again then, once readers are told to forget it
   * (`Growing.fresh`).
   */
  async write(bytes: Uint8Array): Promise<void> {
    this.#throwFailure();
    const writing = this.#growing.part?.write(bytes, this.#growing.written);
    const hash = this.#hash.copy().update(bytes);
    try {
      await writing;
    } catch (error) {
      // A part whose fsync failed is gone, and what is written to it then fails for no other reason.
      await this.settled();
      throw error;
    }
    this.#hash = hash;
    this.#growing.fresh.show(bytes, this.#growing.written);
    this.#advance(bytes.byteLength);
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
    this.#growing.advance(this.#growing.written + bytes);
    this.#recording ??= this.#recordWhatIsDue();
  }

  #recordWhatIsDue(): Promise<void> | undefined {
    const due = this.#recorded === 0 ? RECORD_FIRST_BYTES : Math.min(this.#recorded * 2, this.#recorded + RECORD_STEP_BYTES);
    if (this.#growing.written < due || this.#failure !== undefined) return undefined;
    const isSyncDue = this.#deps.clock.monotonic() - this.#syncedAt >= SYNC_MS;
    return (isSyncDue ? this.#sync() : this.#record(this.#synced))
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => {
        // By what came meanwhile: it may be long before more comes.
        this.#recording = this.#recordWhatIsDue();
      });
  }

  /** Makes all that is written durable, and resolves when nothing is on its way to it any more. */
  async sync(): Promise<void> {
    await this.settled();
    await this.#sync();
  }

  /** Resolves when no fsync is on its way. A part of which one failed must not be published (`Part.sync`). */
  async settled(): Promise<void> {
    while (this.#recording !== undefined) await this.#recording;
    this.#throwFailure();
  }

  /** Durable is what was written before the fsync began, and no more. */
  async #sync(): Promise<void> {
    const { part, written } = this.#growing;
    if (part === undefined || written === 0) return;
    const at = this.#deps.clock.monotonic();
    await part.sync();
    this.#synced = written;
    this.#syncedAt = at;
    await this.#record(written);
  }

  /**
   * What is recorded is what a restart may trust (architecture.md, decision 5, and src/README.md): what is durable, and what hashes as it
   * says here.
   */
  async #record(synced: number): Promise<void> {
    const { part, generation, written, size, brought } = this.#growing;
    if (part === undefined) return;
    this.#recorded = written;
    try {
      const at = this.#deps.clock.now();
      const prefix = { bytes: written, digest: this.#digestSoFar() };
      await this.#deps.records.putPart(this.#growing, {
        id: part.id,
        generation,
        synced,
        prefix,
        size,
        at,
        brought: brought.record,
      });
    } catch (error) {
      this.#deps.report({ kind: 'bypass', reason: 'metadata', error }); // Only a later resume is lost.
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  matches(): boolean {
    return this.#digestSoFar() === this.#growing.digest;
  }

  #digestSoFar(): Digest {
    return finishDigest(this.#hash.copy(), algorithmOf(this.#growing.digest));
  }

  /** Of the bytes written so far; a copy, to go on with. */
  hashSoFar(): Hash {
    return this.#hash.copy();
  }

  /** Ends the generation: its readers are cut and its part is gone. `takeUp` comes next. `size`: of which nobody doubts. */
  async discard(size: number | undefined): Promise<void> {
    const { part, digest } = this.#growing;
    await this.settled().catch(() => undefined); // What it records is of what is thrown away, and thrown away it is either way.
    this.#hash = startDigest(digest);
    this.#synced = 0;
    this.#recorded = 0;
    this.#growing.restart(size);
    await part?.discard().catch(() => undefined); // A leftover is swept later; the bytes are wrong either way.
    part?.release();
    await this.#deps.records.dropPart(this.#growing).catch(() => undefined); // Its part is gone: a resume would find nothing.
  }
}
