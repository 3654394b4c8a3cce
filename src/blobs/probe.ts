import { join } from 'node:path';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';
import { randomId, type Random } from '../system/random.ts';
import { asDataDirectoryError } from './data-directory-error.ts';
import { layoutBelow, type Layout } from './layout.ts';
import { readSmallFile, writeSmallFile } from './small-file.ts';

export interface ProbeOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  /** The data directory; its layout was opened before. */
  readonly root: string;
}

/**
 * Goes once through all that keeping a blob takes: write, fsync, rename into another directory, fsync both, read back,
 * unlink. At start, and again to learn whether a disk in trouble has recovered.
 *
 * @throws DataDirectoryError `disk`, naming the directory and what to do.
 */
export async function probeDataDirectory(options: ProbeOptions): Promise<void> {
  const { disk, random, root } = options;
  const layout = layoutBelow(root);
  const id = randomId(random);
  const target = join(layout.blobs, `${PREFIX}${id}`);
  try {
    await sweep(options, layout);
    await writeSmallFile(disk, layout.part(id), id);
    await disk.rename(layout.part(id), target);
    await disk.syncDirectory(layout.blobs);
    await disk.syncDirectory(layout.parts);
    await checkProbe(disk, target, id);
    await disk.unlink(target);
  } catch (error) {
    for (const path of [layout.part(id), target]) await disk.unlink(path).catch(() => false); // The first failure is the one to tell.
    throw asDataDirectoryError(root, error);
  }
}

const PREFIX = 'probe-';

/** Old enough that no process is still at it. */
const LEFT_OVER_MS = 3600 * 1000;

/** What a crash in mid-probe left; a probe of this minute may be another process's. */
async function sweep({ disk, clock }: ProbeOptions, layout: Layout): Promise<void> {
  for (const name of await disk.list(layout.blobs)) {
    if (!name.startsWith(PREFIX)) continue;
    const found = await disk.stat(join(layout.blobs, name));
    if (found !== undefined && clock.now() - found.modified > LEFT_OVER_MS) await disk.unlink(join(layout.blobs, name));
  }
}

async function checkProbe(disk: Disk, path: string, text: string): Promise<void> {
  const found = await readSmallFile(disk, path);
  if (found !== text) throw new Error(`${path} does not read back as it was written`);
}
