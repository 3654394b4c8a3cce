import { giveMemory, takeMemory } from './block-memory.ts';
import { READS_KEPT } from './upstream.ts';

/** Of the first block; a body that fills one gets the next four times as large, up to the largest. */
const FIRST_BYTES = 64 * 1024;
/** The largest for a reader that takes its time, and for one that does not. */
const USUAL_BYTES = 256 * 1024;
const QUICK_BYTES = 1024 * 1024;

/**
 * Bodies that may have blocks of 1 MiB at once, in this process: about a hundred MiB at the most, where each of them had six. Others go on
 * as they are.
 */
const QUICK_BODIES_MAX = 16;
let quickBodies = 0;

/** Takes in a row that were no whole block: what comes no faster than that needs no larger ones, and its place is another's. */
const SCANT_MAX = 16;

/** Bytes on the way from who brings them to who reads them: copied in, and read as they lie, as many as there are. */
export interface Blocks {
  /** Bytes that nobody has read yet. */
  unread(): number;
  /** So many unread are enough. */
  enough(): number;
  push(chunk: Uint8Array): void;
  /**
   * Up to a block of them, `undefined` where there are none. Theirs who read for {@link READS_KEPT} calls. `isQuick`: the reader has come
   * back at once.
   */
  take(isQuick: boolean): Uint8Array | undefined;
  /** The reader has come to the end and needs nothing of what it took. Harmless at any time. */
  end(): void;
  /** It takes no more; what it took last may be in use for as long as a disk hangs, and nothing is ever put there again. Harmless at any time. */
  leave(): void;
}

/**
 * Blocks of memory that are used again and again (`block-memory.ts`), as is what the socket reads into (`read-memory.ts`), which nobody
 * may keep.
 *
 * Each block is a write to the disk and a turn of all who read along, with its changes of threads: a pull as fast as one processor can
 * took 0.73 to 0.82 of its time with blocks of 1 MiB instead of 256 KiB. They are for those who are quick, lest who is slow make much wait in memory.
 *
 * `length`: of all that will come, where it is known: a short body takes no more than that.
 */
export function createBlocks(length: number | undefined): Blocks {
  const filled: { readonly memory: Uint8Array; end: number }[] = [];
  /** The last that were taken, in order. */
  const given: Uint8Array[] = [];
  let size = Math.min(FIRST_BYTES, Math.max(1, length ?? FIRST_BYTES));
  let unread = 0;
  /** Its reader is, and one of the few places is its own. */
  let isQuick = false;
  /** Takes since the last whole block. */
  let scant = 0;

  function next(): { readonly memory: Uint8Array; end: number } {
    const last = filled.at(-1);
    if (last !== undefined && last.end < last.memory.byteLength) return last;
    if (last !== undefined) size = Math.min(enough(), 4 * Math.max(FIRST_BYTES, size));
    const block = { memory: takeMemory(size), end: 0 };
    filled.push(block);
    return block;
  }

  function enough(): number {
    return isQuick ? QUICK_BYTES : USUAL_BYTES;
  }

  function setQuick(now: boolean): void {
    if (now === isQuick || (now && quickBodies >= QUICK_BODIES_MAX)) return;
    isQuick = now;
    quickBodies += now ? 1 : -1;
    size = Math.min(size, enough());
  }

  function leave(): void {
    setQuick(false);
    for (const { memory } of filled.splice(0)) giveMemory(memory);
    given.length = 0;
    unread = 0;
  }

  return {
    unread: () => unread,
    enough,
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
    take(quick) {
      const block = filled.shift();
      if (block === undefined) return undefined;
      // Who takes a whole block has more waiting behind it, or soon will have.
      scant = block.end >= USUAL_BYTES ? 0 : scant + 1;
      setQuick(quick && (scant === 0 || (isQuick && scant < SCANT_MAX)));
      given.push(block.memory);
      if (given.length > READS_KEPT) giveMemory(given.shift()!);
      unread -= block.end;
      return block.memory.subarray(0, block.end);
    },
    end() {
      for (const memory of given.splice(0)) giveMemory(memory);
      leave();
    },
    leave,
  };
}
