/** Sizes that are lent. A body that leaves quickly gets `SMALL`; one that has gone on doing so for long gets `LARGE`. */
export const SMALL_BUFFER_BYTES = 262_144;
export const LARGE_BUFFER_BYTES = 1_048_576;

export type BufferSize = typeof SMALL_BUFFER_BYTES | typeof LARGE_BUFFER_BYTES;

/**
 * The buffers that all connections share, in number bounded whatever clients do. Two shelves, so that readers that stop
 * (they do so before they have earned a large one) cannot take those of the fast.
 */
export interface Buffers {
  /** `undefined` when all of that size are lent: the connection's own buffer must do. */
  borrow(size: BufferSize): Buffer | undefined;
  /** No read into it and no write from it is under way. */
  giveBack(buffer: Buffer): void;
  /** It may still be in use by a call under way: another takes its place, and nobody ever gets this one. */
  discard(buffer: Buffer): void;
  /** Bytes lent and bytes at hand: `entrepot_buffers_bytes`, beside what connections own. */
  bytes(): number;
  /** Bytes lent now. */
  lentBytes(): number;
}

/** `bytesMax` is divided evenly between the two sizes. */
export function createBuffers(bytesMax: number): Buffers {
  const small = createShelf(SMALL_BUFFER_BYTES, bytesMax / 2);
  const large = createShelf(LARGE_BUFFER_BYTES, bytesMax / 2);
  const shelfOf = (size: number): Shelf => (size === LARGE_BUFFER_BYTES ? large : small);
  return {
    borrow: (size) => shelfOf(size).borrow(),
    giveBack: (buffer) => shelfOf(buffer.byteLength).giveBack(buffer),
    discard: (buffer) => shelfOf(buffer.byteLength).discard(),
    bytes: () => small.bytes() + large.bytes(),
    lentBytes: () => small.lentBytes() + large.lentBytes(),
  };
}

interface Shelf {
  borrow(): Buffer | undefined;
  giveBack(buffer: Buffer): void;
  discard(): void;
  bytes(): number;
  lentBytes(): number;
}

function createShelf(size: number, bytesMax: number): Shelf {
  const countMax = Math.floor(bytesMax / size);
  const free: Buffer[] = [];
  let lent = 0;
  return {
    borrow() {
      if (lent >= countMax) return undefined;
      lent += 1;
      return free.pop() ?? Buffer.allocUnsafeSlow(size);
    },
    giveBack(buffer) {
      lent -= 1;
      free.push(buffer);
    },
    discard() {
      lent -= 1;
    },
    bytes: () => (lent + free.length) * size,
    lentBytes: () => lent * size,
  };
}
