import { READS_KEPT } from './upstream.ts';

/** Of the first block; a body that fills one gets the next twice as large, up to the largest. */
const FIRST_BYTES = 64 * 1024;
const LARGEST_BYTES = 256 * 1024;

/** Bytes on the way from who brings them to who reads them: copied in, and read as they lie, as many as there are. */
export interface Blocks {
  /** Bytes that nobody has read yet. */
  unread(): number;
  push(chunk: Uint8Array): void;
  /** Up to a block of them, `undefined` where there are none. Theirs who read for {@link READS_KEPT} calls. */
  take(): Uint8Array | undefined;
  clear(): void;
}

/**
 * Blocks of memory that are used again and again, as is what the socket reads into (`read-memory.ts`), which nobody may keep. New
 * memory for each read is cheap to get and dear to collect, since V8 marks the whole heap for each 64 MiB of it: ten times in a
 * pull of 200 MiB, a third of its processor time.
 *
 * `length`: of all that will come, where it is known: a short body takes no more than that.
 */
export function createBlocks(length: number | undefined): Blocks {
  const filled: { readonly memory: Uint8Array; end: number }[] = [];
  const spare: Uint8Array[] = [];
  /** The last that were taken, in order. */
  const given: Uint8Array[] = [];
  let size = Math.min(FIRST_BYTES, Math.max(1, length ?? FIRST_BYTES));
  let unread = 0;

  function next(): { readonly memory: Uint8Array; end: number } {
    const last = filled.at(-1);
    if (last !== undefined && last.end < last.memory.byteLength) return last;
    if (last !== undefined) size = Math.min(LARGEST_BYTES, Math.max(FIRST_BYTES, 2 * size));
    const block = { memory: spare.pop() ?? Buffer.allocUnsafeSlow(size), end: 0 };
    filled.push(block);
    return block;
  }

  return {
    unread: () => unread,
    push(chunk) {
      for (let rest = chunk; rest.byteLength > 0;) {
        const block = next();
        const part = rest.subarray(0, block.memory.byteLength - block.end);
        block.memory.set(part, block.end);
        block.end += part.byteLength;
        unread += part.byteLength;
        rest = rest.subarray(part.byteLength);
      }
    },
    take() {
      const block = filled.shift();
      if (block === undefined) return undefined;
      given.push(block.memory);
      const free = given.length > READS_KEPT ? given.shift() : undefined;
      if (free?.byteLength === size) spare.push(free);
      unread -= block.end;
      return block.memory.subarray(0, block.end);
    },
    clear() {
      filled.length = 0;
      spare.length = 0;
      unread = 0;
    },
  };
}
