import type { Hash } from 'node:crypto';
import type { Part } from '../../blobs/blob-store.ts';
import { RegistryError } from '../../oci/errors.ts';
import type { Reader } from '../content.ts';
import { rehash } from './part.ts';
import { SMALL_BYTES, waitsForDigest, type Growing } from './growing.ts';
import { readFully } from '../../system/read-fully.ts';

/** What a reader goes on with: bytes that it may not have yet, where they begin, and the hash of all up to and with them. */
export interface HeldBack {
  readonly from: number;
  readonly held: Uint8Array;
  readonly hash: Hash;
}

/** Goes on past what may be read of the file, straight from an upstream. */
export type GoOn = (from: number, to: number | undefined, back: HeldBack | undefined) => Promise<Reader>;

/**
 * Reads a growing file up to its frontier and waits there for more. Holds the file open, not the fill. Who may not follow it any longer
 * goes on straight from an upstream, with what it has had.
 */
export class GrowingReader implements Reader {
  readonly #growing: Growing;
  readonly #from: number;
  readonly #to: number | undefined;
  readonly #signal: AbortSignal;
  readonly #followed: AbortSignal | undefined;
  readonly #goOn: GoOn;
  readonly #onClose: () => void;
  #generation: number;
  #part: Part | undefined;
  #position: number;
  #beyond: Reader | undefined;
  #closed = false;

  /** `followed`: for how long it may; left out: to the end. */
  constructor(
    growing: Growing,
    from: number,
    to: number | undefined,
    signal: AbortSignal,
    goOn: GoOn,
    onClose: () => void,
    followed?: AbortSignal,
  ) {
    this.#growing = growing;
    this.#from = from;
    this.#to = to;
    this.#position = from;
    this.#signal = signal;
    this.#followed = followed;
    this.#goOn = goOn;
    this.#onClose = onClose;
    this.#generation = growing.generation;
    this.#holdPart();
  }

