import { constants, read, type Stats, type StatsFs } from 'node:fs';
import { link, lstat, mkdir, open, readdir, rename, rmdir, stat, statfs, unlink, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Disk, DiskSpace, FileStat, OpenFile } from './disk.ts';
import { fewAtOnce } from './few-at-once.ts';

/** All calls of the disk wait in libuv's threads: 4 of them, unless this says otherwise before the program begins. */
const THREADS = Number(process.env['UV_THREADPOOL_SIZE']) || 4;

/**
 * At most half of the threads wait for a sync: it may take a hundred times as long as a read from memory, and every read of a
 * held file would wait behind those of all fills.
 */
const syncing = fewAtOnce(Math.max(1, Math.floor(THREADS / 2)));

/** The machine's own file system. */
export const nodeDisk: Disk = {
  async open(path, mode) {
    const opening = open(path, FLAGS[mode], mode === 'append' ? 0o600 : undefined).then(toOpenFile);
    return mode === 'create' || mode === 'append' ? opening : unlessAbsent(opening, undefined);
  },
  async makeDirectory(path, access) {
    if (access === 'private') await mkdir(dirname(path), { recursive: true });
    await mkdir(path, { recursive: true, ...(access === 'private' ? { mode: 0o700 } : {}) });
  },
  async syncDirectory(path) {
    const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await syncing(() => handle.sync());
    } catch (error) {
      if (!NO_SUCH_SYNC.has((error as NodeJS.ErrnoException).code)) throw error;
    } finally {
      await handle.close();
    }
  },
  rename,
  async link(from, to) {
    try {
      await link(from, to);
      return true;
    } catch (error) {
      if (NO_SUCH_LINK.has((error as NodeJS.ErrnoException).code)) return false;
      throw error;
    }
  },
  isFile: async (path) => (await unlessAbsent(lstat(path), undefined))?.isFile() ?? false,
  unlink: (path) =>
    unlessAbsent(
      unlink(path).then(() => true),
      false,
    ),
  removeDirectory: (path) => unlessAbsent(rmdir(path), undefined),
  list: (path) => unlessAbsent(readdir(path), []),
  async stat(path) {
    const found = await unlessAbsent(stat(path), undefined);
    return found && toStat(found);
  },
  space: async (path) => toSpace(await statfs(path)),
};

/** What fsync of a directory says on file systems that have none (some SMB and FUSE mounts): they could never be used. */
const NO_SUCH_SYNC: ReadonlySet<string | undefined> = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP']);

/** `fs.protected_hardlinks` says EPERM of other users' files, and so do file systems without hard links. */
const NO_SUCH_LINK: ReadonlySet<string | undefined> = new Set(['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

const FLAGS = {
  read: constants.O_RDONLY,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  update: constants.O_RDWR,
  // A pipe that nobody reads would hold a thread for ever.
  append: constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK,
} as const;

/**
 * A descriptor is given back only when no call is under way on it: the kernel hands its number to the next open at once,
 * and a write still queued in the thread pool would then land in somebody else's file.
 */
export function toOpenFile(handle: FileHandle): OpenFile {
  let underWay = 0;
  let closing: Promise<void> | undefined;
  let onIdle: (() => void) | undefined;

  async function use<T>(work: () => Promise<T>): Promise<T> {
    if (closing !== undefined) throw closed();
    underWay++;
    try {
      return await work();
    } finally {
      end();
    }
  }

  function end(): void {
    underWay--;
    if (underWay === 0) onIdle?.();
  }

  /**
   * By callback, and without `use`: a promise of Node's has memory for what `stat` would say outside its heap, so that 60,000 reads of
   * 16 KiB made the collector run 110 to 140 times instead of 30. Reads are what serving held bytes is made of.
   */
  function readAt(into: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      if (closing !== undefined) return reject(closed());
      read(handle.fd, into, 0, into.byteLength, position, (error, count) => {
        if (error === null) resolve(count);
        else reject(error);
        end();
      });
      underWay++;
    });
  }

  async function closeWhenIdle(): Promise<void> {
    if (underWay > 0) await new Promise<void>((resolve) => (onIdle = resolve));
    await handle.close();
  }

  return {
    read: readAt,
    write: (bytes, position) => use(() => writeAll(handle, bytes, position)),
    size: () => use(async () => (await handle.stat()).size),
    stat: () => use(async () => toStat(await handle.stat())),
    truncate: (size) => use(() => handle.truncate(size)),
    sync: () => use(() => syncing(() => handle.sync())),
    close: () => (closing ??= closeWhenIdle()),
  };
}

function closed(): Error {
  return Object.assign(new Error('EBADF: the file was closed'), { code: 'EBADF' });
}

/** One write(2) may take fewer bytes than it was given (at 2 GiB, and when the disk fills up under it). */
export async function writeAll(handle: Pick<FileHandle, 'write'>, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    if (bytesWritten === 0) throw Object.assign(new Error('EIO: the disk took no byte of a write'), { code: 'EIO' });
    done += bytesWritten;
  }
}

/** ENOTDIR too: where a file stands in the place of a directory, there is nothing below it. */
async function unlessAbsent<T, U>(work: Promise<T>, absent: U): Promise<T | U> {
  try {
    return await work;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return absent;
    throw error;
  }
}

function toStat(found: Stats): FileStat {
  return {
    size: found.size,
    modified: found.mtimeMs,
    changed: found.ctimeMs,
    inode: found.ino,
    links: found.nlink,
    directory: found.isDirectory(),
    file: found.isFile(),
  };
}

/** `bavail`, not `bfree`: what is reserved for root does not count. */
function toSpace(found: StatsFs): DiskSpace {
  return {
    freeBytes: found.bavail * found.bsize,
    totalBytes: found.blocks * found.bsize,
    freeInodes: found.ffree,
    totalInodes: found.files,
  };
}
