import type { OnReadOpts, Socket } from 'node:net';

/** What one read of a socket may yield; when one does, the next may yield four times as much, up to the most. */
const FIRST_BYTES = 64 * 1024;
const MOST_BYTES = 256 * 1024;
/** A read of no more than this is copied, since no body may come of it to be looked at: heads, short answers. */
const COPIED_BYTES = 4 * 1024;
/** What is kept of memory that nobody needs, and of reads of which nobody may ever hear again. */
const SPARE_MAX = 2;
const BUSY_MAX = 4;

/** One read: nothing else is read into its memory while it is busy. */
interface Read {
  readonly memory: Uint8Array;
  readonly end: number;
  readonly of: Memory;
}

interface Memory {
  /** In the order in which they were made. */
  readonly busy: Read[];
  readonly spare: Uint8Array[];
}

const readInto = new WeakMap<ArrayBufferLike, Read>();

/**
 * How a socket reads into the same memory again and again, where by itself it would read into new memory each time
 * (`blocks.ts` says what that costs). undici takes what was read from the socket's stream, in order, and hands over slices of
 * it: once {@link lookedAt} hears of a slice, all that was read before it was looked at as well, and with its last byte so was
 * this read. What nobody hears of (the rest of a read behind which a body was paused, reads that were joined) is not read into
 * again.
 *
 * `socket`: asked for when bytes come.
 */
export function createReadMemory(socket: () => Socket): OnReadOpts {
  const memory: Memory = { busy: [], spare: [] };
  let size = FIRST_BYTES;
  let next: Uint8Array = Buffer.allocUnsafeSlow(size);
  return {
    buffer: () => next,
    callback(count, into) {
      if (count <= COPIED_BYTES) return socket().push(Buffer.from(into.subarray(0, count)));
      if (count === into.byteLength) size = Math.min(MOST_BYTES, 4 * size);
      const read = { memory: into, end: count, of: memory };
      readInto.set(into.buffer, read);
      memory.busy.push(read);
      if (memory.busy.length > BUSY_MAX) memory.busy.shift();
      next = spareOf(memory, size) ?? Buffer.allocUnsafeSlow(size);
      return socket().push(into.subarray(0, count));
    },
  };
}

/** Nobody needs these bytes any more, nor those that were read before them. Other bytes than a socket's are nobody's business. */
export function lookedAt(bytes: Uint8Array): void {
  const read = readInto.get(bytes.buffer);
  if (read === undefined) return;
  const { busy, spare } = read.of;
  const at = busy.indexOf(read);
  const isAll = bytes.byteOffset + bytes.byteLength === read.end;
  for (const { memory } of busy.splice(0, at + (isAll ? 1 : 0))) if (spare.length < SPARE_MAX) spare.push(memory);
}

function spareOf({ spare }: Memory, size: number): Uint8Array | undefined {
  const memory = spare.pop();
  return memory?.byteLength === size ? memory : undefined;
}
