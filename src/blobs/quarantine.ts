import { join } from 'node:path';
import { algorithmOf, encodedOf, parseDigest, type Digest } from '../oci/digest.ts';
import type { Disk } from '../system/disk.ts';
import type { Quarantined } from './blob-store.ts';
import type { Layout } from './layout.ts';
import { lookAt } from './shelves.ts';

/** `sha256-<hex>-<ms since the epoch>`. */
const NAME = /^(sha256|sha512)-([0-9a-f]+)-([0-9]{1,15})$/;

/**
 * See `BlobStore.quarantine`. Two names cannot be exchanged by condition: where a publish came between look and rename, the
 * new file is put back, whole as it is.
 */
export async function moveAway(disk: Disk, layout: Layout, digest: Digest, version: string, at: number): Promise<boolean> {
  const path = layout.blob(digest);
  const found = await lookAt(disk, path);
  if (found?.version !== version) return false;
  const away = join(layout.quarantine, `${algorithmOf(digest)}-${encodedOf(digest)}-${Math.max(0, Math.floor(at))}`);
  await makeQuarantine(disk, layout);
  await disk.rename(path, away);
  const moved = await lookAt(disk, away);
  const isOther = moved === undefined || inodeOf(moved.version) !== inodeOf(version);
  if (isOther && moved !== undefined) await disk.rename(away, path);
  await disk.syncDirectory(layout.fan(digest));
  await disk.syncDirectory(layout.quarantine);
  return !isOther;
}

/** Only where something was ever damaged there is one. */
async function makeQuarantine(disk: Disk, layout: Layout): Promise<void> {
  if ((await disk.stat(layout.quarantine)) !== undefined) return;
  await disk.makeDirectory(layout.quarantine);
  await disk.syncDirectory(layout.home);
}

/** A rename changes what else is in a version. */
function inodeOf(version: string): string | undefined {
  return version.split(' ')[0];
}

export async function listQuarantine(disk: Disk, layout: Layout): Promise<Quarantined[]> {
  const found: Quarantined[] = [];
  for (const name of await disk.list(layout.quarantine)) {
    const [, algorithm, hex, at] = NAME.exec(name) ?? [];
    const digest = parseDigest(`${algorithm}:${hex}`);
    const file = digest === undefined ? undefined : await lookAt(disk, join(layout.quarantine, name));
    if (digest !== undefined && file !== undefined) found.push({ name, digest, size: file.size, at: Number(at) });
  }
  return found.sort((a, b) => a.at - b.at || (a.name < b.name ? -1 : 1));
}

export async function removeFromQuarantine(disk: Disk, layout: Layout, name: string): Promise<boolean> {
  return NAME.test(name) && disk.unlink(join(layout.quarantine, name));
}
