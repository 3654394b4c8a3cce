import type { Digest } from '../../src/oci/digest.ts';

/** Where a blob is, as the layout has it (blobs/disk.ts). */
export function pathOf(digest: Digest): string {
  const [algorithm, hex = ''] = digest.split(':');
  return `/data/entrepot/blobs/${algorithm}/${hex.slice(0, 2)}/${hex}`;
}
