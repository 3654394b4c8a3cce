import { beforeEach, describe, expect, test } from 'vitest';
import type { BlobStore } from '../../../src/blobs/blob-store.ts';
import { openDiskBlobStore } from '../../../src/blobs/disk.ts';
import { createTake } from '../../../src/blobs/take.ts';
import { systemRandom } from '../../../src/system/random.ts';
import { randomBlob, type Blob } from '../../fakes/images.ts';
import { createMemoryDisk, type MemoryDisk } from '../../fakes/memory-disk.ts';

const blob = randomBlob(3_000_000, 1);
const PATH = '/there/data';
let disk: MemoryDisk;
let blobs: BlobStore;

beforeEach(async () => {
  disk = createMemoryDisk();
  blobs = await openDiskBlobStore({ disk, random: systemRandom, root: '/here', version: '0.0.0' });
  await disk.makeDirectory('/there');
});

const put = async (bytes: Uint8Array): Promise<void> => {
  await disk.unlink(PATH);
  const file = await disk.open(PATH, 'create');
  await file?.write(bytes, 0);
  await file?.close();
};
const take = (of: Blob = blob) => createTake({ disk, blobs, random: systemRandom })(of.digest, PATH);
const isHeld = async (): Promise<boolean> => {
  const file = await blobs.open(blob.digest);
  file?.close();
  return file !== undefined;
};

describe.each(['by a second name', 'by copy'])('%s', (how) => {
  beforeEach(() => {
    // Another file system.
    if (how === 'by copy') disk.link = () => Promise.resolve(false);
  });
  const kind = how === 'by copy' ? 'copied' : 'linked';

  test('what is right is held, once, and nothing is left on its way', async () => {
    await put(blob.bytes);
    expect(await take()).toEqual({ kind, size: blob.size });
    expect(await take()).toEqual({ kind: 'held', size: blob.size });
    expect(await isHeld()).toBe(true);
    expect(await blobs.parts()).toEqual([]);
    await blobs.close();
    expect(disk.openFiles()).toEqual([]);
  });

  test.each([
    ['damaged at its end', (bytes: Buffer) => bytes.fill(0, bytes.length - 1)],
    ['damaged at its start', (bytes: Buffer) => bytes.fill(0, 0, 9)],
    ['cut short', (bytes: Buffer) => bytes.subarray(0, bytes.length - 1)],
    ['too long', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('x')])],
    ['empty', () => Buffer.alloc(0)],
  ])('[promise 1] what is %s is not, and stays as it was there', async (_what, harm) => {
    const bytes = harm(Buffer.from(blob.bytes));
    await put(bytes);
    expect(await take()).toEqual({ kind: 'wrong' });
    expect(await isHeld()).toBe(false);
    expect(await blobs.parts()).toEqual([]);
    expect((await disk.stat(PATH))?.size).toBe(bytes.length);
  });

  test.each(['read', 'sync', 'rename'] as const)(
    'a disk that fails at a %s is told of, and it can be taken again',
    async (on) => {
      await put(blob.bytes);
      const lift = disk.fail({ on, nth: 1, as: 'EIO' });
      await expect(take()).rejects.toMatchObject({ code: 'EIO' });
      lift();
      expect(await blobs.parts()).toEqual([]);
      expect(await take()).toEqual({ kind, size: blob.size });
    },
  );
});

test('one that is held and differs in size from what is there is taken anew', async () => {
  await put(blob.bytes);
  await take();
  const file = await disk.open(`/here/entrepot/blobs/sha256/${blob.digest.slice(7, 9)}/${blob.digest.slice(7)}`, 'update');
  // A copy of its own, cut short by somebody.
  await disk.unlink(PATH);
  await file?.truncate(5);
  await file?.close();
  await put(blob.bytes);
  expect(await take()).toEqual({ kind: 'linked', size: blob.size });
});

test('of nothing, and of a directory, nothing is taken', async () => {
  expect(await take()).toEqual({ kind: 'absent' });
  await disk.makeDirectory(PATH);
  expect(await take()).toEqual({ kind: 'absent' });
});

test('however many ask at once, it is read once', async () => {
  await put(blob.bytes);
  const taking = createTake({ disk, blobs, random: systemRandom });
  const links = disk.calls('link');
  const all = await Promise.all(Array.from({ length: 20 }, () => taking(blob.digest, PATH)));
  expect(new Set(all)).toEqual(new Set([all[0]]));
  expect(disk.calls('link') - links).toBe(1);
});
