/** The body of a request, piece by piece: as slowly as it is read, and never more of it in memory than one piece. */
export interface PushBody {
  /** `Content-Length`; 0 where there is no body, `undefined` where it comes in chunks. */
  readonly length: number | undefined;
  /**
   * The next bytes; `undefined` at the end. The first call tells a client that waits for it to send (`Expect: 100-continue`).
   * Rejects with {@link BodyCut} when the client leaves, or sends nothing for the stall time.
   */
  next(): Promise<Uint8Array | undefined>;
}

/** The body ended before it was whole. */
export class BodyCut extends Error {
  override readonly name = 'BodyCut';
}

/** All of a body that has at most `bytesMax`; `undefined` where it has more. `take` is told of each piece. Rejects as both do. */
export async function readBody(
  body: PushBody,
  bytesMax: number,
  take: (bytes: number) => void,
): Promise<Uint8Array | undefined> {
  if (body.length !== undefined && body.length > bytesMax) return undefined;
  const pieces: Uint8Array[] = [];
  let size = 0;
  for (let piece = await body.next(); piece !== undefined; piece = await body.next()) {
    size += piece.byteLength;
    if (size > bytesMax) return undefined;
    take(piece.byteLength);
    pieces.push(piece);
  }
  return Buffer.concat(pieces, size);
}
