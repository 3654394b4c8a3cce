import type { Digest } from '../oci/digest.ts';
import { randomId, type Random } from '../system/random.ts';
import type { BlobStore } from './blob-store.ts';

/** Publishes bytes that are in memory, as manifests are. What could not be published is discarded, and the error told. */
export async function publishBytes(
  { blobs, random }: { readonly blobs: Pick<BlobStore, 'part'>; readonly random: Random },
  digest: Digest,
  bytes: Uint8Array,
): Promise<void> {
  const part = await blobs.part(randomId(random), false, bytes.byteLength);
  try {
    await part.write(bytes, 0);
    await part.publish(digest);
  } catch (error) {
    await part.discard().catch(() => undefined); // The first failure is the one to tell.
    throw error;
  } finally {
    part.release();
  }
}
