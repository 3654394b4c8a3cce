import { readSmallFile, writeSmallFile } from '../blobs/small-file.ts';
import type { Disk } from '../system/disk.ts';
import { isMetadataName, type BackupLayout } from './layout.ts';

/** The layout of backups that this version writes. */
export const BACKUP = 1;

/** What `backup.json` says. */
export interface Marker {
  readonly backup: number;
  /** The layout of the metadata in it. */
  readonly layout: number;
  /** `entrepot 0.1.0`. */
  readonly writtenBy: string;
  /** When its metadata were read, ISO 8601. */
  readonly at: string;
  /** The name of their file, its lines, and its hash. */
  readonly metadata: string;
  readonly lines: number;
  readonly sha256: string;
  /** Cached content is in it too. */
  readonly cached: boolean;
}

/** `none`: nothing says that a backup was finished here. `fault`: it cannot be read here, and why. */
export type ReadMarker = Marker | 'none' | { readonly fault: string };

export async function readMarker(disk: Disk, { marker }: BackupLayout, layout: number): Promise<ReadMarker> {
  const text = await readSmallFile(disk, marker);
  if (text === undefined) return 'none';
  const found = parse(text);
  if (found === undefined) return { fault: `${marker} is damaged` };
  if (found.backup > BACKUP || found.layout > layout)
    return { fault: `it was written by ${found.writtenBy}, and this version is older: restore it with that one` };
  return found;
}

/** Durable, and there as a whole or not at all: until then what it replaces stands. */
export async function writeMarker(disk: Disk, { directory, marker }: BackupLayout, written: Marker): Promise<void> {
  const fresh = `${marker}.new`;
  await disk.unlink(fresh);
  await writeSmallFile(disk, fresh, `${JSON.stringify(written, undefined, 2)}\n`);
  await disk.rename(fresh, marker);
  await disk.syncDirectory(directory);
}

function parse(text: string): Marker | undefined {
  try {
    const value = JSON.parse(text) as Partial<Marker> | null;
    if (typeof value?.backup !== 'number' || typeof value.layout !== 'number' || typeof value.lines !== 'number')
      return undefined;
    if (typeof value.metadata !== 'string' || !isMetadataName(value.metadata)) return undefined;
    if (typeof value.sha256 !== 'string' || typeof value.at !== 'string' || typeof value.cached !== 'boolean') return undefined;
    // It is shown to a person, and whoever can write the file could write anything.
    const isOurs = typeof value.writtenBy === 'string' && /^entrepot [\w.+-]{1,60}$/.test(value.writtenBy);
    return { ...(value as Marker), writtenBy: isOurs ? value.writtenBy! : 'a newer entrepot' };
  } catch {
    // Not JSON: the caller says so.
    return undefined;
  }
}
