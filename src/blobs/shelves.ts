import { join } from 'node:path';
import { parseDigest, type Digest } from '../oci/digest.ts';
import type { Disk, FileStat } from '../system/disk.ts';
import type { HeldFile, Shelf } from './blob-store.ts';
import type { Layout } from './layout.ts';

/** Directories of the fan-out in the order in which they are walked: `sha256/00` … `sha512/ff`. */
const SHELVES: readonly string[] = ['sha256', 'sha512'].flatMap((algorithm) =>
  Array.from({ length: 256 }, (_, byte) => `${algorithm}/${byte.toString(16).padStart(2, '0')}`),
);

/** See `BlobStore.shelf`. One listing; those that hold nothing are passed over. */
export async function nextShelf(disk: Disk, layout: Layout, after: string | undefined): Promise<Shelf | undefined> {
  for (const name of SHELVES) {
    if (after !== undefined && name <= after) continue;
    const digests = await digestsOn(disk, layout, name);
    if (digests.length > 0) return { name, digests };
  }
  return undefined;
}

/** What is no blob of this place is nobody's that we know of, and is left alone. */
async function digestsOn(disk: Disk, layout: Layout, name: string): Promise<Digest[]> {
  const [algorithm, fan] = name.split('/') as [string, string];
  const names = await disk.list(join(layout.blobs, algorithm, fan));
  const digests = names.filter((hex) => hex.startsWith(fan)).map((hex) => parseDigest(`${algorithm}:${hex}`));
  return digests.filter((digest) => digest !== undefined).sort();
}

/** `undefined` where a blob is absent, or something else stands in its place. */
export async function lookAt(disk: Disk, path: string): Promise<HeldFile | undefined> {
  const stat = await disk.stat(path);
  return stat?.file === true ? { size: stat.size, changed: stat.changed, version: versionOf(stat) } : undefined;
}

/** Another one after every write to the file, and for every other file. */
export function versionOf({ inode, size, modified, changed }: FileStat): string {
  return `${inode} ${size} ${modified} ${changed}`;
}