  async read(into: Uint8Array): Promise<number> {
    for (;;) {
      if (this.#closed) throw new Error('the reader is closed');
      if (this.#beyond !== undefined) return this.#beyond.read(into);
      this.#followGeneration();
      if (this.#followed?.aborted === true && !this.#isSatisfied()) {
        await this.#goByItself();
        continue;
      }
      const available = this.#readable() - this.#position;
      if (available > 0) {
        const count = await this.#readOrGoOn(into, available);
        if (count !== undefined) return count;
        continue;
      }
      if (this.#atEnd()) return 0;
      if (this.#growing.phase === 'failed') throw cutError(this.#growing.error);
      if (this.#growing.phase === 'bypass') await this.#goBeyond();
      else await this.#change();
    }
  }

  /** Resolves when the first byte can be read; rejects where none can be. */
  async ready(): Promise<void> {
    for (;;) {
      if (this.#closed) return;
      if (this.#followed?.aborted === true && !this.#isSatisfied()) return this.#goByItself();
      if (this.#readable() > this.#position || this.#atEnd()) return;
      if (this.#growing.phase === 'failed') throw cutError(this.#growing.error);
      if (this.#growing.phase === 'bypass') return this.#goBeyond();
      await this.#change();
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#beyond?.close();
    this.#part?.release();
    this.#onClose();
    this.#growing.wake();
  }

  #readable(): number {
    return Math.min(this.#growing.frontier, this.#to ?? Infinity);
  }

  /** It has had all that it was opened for. */
  #isSatisfied(): boolean {
    return this.#to !== undefined && this.#position >= this.#to;
  }

  #atEnd(): boolean {
    if (this.#isSatisfied()) return true;
    return this.#growing.phase === 'done' && this.#position >= this.#growing.written;
  }

  /** Where the file fails, or was cut short under our feet, an upstream has the rest (promise 5): nothing was read then. */
  async #readOrGoOn(into: Uint8Array, available: number): Promise<number | undefined> {
    try {
      return await this.#readFile(into, available);
    } catch (error) {
      if (this.#closed) throw error;
      await this.#goByItself().catch(() => {
        throw error;
      });
      return undefined;
    }
  }

  async #readFile(into: Uint8Array, available: number): Promise<number> {
    this.#holdPart();
    if (this.#part === undefined) throw new Error('a growing file has a frontier but no part');
    const wanted = into.subarray(0, Math.min(into.byteLength, available));
    const count = this.#growing.fresh.copy(wanted, this.#position) || (await this.#part.read(wanted, this.#position));
    if (count === 0) throw new Error(`the part of ${this.#growing.digest} is shorter than its frontier`);
    this.#position += count;
    return count;
  }

  /** A new generation is the same blob from its start: who has had nothing yet changes over, everybody else is cut. */
  #followGeneration(): void {
    if (this.#generation === this.#growing.generation) return;
    if (this.#position !== this.#from) throw cutError(new Error('the bytes sent so far were found to be wrong'));
    this.#generation = this.#growing.generation;
    this.#part?.release();
    this.#part = undefined;
  }

  /** The part may change within a generation: a fill taken over from another process goes on in one of its own. */
  #holdPart(): void {
    const { part } = this.#growing;
    if (part === undefined || part === this.#part) return;
    part.retain();
    this.#part?.release();
    this.#part = part;
  }

  /** Takes along what it may not have yet, where what it wants is verified before it ends. */
  async #goBeyond(): Promise<void> {
    this.#followGeneration();
    const { size, hash } = this.#growing;
    const back = hash !== undefined && waitsForDigest(size, this.#to) ? await this.#back(hash.copy()) : undefined;
    const beyond = await this.#goOn(this.#position, this.#to, back);
    if (this.#closed) beyond.close();
    this.#beyond = beyond;
  }

  /** What comes now is somebody else's. Takes along no bytes, and the hash of those before, where what it wants is verified before it ends. */
  async #goByItself(): Promise<void> {
    const { size, digest } = this.#growing;
    const position = this.#position;
    const wantsHash = position > this.#from && waitsForDigest(size, this.#to);
    if (wantsHash && this.#part === undefined) throw cutError(new Error('what was sent so far cannot be read again'));
    const hash = wantsHash && this.#part !== undefined ? await rehash(this.#part, digest, position) : undefined;
    const beyond = await this.#goOn(
      position,
      this.#to,
      hash === undefined ? undefined : { from: position, held: new Uint8Array(0), hash },
    );
    if (this.#closed) beyond.close();
    this.#beyond = beyond;
  }

  /**
   * From the frontier to what was written: no more than the tail, or a small blob. `undefined` where all begins anew: it cannot
   * be read, or is more than memory is for. Who has the first bytes of the whole would have those of another body then.
   */
  async #back(hash: Hash): Promise<HeldBack | undefined> {
    const from = Math.min(this.#position, this.#growing.written);
    // All of what was spoilt once is held back, up to 32 MiB.
    if (this.#position === this.#from && this.#growing.written - from > SMALL_BYTES) return undefined;
    try {
      return { from, held: await this.#readHeld(from), hash };
    } catch (error) {
      if (this.#from === 0 && this.#position > 0) throw error;
      return undefined;
    }
  }

  async #readHeld(from: number): Promise<Uint8Array> {
    const held = new Uint8Array(this.#growing.written - from);
    this.#holdPart();
    const count = this.#part === undefined ? 0 : await readFully(this.#part, held, from);
    if (count < held.byteLength) throw new Error(`the part of ${this.#growing.digest} is shorter than what was written`);
    return held;
  }

  #change(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#signal.aborted) return reject(this.#signal.reason as Error);
      const onAbort = (): void => {
        forget();
        reject(this.#signal.reason as Error);
      };
      const onChange = (): void => {
        forget();
        this.#signal.removeEventListener('abort', onAbort);
        this.#followed?.removeEventListener('abort', onChange);
        resolve();
      };
      const forget = this.#growing.onChange(onChange);
      this.#signal.addEventListener('abort', onAbort, { once: true });
      this.#followed?.addEventListener('abort', onChange, { once: true });
    });
  }
}

/** Before a client's first byte this is an answer, 502; after it the client is cut. */
function cutError(cause: unknown): Error {
  const why = cause instanceof Error ? cause.message : 'it ended early';
  return new RegistryError('UNAVAILABLE', `the blob could not be fetched: ${why}`, { cause });
}
