import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, open, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openLmdb } from '../../../src/metadata/lmdb.ts';
import { lmdbDamage } from '../../../src/metadata/lmdb-file.ts';
import { MetadataRefused, MetadataUnavailable } from '../../../src/metadata/unavailable.ts';
import { remoteFileSystem } from '../../../src/system/file-system-type.ts';
import type { Disk } from '../../../src/system/disk.ts';
import { nodeDisk } from '../../../src/system/node-disk.ts';
import { bytes, text } from '../../conformance/metadata-store.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'entrepot-lmdb-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const local = async (): Promise<undefined> => undefined;

test('a network file system is refused, naming it and the setting', async () => {
  const opening = openLmdb({
    directory,
    disk: nodeDisk,
    remoteFileSystem: async (path) => (path === directory ? 'nfs' : undefined),
  });
  await expect(opening).rejects.toThrow(MetadataRefused);
  await expect(opening).rejects.toThrow(/nfs .*metadata\.path/);
});

test('a local path is not taken for a remote one, also before it exists', async () => {
  expect(await remoteFileSystem('/dev/shm')).toBeUndefined();
  expect(await remoteFileSystem(join('/dev/shm', 'not', 'yet', 'there'))).toBeUndefined();
  expect(await remoteFileSystem('/proc')).toBeUndefined();
});

test('what was written is there after closing, under any directory name', async () => {
  const path = join(directory, 'with.a.dot', 'deep');
  const store = await openLmdb({ directory: path, disk: nodeDisk, remoteFileSystem: local });
  await store.commit('s', [{ key: ['tags', 'a'], value: bytes('one') }]);
  await store.close();
  const again = await openLmdb({ directory: path, disk: nodeDisk, remoteFileSystem: local });
  expect(text(await again.get('s', ['tags', 'a']))).toBe('one');
  await again.close();
});

test('a closed store is unavailable', async () => {
  const store = await openLmdb({ directory, disk: nodeDisk, remoteFileSystem: local });
  await store.close();
  expect(() => store.get('s', ['tags', 'a'])).toThrow(MetadataUnavailable);
  expect(() => store.get('s', ['tags', 'a'])).toThrow(/the store is closed/);
  await expect((async () => await store.list('s', 'tags', undefined, 1))()).rejects.toThrow(/the store is closed/);
  await expect(store.commit('s', [])).rejects.toThrow(MetadataUnavailable);
  await expect(store.ping()).rejects.toThrow(MetadataUnavailable);
});

test('a commit whose middle fails makes none of its changes', async () => {
  const store = await openLmdb({ directory, disk: nodeDisk, remoteFileSystem: local });
  const unwritable = {} as unknown as Uint8Array;
  const changes = [
    { key: ['tags', 'a'], value: bytes('one') },
    { key: ['tags', 'b'], value: unwritable },
  ] as const;
  await expect(store.commit('s', changes)).rejects.toThrow(MetadataUnavailable);
  expect(await store.get('s', ['tags', 'a'])).toBeUndefined();
  await store.commit('s', [{ key: ['tags', 'c'], value: bytes('three') }]);
  expect((await store.list('s', 'tags', undefined, 9)).map(({ id }) => id)).toEqual(['c']);
  await store.close();
});

test('reads answer without a turn of the loop', async () => {
  const store = await openLmdb({ directory, disk: nodeDisk, remoteFileSystem: local });
  await store.commit('s', [{ key: ['tags', 'a'], value: bytes('one') }]);
  expect(store.get('s', ['tags', 'a'])).not.toBeInstanceOf(Promise);
  expect(store.list('s', 'tags', undefined, 1)).not.toBeInstanceOf(Promise);
  await store.close();
});

test('the map grows with the data', async () => {
  const store = await openLmdb({ directory, disk: nodeDisk, remoteFileSystem: local });
  for (let at = 0; at < 40; at++) {
    await store.commit('s', [{ key: ['tags', String(at)], value: new Uint8Array(1024 * 1024).fill(at) }]);
  }
  expect((await store.get('s', ['tags', '39']))?.[0]).toBe(39);
  await store.close();
});

