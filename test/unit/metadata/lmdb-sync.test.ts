import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDatabase, openLmdb } from '../../../src/metadata/lmdb.ts';
import type { MetadataStore } from '../../../src/metadata/metadata-store.ts';
import { nodeDisk } from '../../../src/system/node-disk.ts';
import { text } from '../../conformance/metadata-store.ts';

/** The library, whose word that a commit is synced is held back, and whose reads show what there was when the store was opened. */
const held = { word: Promise.resolve(), isBlind: false, isWriting: false };

function holding(path: string): ReturnType<typeof openDatabase> {
  const db = openDatabase(path);
  const { childTransaction, getBinary } = db;
  db.childTransaction = async (act) => {
    const made = await childTransaction.call(db, () => {
      held.isWriting = true;
      const result = act();
      held.isWriting = false;
      return result;
    });
    await held.word;
    return made as never;
  };
  db.getBinary = (id) => (held.isBlind && !held.isWriting ? undefined : getBinary.call(db, id));
  return db;
}

let directory: string;
let store: MetadataStore;
beforeEach(async () => {
  Object.assign(held, { word: Promise.resolve(), isBlind: false });
  directory = await mkdtemp(join(tmpdir(), 'entrepot-lmdb-'));
  store = await openLmdb({ directory, disk: nodeDisk, remoteFileSystem: async () => undefined, opening: holding });
});
afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true, force: true });
});

const put = (value: string): Promise<boolean> => store.commit('s', [{ key: ['tags', 'a'], value: Buffer.from(value) }]);

test('a commit is told when readers see it, and does not wait for the disk', async () => {
  held.word = new Promise(() => undefined);
  expect(await put('one')).toBe(true);
  expect(text(await store.get('s', ['tags', 'a']))).toBe('one');
  expect(await store.commit('s', [{ key: ['tags', 'a'], value: undefined }])).toBe(true);
  expect(await store.get('s', ['tags', 'a'])).toBeUndefined();
});

test('what readers do not see yet is told when the library says so', async () => {
  let say = (): void => undefined;
  held.word = new Promise((resolve) => (say = resolve));
  held.isBlind = true;
  let told: boolean | undefined;
  const committing = put('one').then((made) => (told = made));
  for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => void setImmediate(resolve));
  expect(told).toBeUndefined();
  say();
  expect(await committing).toBe(true);
});

test('what changes nothing is told when the library says so: there is nothing to be seen', async () => {
  await put('one');
  let say = (): void => undefined;
  held.word = new Promise((resolve) => (say = resolve));
  let told = false;
  const committing = put('one').then(() => (told = true));
  for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => void setImmediate(resolve));
  expect(told).toBe(false);
  say();
  await committing;
});

test('of many at once each is told when the library says so: nobody looks for each of a batch', async () => {
  let say = (): void => undefined;
  held.word = new Promise((resolve) => (say = resolve));
  let told = 0;
  const many = Array.from({ length: 20 }, async (_, at) => {
    await store.commit(`s${at}`, [{ key: ['tags', 'a'], value: Buffer.from('one') }]);
    told += 1;
  });
  for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => void setImmediate(resolve));
  expect(told).toBeLessThan(20);
  say();
  await Promise.all(many);
});
