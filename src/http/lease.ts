import { LARGE_BUFFER_BYTES, SMALL_BUFFER_BYTES, type Buffers, type BufferSize } from './buffers.ts';
import { OWN_BYTES, type Connection } from './connection.ts';

/** After so many bytes taken without a stop the client is no reader that stops: kernel buffers hold less. */
const LARGE_AFTER_BYTES = 8 * 1024 * 1024;
/** A write that took longer was waited for by a client that takes no more for now: a stop. Sixteen fast ones on a busy machine take a tenth. */
const STOP_MS = 1000;
/** Below, it is not worth a buffer that may get stuck: clients stop a little sooner or later than before. */
const PIECE_BYTES_MIN = 4 * OWN_BYTES;

export interface Progress {
  /** Bytes of the last read, and what it could have filled. */
  readonly count: number;
  readonly room: number;
  /** Bytes of this body so far. */
  readonly sent: number;
  readonly lastWriteMs: number;
}

/** The buffers of one body: the connection's own to begin with, borrowed ones while the client keeps up. */
export interface Lease {
  /** Whether `take` can be called while `busy` is being written. */
  available(busy: Buffer | undefined): boolean;
  take(): Buffer;
  /** Nothing reads into it or writes from it any more. */
  giveBack(buffer: Buffer): void;
  /** Chooses the size of the next. */
  adapt(progress: Progress): void;
  /** The body failed. What is held may still be in use by a call under way, so that nobody may get it again. */
  abandon(): void;
}

/**
 * A buffer whose write the client stops in is stuck with it for seconds, and there are few: with a thousand slow readers all would be,
 * and everybody's bytes would go by the 16 KiB of their own. So what a client took between two stops, which is what the kernel holds
 * for it, is what it will take before the next; of what is left of that each piece is half, and the last ones, one of which gets
 * stuck, are its own.
 */
export function lease(connection: Connection, buffers: Buffers): Lease {
  /** What is lent, by the part of it that is used. */
  const held = new Map<Buffer, Buffer>();
  let wanted: BufferSize | undefined;
  let pieceMax: number = LARGE_BUFFER_BYTES;
  let next: Buffer | undefined;
  /** The piece that the client stopped in last. */
  let stop = { begin: 0, end: 0 };
  /** Bytes that it took without a stop before that one, or a little less. */
  let stride: number | undefined;
  let lastCount = 0;

  function borrow(): Buffer | undefined {
    if (wanted === undefined) return undefined;
    const whole = buffers.borrow(wanted) ?? (wanted === LARGE_BUFFER_BYTES ? buffers.borrow(SMALL_BUFFER_BYTES) : undefined);
    if (whole === undefined) return undefined;
    const buffer = pieceMax < whole.byteLength ? whole.subarray(0, pieceMax) : whole;
    held.set(buffer, whole);
    return buffer;
  }

  /** What it is expected to take before it stops again; `undefined` where nobody knows. */
  function expected(sent: number): number | undefined {
    if (stride !== undefined && sent - stop.begin > 2 * stride) stride = undefined;
    return stride === undefined ? undefined : stride - (sent - stop.begin);
  }

  return {
    available(busy) {
      next ??= borrow() ?? (busy === undefined || held.has(busy) ? connection.buffer : undefined);
      return next !== undefined;
    },
    take() {
      const buffer = next ?? borrow() ?? connection.buffer;
      next = undefined;
      return buffer;
    },
    giveBack(buffer) {
      const whole = held.get(buffer);
      held.delete(buffer);
      if (whole !== undefined) buffers.giveBack(whole);
    },
    adapt({ count, room, sent, lastWriteMs }) {
      if (lastWriteMs > STOP_MS) {
        const end = sent - count;
        const begin = end - lastCount;
        stride = Math.max(OWN_BYTES, begin - stop.end);
        stop = { begin, end };
      }
      lastCount = count;
      const left = expected(sent);
      pieceMax = left === undefined ? LARGE_BUFFER_BYTES : Math.floor(left / 2);
      if (count < OWN_BYTES || pieceMax < PIECE_BYTES_MIN) wanted = undefined;
      else if (left !== undefined) wanted = SMALL_BUFFER_BYTES;
      else if (count === room) wanted = sent - stop.begin >= LARGE_AFTER_BYTES ? LARGE_BUFFER_BYTES : SMALL_BUFFER_BYTES;
    },
    abandon() {
      for (const whole of held.values()) buffers.discard(whole);
      held.clear();
      connection.dropBuffer();
    },
  };
}