describe('[R44] a damaged file is refused, saying what to do, and does not end the process', () => {
  async function fill(): Promise<string> {
    const store = await openLmdb({ directory, disk: nodeDisk, remoteFileSystem: local });
    for (let at = 0; at < 200; at++) await store.commit(`s${at}`, [{ key: ['tags', 'a'], value: new Uint8Array(300) }]);
    await store.close();
    return join(directory, 'data.mdb');
  }
  async function overwrite(file: string, at: number, with_: Uint8Array): Promise<void> {
    const handle = await open(file, 'r+');
    await handle.write(with_, 0, with_.length, at);
    await handle.close();
  }

  const damages: Readonly<Record<string, (file: string) => Promise<void>>> = {
    letters: (file) => writeFile(file, 'A'.repeat(9000)),
    'a few bytes': (file) => writeFile(file, Buffer.alloc(100)),
    zeros: (file) => writeFile(file, Buffer.alloc(65_536)),
    'the first of two pages': (file) => truncate(file, 4096),
    'half of it': async (file) => truncate(file, (await readFile(file)).length / 2),
    'no page of heads': (file) => overwrite(file, 0, Buffer.alloc(32)),
    'another version': (file) => overwrite(file, 28, Buffer.from([3, 0, 0, 0])),
    'a page size of nonsense': (file) => overwrite(file, 48, Buffer.from([1, 2, 3, 4])),
  };
  test.each(Object.entries(damages))('%s', async (_what, damage) => {
    await damage(await fill());
    const opening = openLmdb({ directory, disk: nodeDisk, remoteFileSystem: local });
    await expect(opening).rejects.toThrow(MetadataRefused);
    await expect(opening).rejects.toThrow(/data\.mdb is damaged: .*move .* away/);
  });

  test('an empty file is a new one', async () => {
    await writeFile(join(directory, 'data.mdb'), '');
    const store = await openLmdb({ directory, disk: nodeDisk, remoteFileSystem: local });
    await store.ping();
    await store.close();
  });

  test('one whole head is enough: the library takes an older one where the newest names what a power cut lost', async () => {
    const whole = new Uint8Array(await readFile(await fill()));
    for (const at of [0, 2048, 4096]) {
      const lost = whole.slice();
      new DataView(lost.buffer).setBigUint64(at + 136, 1n << 40n, true);
      expect(lmdbDamage(lost, lost.length)).toBeUndefined();
    }
  });
});

describe('[R44] what stands in the place of either file does not end the process', () => {
  const others: Readonly<Record<string, (path: string) => unknown>> = {
    'a directory': (path) => mkdir(path),
    'a pipe': (path) => execFileSync('mkfifo', [path]),
    'a link to a device': (path) => symlink('/dev/null', path),
  };
  const cases = ['data.mdb', 'lock.mdb'].flatMap((name) => Object.keys(others).map((what) => [name, what] as const));

  test.each(cases)('%s is %s: refused, saying what to do', async (name, what) => {
    await others[what]?.(join(directory, name));
    const opening = openLmdb({ directory, disk: nodeDisk, remoteFileSystem: local });
    await expect(opening).rejects.toThrow(MetadataRefused);
    await expect(opening).rejects.toThrow(`${join(directory, name)} is not a file: move it away`);
  });

  test.each([
    ['EACCES', 'update', 'data.mdb'],
    ['EROFS', 'update', 'data.mdb'],
    ['EACCES', 'create', 'lock.mdb'],
  ])('%s of %s of %s is said by the path', async (code, mode, name) => {
    const path = join(directory, name);
    const refusal = Object.assign(new Error(`${code}: no, open '${path}'`), { code });
    const disk: Disk = {
      ...nodeDisk,
      open: (at, asked) => (asked === mode && at === path ? Promise.reject(refusal) : nodeDisk.open(at, asked)),
    };
    const opening = openLmdb({ directory, disk, remoteFileSystem: local });
    await expect(opening).rejects.toThrow(MetadataUnavailable);
    await expect(opening).rejects.toThrow(`lmdb: cannot open: ${refusal.message}`);
  });
});
