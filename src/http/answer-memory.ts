/** As much as Node takes for small buffers at a time. */
const PAGE_BYTES = 8192;

/**
 * What answers are put together in, head and body in one piece, so that they leave with one call of the system. Small ones share a page,
 * since the kernel nearly always takes them at once: new memory for each made the collector a tenth of a hit's cost.
 */
export interface AnswerMemory {
  /** Good until the next call, unless `keep` is called. */
  shared(pieces: Pieces): Buffer;
  /** What was shared last is still on its way, and nobody else's until then. */
  keep(): void;
}

/** One behind the other. Text is latin1, and short: what is sent more than once is there as bytes. */
export type Pieces = readonly (string | Uint8Array)[];

export function createAnswerMemory(): AnswerMemory {
  let page: Buffer | undefined;
  return {
    shared(pieces) {
      if (lengthOf(pieces) > PAGE_BYTES) return own(pieces);
      page ??= Buffer.allocUnsafeSlow(PAGE_BYTES);
      return page.subarray(0, put(page, pieces));
    },
    keep() {
      page = undefined;
    },
  };
}

/** The same in memory of its own, for what takes its time: TLS tells only later what it has taken. */
export function own(pieces: Pieces): Buffer {
  const bytes = Buffer.allocUnsafe(lengthOf(pieces));
  put(bytes, pieces);
  return bytes;
}

function lengthOf(pieces: Pieces): number {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  return length;
}

function put(bytes: Buffer, pieces: Pieces): number {
  let at = 0;
  for (const piece of pieces) {
    if (typeof piece === 'string') bytes.write(piece, at, 'latin1');
    else bytes.set(piece, at);
    at += piece.length;
  }
  return at;
}
