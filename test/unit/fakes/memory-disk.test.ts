import { describe, expect, test } from 'vitest';
import type { OpenFile } from '../../../src/system/disk.ts';
import { createMemoryDisk, type MemoryDisk } from '../../fakes/memory-disk.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

const PAGE = 4096;

/** What `look` sees after a crash, over many seeds. */
async function outcomes(
  prepare: (disk: MemoryDisk) => Promise<void>,
  look: (disk: MemoryDisk) => Promise<string>,
): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let seed = 0; seed < 200; seed++) {
    const disk = createMemoryDisk();
    await prepare(disk);
    disk.crash({ random: createSeededRandom(seed) });
    seen.add(await look(disk));
  }
  return seen;
}

async function create(disk: MemoryDisk, path: string, bytes: Uint8Array): Promise<OpenFile> {
  const file = await disk.open(path, 'create');
  if (file === undefined) throw new Error('not created');
  await file.write(bytes, 0);
  return file;
}

async function durable(disk: MemoryDisk, path: string, bytes: Uint8Array): Promise<OpenFile> {
  const file = await create(disk, path, bytes);
  await file.sync();
  await disk.syncDirectory('/');
  return file;
}

/** `a` per page of 1s, `b` per page of 2s, `0` per page of zeros, `?` for a torn one. */
async function pages(disk: MemoryDisk, path: string): Promise<string> {
  const file = await disk.open(path, 'read');
  if (file === undefined) return 'absent';
  const bytes = Buffer.alloc(await file.size());
  await file.read(bytes, 0);
  const letters = Array.from({ length: bytes.length / PAGE }, (_, n) => letter(bytes.subarray(n * PAGE, (n + 1) * PAGE)));
  return letters.join('');
}

function letter(page: Uint8Array): string {
  const first = page[0] ?? 0;
  return page.every((byte) => byte === first) ? '0ab'.charAt(first) : '?';
}

const ones = Buffer.alloc(2 * PAGE, 1);
const twos = Buffer.alloc(2 * PAGE, 2);

describe('the memory disk at a crash', () => {
  test('keeps what was synced, with its name', async () => {
    const seen = await outcomes(
      async (disk) => void (await durable(disk, '/file', ones)),
      (disk) => pages(disk, '/file'),
    );
    expect(seen).toEqual(new Set(['aa']));
  });

  test('loses or keeps each unsynced page on its own, and tears some', async () => {
    const seen = await outcomes(
      async (disk) => (await durable(disk, '/file', ones)).write(twos, 0),
      (disk) => pages(disk, '/file'),
    );
    expect(seen).toEqual(new Set(['aa', 'ab', 'ba', 'bb', '?a', '?b', 'a?', 'b?', '??']));
  });

  test('may keep a size without its bytes', async () => {
    const seen = await outcomes(
      async (disk) => (await durable(disk, '/file', new Uint8Array())).write(ones, 0),
      (disk) => pages(disk, '/file'),
    );
    expect([...seen]).toEqual(expect.arrayContaining(['', '00', 'a0', '0a', 'aa']));
  });

  test('synced bytes without a synced name may be gone', async () => {
    const seen = await outcomes(
      async (disk) => (await create(disk, '/file', ones)).sync(),
      (disk) => pages(disk, '/file'),
    );
    expect(seen).toEqual(new Set(['absent', 'aa']));
  });

  test('a rename happens whole or not, until both directories are synced', async () => {
    const prepare =
      (...synced: string[]) =>
      async (disk: MemoryDisk): Promise<void> => {
        await disk.makeDirectory('/below');
        await durable(disk, '/file', ones);
        await disk.rename('/file', '/below/file');
        for (const directory of synced) await disk.syncDirectory(directory);
      };
    const look = async (disk: MemoryDisk): Promise<string> =>
      `${await pages(disk, '/file')} ${await pages(disk, '/below/file')}`;
    const either = new Set(['aa absent', 'absent aa']);
    expect(await outcomes(prepare(), look)).toEqual(either);
    expect(await outcomes(prepare('/below'), look)).toEqual(either);
    expect(await outcomes(prepare('/'), look)).toEqual(either);
    expect(await outcomes(prepare('/below', '/'), look)).toEqual(new Set(['absent aa']));
  });

  test('an unlinked name may come back, until its directory is synced', async () => {
    const prepare =
      (sync: boolean) =>
      async (disk: MemoryDisk): Promise<void> => {
        await durable(disk, '/file', ones);
        await disk.unlink('/file');
        if (sync) await disk.syncDirectory('/');
      };
    expect(await outcomes(prepare(false), (disk) => pages(disk, '/file'))).toEqual(new Set(['absent', 'aa']));
    expect(await outcomes(prepare(true), (disk) => pages(disk, '/file'))).toEqual(new Set(['absent']));
  });

  test('what is below a directory goes with it', async () => {
    const prepare = async (disk: MemoryDisk): Promise<void> => {
      await disk.makeDirectory('/below');
      await (await create(disk, '/below/file', ones)).sync();
      await disk.syncDirectory('/below');
    };
    expect(await outcomes(prepare, (disk) => pages(disk, '/below/file'))).toEqual(new Set(['absent', 'aa']));
  });

  test('after a failed sync the next one claims what it does not keep', async () => {
    const prepare = async (disk: MemoryDisk): Promise<void> => {
      const file = await durable(disk, '/file', ones);
      await file.write(twos, 0);
      disk.fail({ on: 'sync', nth: 1, as: 'EIO' });
      await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' });
      await file.sync();
    };
    expect(await outcomes(prepare, (disk) => pages(disk, '/file'))).toEqual(new Set(['aa']));
  });

  test('files opened before it are dead', async () => {
    const disk = createMemoryDisk();
    const file = await create(disk, '/file', ones);
    disk.crash({ random: createSeededRandom(1) });
    await expect(file.read(Buffer.alloc(1), 0)).rejects.toMatchObject({ code: 'EBADF' });
    expect(disk.openFiles()).toEqual([]);
  });
});

describe('the faults of the memory disk', () => {
  test('strike the nth call, or those that match, or all; and are lifted', async () => {
    const disk = createMemoryDisk();
    disk.fail({ on: 'stat', nth: 2, as: 'EIO' });
    await disk.stat('/a');
    await expect(disk.stat('/a')).rejects.toMatchObject({ code: 'EIO' });
    await disk.stat('/a');
    const lift = disk.fail({ on: 'stat', when: ({ path }) => path === '/b', as: 'EACCES' });
    await disk.stat('/a');
    await expect(disk.stat('/b')).rejects.toMatchObject({ code: 'EACCES' });
    lift();
    await disk.stat('/b');
    expect(disk.calls('stat')).toBe(4);
  });

  test('a full disk takes no more', async () => {
    const disk = createMemoryDisk({ totalBytes: 3 * PAGE });
    const file = await create(disk, '/file', ones);
    await expect(file.write(twos, 2 * PAGE)).rejects.toMatchObject({ code: 'ENOSPC' });
    await file.write(twos, 0);
    await disk.unlink('/file');
    await expect(create(disk, '/other', twos)).rejects.toMatchObject({ code: 'ENOSPC' });
    await file.close();
    expect((await disk.space('/')).freeBytes).toBe(3 * PAGE);
  });
});
