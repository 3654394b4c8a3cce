import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LAYOUT_KEY, LAYOUT_SLOT } from '../../../src/metadata/keys.ts';
import { openLmdb } from '../../../src/metadata/lmdb.ts';
import { nodeDisk } from '../../../src/system/node-disk.ts';
import { createRecords } from '../../../src/metadata/records.ts';
import { MetadataRefused, MetadataUnavailable } from '../../../src/metadata/unavailable.ts';
import { bytes } from '../../conformance/metadata-store.ts';
import { digest, linkRecord, tagRecord } from '../../conformance/records.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';

const clock = createFakeClock();
const A = 'docker.io/library/a';

test('a newer layout is refused by name, on every call', async () => {
  const store = createMemoryMetadata();
  await store.commit(LAYOUT_SLOT, [{ key: LAYOUT_KEY, value: bytes('{"layout":2,"since":"0.7.0"}') }]);
  const records = createRecords(store, { clock });
  await expect(records.ping()).rejects.toThrow(MetadataRefused);
  await expect(records.ping()).rejects.toThrow(/layout 2, which entrepot 0\.7\.0 and later read; this version reads layout 1/);
  await expect(records.putTag(A, 't', tagRecord('a'))).rejects.toThrow(MetadataRefused);
  expect(store.keys()).toEqual([`${LAYOUT_SLOT} ${LAYOUT_KEY.join(' ')}`]);
});

test('a layout that nothing can be read from is refused too', async () => {
  const store = createMemoryMetadata();
  await store.commit(LAYOUT_SLOT, [{ key: LAYOUT_KEY, value: bytes('junk') }]);
  await expect(createRecords(store, { clock }).ping()).rejects.toThrow(MetadataRefused);
});

test('a store that is down at first is asked again', async () => {
  const store = createMemoryMetadata();
  store.setDown(true);
  const records = createRecords(store, { clock });
  await expect(records.ping()).rejects.toThrow(MetadataUnavailable);
  await expect((async () => await records.tag(A, 't'))()).rejects.toThrow(MetadataUnavailable);
  store.setDown(false);
  await records.ping();
  expect(await records.tag(A, 't')).toBeUndefined();
});

test('two that start at once on an empty store agree', async () => {
  const store = createMemoryMetadata({ async: true });
  const both = [createRecords(store, { clock }), createRecords(store, { clock })];
  await Promise.all(both.map((records) => records.ping()));
  expect(store.keys()).toHaveLength(1);
});

test('a directory written in the first layout opens and says the same', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-layout-'));
  await cp(join(import.meta.dirname, '../../fixtures/metadata-1'), directory, { recursive: true });
  const store = await openLmdb({ directory, disk: nodeDisk, remoteFileSystem: async () => undefined });
  const records = createRecords(store, { clock });
  expect(await records.tag(A, '1.0')).toEqual(tagRecord('b', 2));
  expect((await records.tagHistory(A, '1.0', 10)).map(({ digest: to }) => to)).toEqual([digest('b'), digest('a')]);
  expect(await records.link(A, digest('b'))).toEqual(linkRecord(7));
  expect(await records.holders(digest('b'), undefined, 10)).toEqual([A]);
  expect(await records.described(A, digest('c'))).toEqual({ size: 3, mediaType: 'm', public: true });
  expect(await records.blob(digest('b'))).toEqual({ size: 7, public: true, state: 'held', at: 1 });
  const fill = { registry: 'docker.io', digest: digest('d') };
  expect(await records.part(fill)).toEqual({ id: 'p', generation: 1, synced: 64, size: 100, at: 1 });
  expect(await records.lease(fill)).toEqual({ holder: 'h', fence: 1, until: 9 });
  expect((await records.listing(A, 'tags'))?.body).toBe('{}');
  expect(await records.remembered('hub', 'k')).toEqual({ value: 'v', until: 9 });
  expect(await records.pulls(A)).toEqual({ pulls: 1, last: 1000 });
  expect(await records.lastUse(digest('b'))).toBe(1000);
  expect(await records.repositories(undefined, 10)).toEqual([A]);
  await records.close();
  await rm(directory, { recursive: true, force: true });
});
