import { LARGE_BUFFER_BYTES, SMALL_BUFFER_BYTES, type Buffers, type BufferSize } from './buffers.ts';
import { OWN_BYTES, type Connection } from './connection.ts';

/** After so many bytes taken quickly the client is no reader that stops: kernel buffers hold less. */
const LARGE_AFTER_BYTES = 8 * 1024 * 1024;
/** A write that took longer was waited for by a slow client, who needs no large buffer. */
const SLOW_WRITE_MS = 1000;

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

export function lease(connection: Connection, buffers: Buffers): Lease {
  const held = new Set<Buffer>();
  let wanted: BufferSize | undefined;
  let next: Buffer | undefined;

  function borrow(): Buffer | undefined {
    if (wanted === undefined) return undefined;
    const buffer = buffers.borrow(wanted) ?? (wanted === LARGE_BUFFER_BYTES ? buffers.borrow(SMALL_BUFFER_BYTES) : undefined);
    if (buffer !== undefined) held.add(buffer);
    return buffer;
  }

  return {
    available(busy) {
      next ??= borrow() ?? (busy?.byteLength === OWN_BYTES ? undefined : connection.buffer);
      return next !== undefined;
    },
    take() {
      const buffer = next ?? borrow() ?? connection.buffer;
      next = undefined;
      return buffer;
    },
    giveBack(buffer) {
      if (held.delete(buffer)) buffers.giveBack(buffer);
    },
    adapt({ count, room, sent, lastWriteMs }) {
      if (lastWriteMs > SLOW_WRITE_MS || count < OWN_BYTES) wanted = undefined;
      else if (count === room) wanted = sent >= LARGE_AFTER_BYTES ? LARGE_BUFFER_BYTES : SMALL_BUFFER_BYTES;
    },
    abandon() {
      for (const buffer of held) buffers.discard(buffer);
      held.clear();
      connection.dropBuffer();
    },
  };
}
