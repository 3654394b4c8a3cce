import { join } from 'node:path';
import type { Disk } from '../system/disk.ts';
import { MetadataRefused } from './unavailable.ts';
import { readFully } from '../system/read-fully.ts';

/** Where three copies of the head may stand; which ones, the library says ("read_header" of its LMDB). */
const HEADS_BYTES = 3 * 65_536;

const MAGIC = 0xbeefc0de;
const META_PAGE = 0x08;
const DATA_VERSION = 2;
/** A tree without a page. */
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

/**
 * Looks at the store's two files before the library does: what is no file, what it may not write and a damaged head each end
 * the process by a signal there, without a word. Rejects with {@link MetadataRefused}, which says what to do, or with the
 * disk's own error. No file, and an empty one, are new; the directory is made.
 */
export async function checkLmdbFiles(disk: Disk, directory: string): Promise<void> {
  const [data, lock] = [join(directory, 'data.mdb'), join(directory, 'lock.mdb')];
  for (const path of [data, lock]) {
    if ((await disk.stat(path))?.file === false) throw new MetadataRefused(`${path} is not a file: move it away`);
  }
  const damage = await damageOf(disk, data);
  if (damage !== undefined) {
    const advice = `restore it from a backup, or move ${directory} away to start with nothing cached`;
    throw new MetadataRefused(`${data} is damaged: ${damage}; ${advice}`);
  }
  // The keys of our tokens stand in it.
  await disk.makeDirectory(directory, 'private');
  if ((await disk.stat(lock)) === undefined) await make(disk, lock);
}

/** An existing lock file is not opened: closing it again would give up the locks that this process may have on it (fcntl(2)). */
async function make(disk: Disk, path: string): Promise<void> {
  try {
    await (await disk.open(path, 'create'))?.close();
  } catch (error) {
    // Another process was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

async function damageOf(disk: Disk, path: string): Promise<string | undefined> {
  const file = await disk.open(path, 'update');
  if (file === undefined) return undefined;
  try {
    const size = await file.size();
    const head = new Uint8Array(Math.min(size, HEADS_BYTES));
    await readFully(file, head);
    return lmdbDamage(head, size);
  } finally {
    await file.close();
  }
}

/**
 * What is wrong with a file that begins so and is `size` bytes long; `undefined` where nothing shows. The newest head may
 * name pages that a power cut lost, and the library then takes an older one: so one whole head of the three is enough.
 */
export function lmdbDamage(head: Uint8Array, size: number): string | undefined {
  if (size === 0) return undefined;
  if (head.length < 512) return 'it is shorter than its head';
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const little = view.getUint32(24, true) === MAGIC;
  if (!little && view.getUint32(24, false) !== MAGIC) return 'it does not begin as such a file does';
  if ((view.getUint16(18, little) & META_PAGE) === 0) return 'it does not begin as such a file does';
  if ((view.getUint32(28, little) & 0xffff) !== DATA_VERSION) return 'it is of another version';
  const pageBytes = view.getUint32(48, little);
  if (pageBytes < 512 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0) return 'its page size is senseless';
  if (size < 2 * pageBytes) return 'it is shorter than its head';
  const isWhole = (at: number): boolean =>
    view.getUint32(at + 48, little) === pageBytes &&
    [88, 136].every((root) => isWithin(view.getBigUint64(at + root, little), BigInt(size) / BigInt(pageBytes)));
  const heads = [0, pageBytes / 2, pageBytes].filter((at) => at + 160 <= head.length);
  return heads.some(isWhole) ? undefined : 'its end is missing';
}

function isWithin(page: bigint, pages: bigint): boolean {
  return page === NO_PAGE || page < pages;
}
