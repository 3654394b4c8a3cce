import { dirname } from 'node:path';
import { readSmallFile, writeSmallFile } from '../blobs/small-file.ts';
import type { EpochFile, EpochMark } from '../metadata/with-epoch.ts';
import type { Disk } from '../system/disk.ts';
import { randomId, type Random } from '../system/random.ts';

/** The mark as a small file of the data directory. */
export function epochFile({ disk, random, path }: { disk: Disk; random: Random; path: string }): EpochFile {
  return {
    path,
    async read() {
      const text = await readSmallFile(disk, path);
      return text === undefined ? undefined : parse(text);
    },
    async write(mark) {
      const fresh = `${path}.${randomId(random)}`;
      try {
        await writeSmallFile(disk, fresh, `${JSON.stringify(mark)}\n`);
        await disk.rename(fresh, path);
      } catch (error) {
        await disk.unlink(fresh).catch(() => false); // The first failure is the one to tell.
        throw error;
      }
      await disk.syncDirectory(dirname(path));
    },
  };
}

/** One that says nothing readable still says that there was one: no store is that one's. */
function parse(text: string): EpochMark {
  const lost = { epoch: '', hosted: true };
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('epoch' in value) || typeof value.epoch !== 'string') return lost;
    return { epoch: value.epoch, hosted: !('hosted' in value) || value.hosted !== false };
  } catch {
    return lost;
  }
}
