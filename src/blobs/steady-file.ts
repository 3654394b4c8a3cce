import type { Disk, OpenFile } from '../system/disk.ts';

/** What network file systems say of a file that another machine replaced or removed, or that is being recovered. */
const PASSING: ReadonlySet<string | undefined> = new Set(['ESTALE', 'EBUSY']);

/** Of one reader: a file that passes away again and again is a disk that fails. */
const OPENED_MAX = 9;

/**
 * A blob's file for reading, on a disk that may be elsewhere (reliability.md, R40): what passes is tried once more, by name,
 * since a name stands for the same bytes whatever file it is. What lasts is the disk's trouble, and no absence: what was pushed
 * would be told to be gone.
 */
export async function openSteadily(disk: Disk, path: string): Promise<OpenFile | undefined> {
  const open = (): Promise<OpenFile | undefined> => disk.open(path, 'read');
  const file = await again(open, open);
  return file === undefined ? undefined : reopening(file, open);
}

function reopening(first: OpenFile, open: () => Promise<OpenFile | undefined>): OpenFile {
  const opened = [first];
  /** On a file that was opened anew; every one of them is closed at the end, since others may be reading it. */
  function use<T>(work: (file: OpenFile) => Promise<T>): Promise<T> {
    return again(
      () => work(opened.at(-1) ?? first),
      async () => {
        const fresh = opened.length < OPENED_MAX ? await again(open, open) : undefined;
        if (fresh !== undefined) opened.push(fresh);
        return work(fresh ?? first);
      },
    );
  }
  return {
    ...first,
    read: (into, position) => use((file) => file.read(into, position)),
    stat: () => use((file) => file.stat()),
    size: () => use((file) => file.size()),
    async close() {
      await Promise.all(opened.map((file) => file.close()));
    },
  };
}

/** Not an async function: it stands around every read. */
function again<T>(work: () => Promise<T>, then: () => Promise<T>): Promise<T> {
  return work().catch((error: unknown) => {
    if (!isPassing(error)) throw error;
    return then();
  });
}

function isPassing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && PASSING.has(String(error.code));
}
