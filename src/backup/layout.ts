import { join } from 'node:path';
import type { Digest } from '../oci/digest.ts';

/**
 * Where things stand in a backup:
 *
 *     <directory>/backup.json               written last: what is in it; without it the backup was not finished
 *     <directory>/metadata-<32 hex>.jsonl   the metadata, an entry a line; the one that backup.json names
 *     <directory>/entrepot/                 the content, as in a root directory (`blobs/disk.ts`)
 */
export interface BackupLayout {
  readonly directory: string;
  readonly marker: string;
  metadata(name: string): string;
}

export function backupLayout(directory: string): BackupLayout {
  return { directory, marker: join(directory, 'backup.json'), metadata: (name) => join(directory, name) };
}

export function metadataName(id: string): string {
  return `metadata-${id}.jsonl`;
}

export function isMetadataName(name: string): boolean {
  return /^metadata-[0-9a-f]{32}\.jsonl$/.test(name);
}

/** Where the bytes of a digest are, in a backup or below a root directory. */
export type PathOf = (digest: Digest) => string;
