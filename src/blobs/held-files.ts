import type { Digest } from '../oci/digest.ts';
import type { FileStat, OpenFile } from '../system/disk.ts';
import type { OpenBlob } from './blob-store.ts';
import { versionOf } from './shelves.ts';

/**
 * One open file per blob, shared by its readers, so that a thousand clients of one layer cost one descriptor. A file is
 * closed with its last user, and is held by them alone: a blob that was removed or replaced meanwhile reads on.
 */
export interface HeldFiles {
  /** The blob's file; `undefined` where it is absent. Rejects with the disk's error. */
  open(digest: Digest): Promise<OpenBlob | undefined>;
  /** What the name stands for has changed: the next `open` looks again. */
  forget(digest: Digest): void;
}

interface Opened {
  readonly file: OpenFile;
  readonly stat: FileStat;
}

/** `users` counts from before the file is open, so that it cannot be closed under one who still waits for it. */
interface Held {
  users: number;
  readonly opening: Promise<Opened | undefined>;
}

/** `openFile` opens the digest's file for reading; `close` is told each file that has no user left, once. */
export function createHeldFiles(
  openFile: (digest: Digest) => Promise<OpenFile | undefined>,
  close: (file: OpenFile) => void,
): HeldFiles {
  const held = new Map<Digest, Held>();

  function release(digest: Digest, entry: Held): void {
    entry.users--;
    if (entry.users > 0) return;
    if (held.get(digest) === entry) held.delete(digest);
    entry.opening.then((opened) => {
      if (opened !== undefined) close(opened.file);
    }, ignoreTold);
  }

  /** A file that others have open may have been cut, written to or removed since by somebody who is not us. */
  async function isAsOpened({ file, stat }: Opened): Promise<boolean> {
    const now = await file.stat();
    return now.links > 0 && versionOf(now) === versionOf(stat);
  }

  return {
    async open(digest) {
      for (;;) {
        const known = held.get(digest);
        const entry = known ?? { users: 0, opening: openStated(openFile, close, digest) };
        held.set(digest, entry);
        entry.users++;
        let opened: Opened | undefined;
        try {
          opened = await entry.opening;
          const isOurs = opened === undefined || known === undefined || (await isAsOpened(opened));
          if (isOurs && opened !== undefined) return toOpenBlob(opened, () => release(digest, entry));
          if (!isOurs && held.get(digest) === entry) held.delete(digest);
        } catch (error) {
          release(digest, entry);
          throw error;
        }
        release(digest, entry);
        if (opened === undefined) return undefined;
      }
    },
    forget: (digest) => void held.delete(digest),
  };
}

async function openStated(
  openFile: (digest: Digest) => Promise<OpenFile | undefined>,
  close: (file: OpenFile) => void,
  digest: Digest,
): Promise<Opened | undefined> {
  const file = await openFile(digest);
  if (file === undefined) return undefined;
  try {
    return { file, stat: await file.stat() };
  } catch (error) {
    close(file);
    throw error;
  }
}

function toOpenBlob({ file, stat }: Opened, release: () => void): OpenBlob {
  let closed = false;
  return {
    size: stat.size,
    version: versionOf(stat),
    read(into, position) {
      if (closed) return Promise.reject(new Error('the blob was closed by this reader'));
      return file.read(into, position);
    },
    close() {
      if (closed) return;
      closed = true;
      release();
    },
  };
}

/** Every waiter was told of the failed opening; there is nothing to close. */
function ignoreTold(): void {}
