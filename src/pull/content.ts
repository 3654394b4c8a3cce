import type { Digest } from '../oci/digest.ts';

/**
 * Bytes that we have, or bytes that are still arriving: nobody downstream can tell. A hit, the first client of a miss and
 * the tenth client who joined late all hold one of these.
 */
export interface Content {
  readonly digest: Digest;
  /** Bytes of the whole; `undefined` while an upstream has not said and nothing else knows. */
  readonly size: number | undefined;
  /** The digest in double quotes (RFC 9110 8.8.3). */
  readonly etag: string;
  /**
   * The bytes from `from` up to `to` (exclusive; `undefined`: to the end). Resolves when the first of them is readable.
   * The caller closes the reader. The signal ends every wait of it.
   */
  open(from: number, to: number | undefined, signal: AbortSignal): Promise<Reader>;
}

/** Bytes in order, for one client. */
export interface Reader {
  /** Fills `into` from its start and yields the count, 0 at the end. A rejection means: cut the client. */
  read(into: Uint8Array): Promise<number>;
  /** Harmless at any time, any number of times. */
  close(): void;
}

/** RFC 9110 8.8.3: a strong validator, since a digest names its bytes. */
export function etagOf(digest: Digest): string {
  return `"${digest}"`;
}
