import type { Disk } from '../system/disk.ts';
import { readFully } from '../system/read-fully.ts';

/** Far above what any of our small files holds: what is longer is cut, and then does not parse. */
const BYTES_MAX = 64 * 1024;

/** The text of a small file, `undefined` where there is none. */
export async function readSmallFile(disk: Disk, path: string): Promise<string | undefined> {
  const file = await disk.open(path, 'read');
  if (file === undefined) return undefined;
  try {
    const into = Buffer.alloc(Math.min(await file.size(), BYTES_MAX));
    return into.toString('utf8', 0, await readFully(file, into));
  } finally {
    await file.close();
  }
}

/** A new file whose bytes are durable when it resolves; its name is not, until the directory is synced. */
export async function writeSmallFile(disk: Disk, path: string, text: string): Promise<void> {
  const file = await disk.open(path, 'create');
  if (file === undefined) throw new Error(`${path} was not created`);
  try {
    await file.write(Buffer.from(text), 0);
    await file.sync();
  } finally {
    await file.close();
  }
}
