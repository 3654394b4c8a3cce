import type { Digest } from '../oci/digest.ts';
import type { Disk, OpenFile } from '../system/disk.ts';
import type { Part, PartId } from './blob-store.ts';
import type { FanOut } from './fan-out.ts';
import type { Layout } from './layout.ts';

export interface DiskPartOptions {
  readonly disk: Disk;
  readonly layout: Layout;
  readonly fanOut: FanOut;
  readonly id: PartId;
  readonly file: OpenFile;
  readonly resumedSize: number;
  /** The digest's name now stands for another file, or for none. */
  readonly changed: (digest: Digest) => void;
  /** The part's name is free: it was published, discarded or closed. May be told more than once. */
  readonly left: () => void;
  /** The last user released the file. */
  readonly released: () => void;
}

/** A part on disk. Once published or discarded it takes no more bytes; who retains it reads on. */
export function createDiskPart(options: DiskPartOptions): Part {
  const { disk, layout, id, file } = options;
  const path = layout.part(id);
  let users = 1;
  let ended = false;
  let named = false;

  async function filling<T>(work: () => Promise<T>): Promise<T> {
    if (ended) throw new Error(`part ${id} was published or discarded`);
    return work();
  }

  async function discard(): Promise<void> {
    if (ended) return;
    ended = true;
    await disk.unlink(path).finally(options.left);
  }

  /**
   * After a failed fsync the kernel counts the lost pages as clean, and a second fsync of the same file succeeds without
   * them: the file is given up at once. Its name is synced once too, since a record may soon vouch for what is below it.
   */
  async function sync(): Promise<void> {
    try {
      await file.sync();
    } catch (error) {
      await discard().catch(ignoreLater);
      throw error;
    }
    if (!named) await disk.syncDirectory(layout.parts);
    named = true;
  }

  return {
    id,
    resumedSize: options.resumedSize,
    write: (bytes, position) => filling(() => file.write(bytes, position)),
    read: (into, position) => file.read(into, position),
    truncate: (size) => filling(() => file.truncate(size)),
    expect: () => Promise.resolve(),
    sync: () => filling(sync),
    publish: (digest) =>
      filling(async () => {
        ended = true;
        await publish(options, path, digest).finally(options.left);
      }),
    discard,
    retain() {
      if (users === 0) throw new Error(`part ${id} was retained after its last release`);
      users++;
    },
    release() {
      if (users === 0) throw new Error(`part ${id} was released more often than retained`);
      users--;
      if (users > 0) return;
      options.left();
      options.released();
    },
  };
}

/**
 * fsync, rename, fsync of both directories: the order in which a crash at any point leaves the blob absent or whole. What
 * fails on the way takes the file along, and a name that was free before is free again; one that held a blob keeps bytes
 * that were synced and are the same, since somebody was promised them.
 */
async function publish({ disk, layout, fanOut, file, changed }: DiskPartOptions, path: string, digest: Digest): Promise<void> {
  const target = layout.blob(digest);
  let doomed: string | undefined = path;
  try {
    await file.sync();
    await fanOut.ensure(digest);
    const held = (await disk.stat(target)) !== undefined;
    await renameInto(disk, fanOut, path, digest, target);
    doomed = held ? undefined : target;
    changed(digest);
    await disk.syncDirectory(layout.fan(digest));
    await disk.syncDirectory(layout.parts);
  } catch (error) {
    if (doomed !== undefined) await disk.unlink(doomed).catch(ignoreLater);
    changed(digest);
    throw error;
  }
}

/** A directory that somebody cleaned away while we ran is made again, once. */
async function renameInto(disk: Disk, fanOut: FanOut, path: string, digest: Digest, target: string): Promise<void> {
  try {
    await disk.rename(path, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    fanOut.forget(digest);
    await fanOut.ensure(digest);
    await disk.rename(path, target);
  }
}

/** The error before it is the one to tell; a file that stays in `parts/` is swept. */
function ignoreLater(): void {}
