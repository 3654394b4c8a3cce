import { beforeEach, describe, expect, test } from 'vitest';
import type { BlobStore, Part } from '../../src/blobs/blob-store.ts';
import { openDiskBlobStore } from '../../src/blobs/disk.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { randomId } from '../../src/system/random.ts';
import { readBlob } from '../conformance/blob-store.ts';
import { createMemoryDisk, type DiskOperation, type MemoryDisk } from '../fakes/memory-disk.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';

const random = createSeededRandom(11);
const bytes = random.bytes(9000);
const digest = digestOf(bytes);

describe('a disk that fails', () => {
  let disk: MemoryDisk;
  let store: BlobStore;
  let now = 0;

  beforeEach(async () => {
    now = 0;
    disk = createMemoryDisk({ now: () => now });
    store = await openDiskBlobStore({ disk, random, root: '/data', version: '1.0.0' });
  });

  async function filled(): Promise<Part> {
    const part = await store.part(randomId(random), false);
    await part.write(bytes, 0);
    return part;
  }
  async function keep(): Promise<void> {
    const part = await filled();
    await part.publish(digest);
    part.release();
  }
  async function nothingIsLeft(): Promise<void> {
    await store.close();
    expect(disk.openFiles()).toEqual([]);
    expect(await store.parts()).toEqual([]);
  }

  /** Each call that publishing makes, and which of its kind. */
  const calls: [DiskOperation, number][] = [
    ['sync', 1],
    ['makeDirectory', 1],
    ['syncDirectory', 1],
    ['syncDirectory', 2],
    ['stat', 1],
    ['rename', 1],
    ['syncDirectory', 3],
    ['syncDirectory', 4],
  ];

  test.each(calls)(
    'at %s (call %i) of a publish: told, nothing kept, nothing left, and the next one works',
    async (on, nth) => {
      const part = await filled();
      disk.fail({ on, nth, as: 'EIO' });
      await expect(part.publish(digest)).rejects.toMatchObject({ code: 'EIO' });
      expect(await store.open(digest)).toBeUndefined();
      part.release();
      await nothingIsLeft();
      await keep();
      expect(digestOf(await readBlob(store, digest))).toBe(digest);
    },
  );

  test.each([
    ['sync', 1],
    ['rename', 1],
    ['syncDirectory', 1],
    ['syncDirectory', 2],
  ] as [DiskOperation, number][])('at %s (call %i) of a second publish: what was promised before stays', async (on, nth) => {
    await keep();
    const part = await filled();
    disk.fail({ on, nth, as: 'EIO' });
    await expect(part.publish(digest)).rejects.toMatchObject({ code: 'EIO' });
    part.release();
    expect(digestOf(await readBlob(store, digest))).toBe(digest);
    await nothingIsLeft();
    disk.crash({ random });
    store = await openDiskBlobStore({ disk, random, root: '/data', version: '1.0.0' });
    expect(digestOf(await readBlob(store, digest))).toBe(digest);
  });

  test('an fsync that failed is never asked again of the same file, and no crash brings the file back', async () => {
    const part = await filled();
    disk.fail({ on: 'sync', nth: 1, as: 'EIO' });
    await expect(part.sync()).rejects.toMatchObject({ code: 'EIO' });
    const synced = disk.calls('sync');
    await expect(part.sync()).rejects.toThrow('discarded');
    await expect(part.publish(digest)).rejects.toThrow('discarded');
    expect(disk.calls('sync')).toBe(synced);
    const into = Buffer.alloc(9000);
    expect(await part.read(into, 0)).toBe(9000);
    part.release();
    await nothingIsLeft();
    expect(await store.open(digest)).toBeUndefined();
  });

  test('no descriptor left to sync the name of a part: told, and the part is still good', async () => {
    const part = await filled();
    disk.fail({ on: 'syncDirectory', nth: 1, as: 'EMFILE' });
    await expect(part.sync()).rejects.toMatchObject({ code: 'EMFILE' });
    await part.sync();
    await part.publish(digest);
    part.release();
    expect(digestOf(await readBlob(store, digest))).toBe(digest);
  });

  test('a full disk: the write is told, and discarding gives the room back', async () => {
    disk = createMemoryDisk({ totalBytes: 16_384 });
    store = await openDiskBlobStore({ disk, random, root: '/data', version: '1.0.0' });
    await keep();
    const part = await store.part(randomId(random), false);
    await expect(part.write(bytes, 0)).rejects.toMatchObject({ code: 'ENOSPC' });
    await part.write(bytes.subarray(0, 4000), 0);
    expect((await store.space()).freeBytes).toBeLessThan(4000);
    await part.discard();
    part.release();
    await nothingIsLeft();
    expect((await store.space()).freeBytes).toBeGreaterThan(7000);
  });

  test.each(['EMFILE', 'EIO', 'EACCES'])('%s at opening is no absence', async (code) => {
    await keep();
    const lift = disk.fail({ on: 'open', as: code });
    const opening = [store.open(digest), store.open(digest)];
    for (const result of await Promise.allSettled(opening))
      expect(result).toMatchObject({ status: 'rejected', reason: { code } });
    await expect(store.part(randomId(random), true)).rejects.toMatchObject({ code });
    lift();
    expect(digestOf(await readBlob(store, digest))).toBe(digest);
    await nothingIsLeft();
  });

  test('a file whose size cannot be told is closed again', async () => {
    await keep();
    disk.fail({ on: 'stat', nth: 1, as: 'EIO' });
    await expect(store.open(digest)).rejects.toMatchObject({ code: 'EIO' });
    disk.fail({ on: 'size', nth: 1, as: 'EIO' });
    const id = randomId(random);
    await expect(store.part(id, false)).rejects.toMatchObject({ code: 'EIO' });
    const part = await store.part(id, false);
    await part.discard();
    part.release();
    await nothingIsLeft();
  });

  test.each(Array.from({ length: 12 }, (_, seed) => seed))(
    'a removal that could not be made durable is told, and made so by the next (seed %i)',
    async (seed) => {
      await keep();
      const lift = disk.fail({ on: 'syncDirectory', as: 'EIO' });
      await expect(store.remove(digest)).rejects.toMatchObject({ code: 'EIO' });
      lift();
      expect(await store.remove(digest)).toBe(false);
      disk.crash({ random: createSeededRandom(seed) });
      store = await openDiskBlobStore({ disk, random, root: '/data', version: '1.0.0' });
      expect(await store.open(digest)).toBeUndefined();
    },
  );

  test.each(['ESTALE', 'EBUSY'])(
    '[R40] %s is tried once more at opening and reading, and is the disk’s trouble after that',
    async (code) => {
      await keep();
      for (const on of ['open', 'stat', 'read'] as const) {
        disk.fail({ on, nth: 1, as: code });
        expect(digestOf(await readBlob(store, digest))).toBe(digest);
      }
      const blob = await store.open(digest);
      // The file that is read has gone stale for good; its name stands for another one by now.
      const lift = disk.fail({ on: 'read', nth: 1, as: code });
      const into = Buffer.alloc(9000);
      expect(await blob?.read(into, 0)).toBe(9000);
      lift();
      expect(disk.openFiles()).toHaveLength(2);
      blob?.close();
      const staying = disk.fail({ on: 'open', as: code });
      await expect(store.open(digest)).rejects.toMatchObject({ code });
      staying();
      expect(digestOf(await readBlob(store, digest))).toBe(digest);
      await nothingIsLeft();
    },
  );

  test('a file that goes stale at every read ends with its error, not with ever more descriptors', async () => {
    await keep();
    const blob = await store.open(digest);
    disk.fail({ on: 'read', as: 'ESTALE' });
    for (let at = 0; at < 30; at += 1) await expect(blob?.read(Buffer.alloc(1), 0)).rejects.toMatchObject({ code: 'ESTALE' });
    expect(disk.openFiles().length).toBeLessThan(10);
    blob?.close();
    await nothingIsLeft();
  });

  test.each(['cut', 'removed', 'written'] as const)(
    'one that others have open and that was %s behind our back is found out',
    async (how) => {
      await keep();
      const first = await store.open(digest);
      const path = `/data/entrepot/blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}`;
      if (how === 'removed') await disk.unlink(path);
      else {
        now += 1;
        const file = await disk.open(path, 'update');
        await (how === 'cut' ? file?.truncate(10) : file?.write(Buffer.from('x'), 0));
        await file?.close();
      }
      const second = await store.open(digest);
      expect({ size: second?.size, same: second?.version === first?.version }).toEqual({
        size: { cut: 10, removed: undefined, written: 9000 }[how],
        same: false,
      });
      first?.close();
      second?.close();
      await nothingIsLeft();
    },
  );

  test('where removed files keep their links, as on some network file systems, a removal is seen at once all the same', async () => {
    const linked: typeof disk.open = async (path, mode) => {
      const file = await disk.open(path, mode);
      return file && { ...file, stat: async () => ({ ...(await file.stat()), links: 1 }) };
    };
    store = await openDiskBlobStore({ disk: { ...disk, open: linked }, random, root: '/data', version: '1.0.0' });
    await keep();
    const open = await store.open(digest);
    await store.remove(digest);
    expect(await store.open(digest)).toBeUndefined();
    open?.close();
    await nothingIsLeft();
  });

  test('what is another file by now is not even moved for a moment', async () => {
    await keep();
    const version = (await store.look(digest))?.version ?? '';
    await keep();
    const renames = disk.calls('rename');
    expect(await store.quarantine(digest, version, 1)).toBe(false);
    expect(disk.calls('rename')).toBe(renames);
  });

  test('a publish between look and rename of a quarantine is put back', async () => {
    await keep();
    const version = (await store.look(digest))?.version ?? '';
    // The look that decides saw the old file; the new one stands there when it is renamed.
    const part = await filled();
    const rename = disk.rename.bind(disk);
    const raced = await openDiskBlobStore({
      disk: {
        ...disk,
        async rename(from, to) {
          if (to.includes('/quarantine/')) await part.publish(digest);
          await rename(from, to);
        },
      },
      random,
      root: '/data',
      version: '1.0.0',
    });
    expect(await raced.quarantine(digest, version, 1)).toBe(false);
    part.release();
    expect(digestOf(await readBlob(store, digest))).toBe(digest);
    expect(await store.quarantined()).toEqual([]);
    await nothingIsLeft();
  });

  test('short reads reach the reader as they are', async () => {
    await keep();
    disk.fail({ on: 'read', as: { short: 100 } });
    expect(digestOf(await readBlob(store, digest))).toBe(digest);
  });

  test('a directory that somebody cleaned away while we ran is made again', async () => {
    await keep();
    await store.remove(digest);
    await disk.removeDirectory(`/data/entrepot/blobs/sha256/${digest.slice(7, 9)}`);
    await keep();
    expect(digestOf(await readBlob(store, digest))).toBe(digest);
  });

  test('many readers of one blob cost one descriptor, and none when they are gone', async () => {
    await keep();
    const blobs = await Promise.all(Array.from({ length: 50 }, () => store.open(digest)));
    expect(disk.openFiles()).toHaveLength(1);
    for (const blob of blobs) blob?.close();
    await nothingIsLeft();
  });

  test('a reader who comes while the last one closes gets an open file', async () => {
    await keep();
    const first = await store.open(digest);
    const coming = store.open(digest);
    first?.close();
    const second = await coming;
    expect(await second?.read(Buffer.alloc(10), 0)).toBe(10);
    second?.close();
    await nothingIsLeft();
  });
});
