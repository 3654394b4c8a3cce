import type { Reader } from './content.ts';

const SCRATCH_BYTES = 64 * 1024;

/** Some of what another reader gives: what follows its first `skip` bytes, as many as `length`. Closes it with itself. */
export class SpanReader implements Reader {
  readonly #whole: Reader;
  #skip: number;
  #left: number;

  /** `length`: Infinity where all of the rest is wanted. */
  constructor(whole: Reader, skip: number, length: number) {
    this.#whole = whole;
    this.#skip = skip;
    this.#left = length;
  }

  /** Resolves when what comes before is read; rejects where it cannot be. */
  async ready(): Promise<void> {
    const scratch = new Uint8Array(Math.min(SCRATCH_BYTES, this.#skip));
    while (this.#skip > 0) {
      const count = await this.#whole.read(scratch.subarray(0, Math.min(scratch.byteLength, this.#skip)));
      if (count === 0) throw new Error('it ended before what was asked for');
      this.#skip -= count;
    }
  }

  async read(into: Uint8Array): Promise<number> {
    await this.ready();
    if (this.#left === 0) return 0;
    const count = await this.#whole.read(into.subarray(0, Math.min(into.byteLength, this.#left)));
    this.#left -= count;
    return count;
  }

  close(): void {
    this.#whole.close();
  }
}
