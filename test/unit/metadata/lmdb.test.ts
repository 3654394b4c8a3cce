import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLmdb } from '../../../src/metadata/lmdb.ts';
import { MetadataRefused, MetadataUnavailable } from '../../../src/metadata/unavailable.ts';
import { remoteFileSystem } from '../../../src/system/file-system-type.ts';
import { bytes, text } from '../../conformance/metadata-store.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'entrepot-lmdb-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const local = async (): Promise<undefined> => undefined;

test('a network file system is refused, naming it and the setting', async () => {
  const opening = openLmdb({ directory, remoteFileSystem: async (path) => (path === directory ? 'nfs' : undefined) });
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
  const store = await openLmdb({ directory: path, remoteFileSystem: local });
  await store.commit('s', [{ key: ['tags', 'a'], value: bytes('one') }]);
  await store.close();
  const again = await openLmdb({ directory: path, remoteFileSystem: local });
  expect(text(await again.get('s', ['tags', 'a']))).toBe('one');
  await again.close();
});

test('a closed store is unavailable', async () => {
  const store = await openLmdb({ directory, remoteFileSystem: local });
  await store.close();
  expect(() => store.get('s', ['tags', 'a'])).toThrow(MetadataUnavailable);
  expect(() => store.get('s', ['tags', 'a'])).toThrow(/the store is closed/);
  await expect((async () => await store.list('s', 'tags', undefined, 1))()).rejects.toThrow(/the store is closed/);
  await expect(store.commit('s', [])).rejects.toThrow(MetadataUnavailable);
  await expect(store.ping()).rejects.toThrow(MetadataUnavailable);
});

test('a commit whose middle fails makes none of its changes', async () => {
  const store = await openLmdb({ directory, remoteFileSystem: local });
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
  const store = await openLmdb({ directory, remoteFileSystem: local });
  await store.commit('s', [{ key: ['tags', 'a'], value: bytes('one') }]);
  expect(store.get('s', ['tags', 'a'])).not.toBeInstanceOf(Promise);
  expect(store.list('s', 'tags', undefined, 1)).not.toBeInstanceOf(Promise);
  await store.close();
});

test('the map grows with the data', async () => {
  const store = await openLmdb({ directory, remoteFileSystem: local });
  for (let at = 0; at < 40; at++) {
    await store.commit('s', [{ key: ['tags', String(at)], value: new Uint8Array(1024 * 1024).fill(at) }]);
  }
  expect((await store.get('s', ['tags', '39']))?.[0]).toBe(39);
  await store.close();
});
