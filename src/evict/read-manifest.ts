import type { BlobStore } from '../blobs/blob-store.ts';
import type { LinkRecord } from '../metadata/records.ts';
import { algorithmOf, digestOf, type Digest } from '../oci/digest.ts';
import { readManifest } from '../oci/manifest.ts';
import { isManifestType, isSchema1Type } from '../oci/media-types.ts';
import { readFully } from '../system/read-fully.ts';

/** Larger ones were never taken (push and pull refuse them). */
const BYTES_MAX = 16 * 1024 * 1024;

/**
 * What a held manifest needs: an index's manifests, or config and layers. `undefined` where that cannot be told: its bytes
 * are lost or damaged, or of a type whose content is not known here.
 */
export async function needsOf(
  blobs: Pick<BlobStore, 'open'>,
  digest: Digest,
  { mediaType, size }: LinkRecord,
): Promise<readonly Digest[] | undefined> {
  if (mediaType === undefined || !isManifestType(mediaType) || isSchema1Type(mediaType) || size > BYTES_MAX) return undefined;
  const bytes = await readWhole(blobs, digest, size);
  if (bytes === undefined || digestOf(bytes, algorithmOf(digest)) !== digest) return undefined;
  const manifest = readManifest(bytes, mediaType);
  if (manifest.kind === 'fault') return undefined;
  return [...manifest.children, ...manifest.blobs].map((need) => need.digest);
}

async function readWhole(blobs: Pick<BlobStore, 'open'>, digest: Digest, size: number): Promise<Uint8Array | undefined> {
  const file = await blobs.open(digest);
  if (file === undefined) return undefined;
  try {
    if (file.size !== size) return undefined;
    const bytes = new Uint8Array(size);
    return (await readFully(file, bytes)) === size ? bytes : undefined;
  } finally {
    file.close();
  }
}
