import type { BlobStore } from '../blobs/blob-store.ts';
import { RegistryError } from '../oci/errors.ts';

/** Bytes of the disk that no push may take: metadata and the end of what runs need some. */
const KEEP_FREE_BYTES = 16 * 1024 * 1024;

/** Throws 507 for a body that cannot fit on the disk, before a byte of it is read (reliability.md, S54). */
export async function checkRoom({ blobs }: { readonly blobs: BlobStore }, bytes: number | undefined): Promise<void> {
  if (bytes === undefined || bytes === 0) return;
  const { freeBytes } = await blobs.space();
  if (bytes + KEEP_FREE_BYTES > freeBytes) throw diskFull();
}

export function diskFull(cause?: unknown): RegistryError {
  return new RegistryError('UNAVAILABLE', 'the disk of this registry has no room for it', { status: 507, cause });
}
