import { join } from 'node:path';
import { AdminError } from '../admin/admin-error.ts';
import { backupLayout, isMetadataName } from '../backup/layout.ts';
import { hashFile } from '../backup/lines.ts';
import { readMarker, type Marker } from '../backup/marker.ts';
import { restore, type RestoreStep } from '../backup/restore.ts';
import { layoutBelow } from '../blobs/layout.ts';
import { createTake } from '../blobs/take.ts';
import type { Config } from '../config/config.ts';
import { needsOf } from '../evict/read-manifest.ts';
import { DUMP_LAYOUT, dumpedLink } from '../metadata/dump.ts';
import type { Digest } from '../oci/digest.ts';
import type { Disk } from '../system/disk.ts';
import { randomId } from '../system/random.ts';
import { asRefusal } from './backing-up.ts';
import { openStorage, type Storage, type StorageDeps } from './storage.ts';

/**
 * Makes a root directory of a backup. It is made beside its place, and moved there at the end as a whole, so that no server
 * ever starts on half of it. Throws AdminError for what can be no backup, or no place for it.
 */
export async function* restoreBackup(config: Config, directory: string, deps: StorageDeps): AsyncGenerator<RestoreStep> {
  const { disk, random } = deps;
  const root = config.storage.rootdirectory;
  const marker = await markerOf(disk, directory);
  await mustBeEmpty(disk, root);
  const staging = join(root, `${STAGING}${randomId(random)}`);
  const storage = await openStorage({ ...config, storage: { ...config.storage, rootdirectory: staging } }, deps);
  let last: RestoreStep | undefined;
  try {
    if (!(await storage.dump.isEmpty()))
      throw new AdminError('the metadata store of this configuration is not empty: empty it, or name another one');
    for await (const step of restore({
      ...deps,
      layout: backupLayout(directory),
      marker,
      linkOf: dumpedLink,
      pathOf: layoutBelow(directory).blob,
      take: createTake({ disk, blobs: storage.files, random }),
      load: (lines) => storage.dump.load(lines, async (digest) => (await sizeOf(storage, digest)) !== undefined),
      records: storage.records,
      size: (digest) => sizeOf(storage, digest),
      needsOf: (digest, link) => needsOf(storage.files, digest, link),
    })) {
      // It is true only where it stands in its place.
      if (step.kind === 'restored') last = step;
      else yield step;
    }
    await storage.records.flushed();
  } catch (error) {
    throw asRefusal(error, 'the restore was broken off');
  } finally {
    await storage.close();
    if (last === undefined) await removeTree(disk, staging).catch(() => undefined); // The next one says that it is there.
  }
  if (last === undefined) return;
  await moveIn(disk, root, staging);
  yield last;
}

const STAGING = 'restoring-';

async function markerOf(disk: Disk, directory: string): Promise<Marker> {
  const layout = backupLayout(directory);
  const marker = await readMarker(disk, layout, DUMP_LAYOUT);
  if (marker === 'none') {
    const begun = (await disk.list(directory)).some((name) => isMetadataName(name) || name === 'entrepot');
    throw new AdminError(
      begun
        ? `the backup in ${directory} was never finished: make it again`
        : `${directory} holds no backup: there is no ${layout.marker}`,
    );
  }
  if ('fault' in marker) throw new AdminError(`${directory} cannot be restored: ${marker.fault}`);
  const metadata = layout.metadata(marker.metadata);
  if ((await disk.stat(metadata)) === undefined)
    throw new AdminError(`${directory} cannot be restored: ${metadata} is missing`);
  if ((await hashFile(disk, metadata)) !== marker.sha256)
    throw new AdminError(`${directory} cannot be restored: ${metadata} is damaged`);
  return marker;
}

/** What a fresh file system has in it is nobody's. */
const NOBODYS: ReadonlySet<string> = new Set(['lost+found']);

async function mustBeEmpty(disk: Disk, root: string): Promise<void> {
  const [first] = (await disk.list(root)).filter((name) => !NOBODYS.has(name));
  if (first === undefined) return;
  const why = first.startsWith(STAGING)
    ? ', which an earlier restore left: remove it'
    : ' in it: a backup is restored into an empty directory';
  throw new AdminError(`${root} is not empty: there is ${first}${why}`);
}

async function sizeOf({ files }: Storage, digest: Digest): Promise<number | undefined> {
  const file = await files.open(digest);
  file?.close();
  return file?.size;
}

async function moveIn(disk: Disk, root: string, staging: string): Promise<void> {
  await disk.rename(join(staging, 'entrepot'), join(root, 'entrepot'));
  await disk.syncDirectory(root);
  await disk.removeDirectory(staging);
}

async function removeTree(disk: Disk, directory: string): Promise<void> {
  for (const name of await disk.list(directory)) {
    const path = join(directory, name);
    if (await disk.isFile(path)) await disk.unlink(path);
    else await removeTree(disk, path);
  }
  await disk.removeDirectory(directory);
}
