import { algorithmOf, finishDigest, startDigest, type Digest } from '../oci/digest.ts';
import { nextTurn } from '../system/turn.ts';
import type { OpenBlob, ReadingThrough } from './blob-store.ts';

/** Hashed at a time, in about a seventh of a millisecond: others go on in between. */
const SLICE_BYTES = 256 * 1024;

/** Whether the file's bytes, up to its size, are those of the digest. Rejects with the disk's error. */
export async function isRight(blob: OpenBlob, digest: Digest, { signal, pace }: ReadingThrough = {}): Promise<boolean> {
  const hash = startDigest(digest);
  const slice = Buffer.allocUnsafeSlow(Math.min(SLICE_BYTES, Math.max(1, blob.size)));
  for (let position = 0; position < blob.size;) {
    signal?.throwIfAborted();
    const count = await blob.read(slice.subarray(0, Math.min(slice.byteLength, blob.size - position)), position);
    if (count === 0) return false;
    hash.update(slice.subarray(0, count));
    position += count;
    await (pace === undefined ? nextTurn() : pace(count));
  }
  return finishDigest(hash, algorithmOf(digest)) === digest;
}
