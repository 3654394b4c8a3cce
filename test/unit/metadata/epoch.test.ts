import { beforeEach, describe, expect, test } from 'vitest';
import type { MetadataEvent } from '../../../src/metadata/events.ts';
import { createRecords, type Records } from '../../../src/metadata/records.ts';
import { MetadataForgot } from '../../../src/metadata/unavailable.ts';
import { withEpoch, type EpochFile, type EpochMark, type EpochRecords } from '../../../src/metadata/with-epoch.ts';
import { hostedPush } from '../../conformance/hosted-house.ts';
import { digest } from '../../conformance/records.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata, type MemoryMetadata } from '../../fakes/memory-metadata.ts';

const APP = 'docker.io/acme/app';

interface MemoryFile extends EpochFile {
  mark: EpochMark | undefined;
  readOnly: boolean;
}

function memoryFile(): MemoryFile {
  const file: MemoryFile = {
    path: '/data/entrepot/epoch',
    mark: undefined,
    readOnly: false,
    read: () => Promise.resolve(file.mark),
    write(mark) {
      if (file.readOnly) return Promise.reject(Object.assign(new Error('read-only'), { code: 'EROFS' }));
      file.mark = mark;
      return Promise.resolve();
    },
  };
  return file;
}

let file: MemoryFile;
let store: MemoryMetadata;
let epochs: number;
let events: MetadataEvent[];
beforeEach(() => {
  file = memoryFile();
  store = createMemoryMetadata({ async: true });
  epochs = 0;
  events = [];
});

function node(over: MemoryMetadata = store, on: EpochFile = file, mixed = true): EpochRecords {
  const records = createRecords(over, { clock: createFakeClock(1000) });
  return withEpoch(records, { file: on, newEpoch: () => `e${(epochs += 1)}`, mixed, report: (event) => events.push(event) });
}

async function empty(): Promise<void> {
  for (const key of store.keys()) {
    const [, slot = '', collection = '', id = ''] = /^(\S+) (\S+) (.+)$/.exec(key) ?? [];
    await store.commit(slot, [{ key: [collection, id], value: undefined }]);
  }
  expect(store.keys()).toEqual([]);
}

async function push(records: Records): Promise<void> {
  await records.hold(APP, digest('m'), { kind: 'manifest', by: 'push' });
  await records.putBlob(digest('m'), { size: 1, public: false, state: 'held', at: 5 });
  expect(await records.putHosted(APP, hostedPush('m', { tags: ['1'] }))).toMatchObject({ kind: 'done' });
}

describe('[S14] a store that was emptied', () => {
  test('gives no name away that was pushed, and says what to do', async () => {
    const records = node();
    await records.ping();
    expect(await records.owner('docker.io/library/alpine')).toBeUndefined();
    await push(records);
    expect(file.mark).toEqual({ epoch: 'e1', hosted: true });
    const emptied = node(createMemoryMetadata({ async: true }));
    for (const ask of [() => emptied.owner(APP), () => emptied.ping(), () => push(emptied)]) {
      await expect(Promise.resolve(ask())).rejects.toThrow(MetadataForgot);
      await expect(Promise.resolve(ask())).rejects.toThrow('/data/entrepot/epoch');
    }
    expect(emptied.hasForgotten()).toBe(true);
    // Once, not at each question.
    expect(events).toMatchObject([{ kind: 'metadata-forgot', why: expect.stringContaining('/data/entrepot/epoch') as string }]);
    expect(await records.owner(APP)).toBeDefined();
  });

  test('is noticed at the next question, without a restart', async () => {
    const records = node();
    await push(records);
    await records.ping();
    await empty();
    await expect(Promise.resolve(records.owner(APP))).rejects.toThrow(MetadataForgot);
    // Nor is it believed once another process has written to it.
    await node(store, memoryFile()).ping();
    await expect(Promise.resolve(records.owner(APP))).rejects.toThrow(MetadataForgot);
  });

  test('is believed again when it is restored, or when a person says so', async () => {
    const records = node();
    await push(records);
    await store.flushed();
    await store.commit('layout', [{ key: ['epoch', 'it'], value: undefined }]);
    await expect(Promise.resolve(records.owner('x.test/other'))).rejects.toThrow(MetadataForgot);
    store.crash();
    expect(await records.owner('x.test/other')).toBeUndefined();
    expect(records.hasForgotten()).toBe(false);
    store.crash();
    await store.commit('layout', [{ key: ['epoch', 'it'], value: undefined }]);
    file.mark = undefined;
    expect(await records.owner('x.test/other')).toBeUndefined();
    expect(file.mark).toEqual({ epoch: 'e2', hosted: true });
  });

  test('is no trouble where nothing was pushed', async () => {
    const records = node();
    await records.ping();
    await empty();
    expect(await records.owner('docker.io/library/alpine')).toBeUndefined();
    await records.ping();
    expect(file.mark).toEqual({ epoch: 'e2', hosted: false });
  });

  test('is seen by a node whose own disk nothing was pushed to', async () => {
    const [pushedTo, other] = [node(), memoryFile()];
    const records = node(store, other);
    await records.ping();
    await push(pushedTo);
    expect(other.mark?.hosted).toBe(false);
    await records.ping();
    expect(other.mark?.hosted).toBe(true);
    await empty();
    await expect(Promise.resolve(records.owner(APP))).rejects.toThrow(MetadataForgot);
  });

  test('is a plain registry’s own matter', async () => {
    const records = node(store, file, false);
    await push(records);
    await empty();
    await records.ping();
    expect(records.hasForgotten()).toBe(true);
  });

  test('is not one that a crash took back to what it had promised', async () => {
    const records = node();
    await records.ping();
    await push(records);
    store.crash();
    expect(await node().owner(APP)).toBeUndefined();
    expect(await records.owner(APP)).toBeUndefined();
  });
});

test('a push is not taken whose name could be forgotten; pulls go on where the disk cannot be written', async () => {
  file.readOnly = true;
  const records = node();
  await records.ping();
  expect(await records.owner('docker.io/library/alpine')).toBeUndefined();
  await expect(push(records)).rejects.toThrow('read-only');
});

test('processes that start at once agree', async () => {
  const nodes = Array.from({ length: 5 }, () => node());
  await Promise.all(nodes.map((one) => one.ping()));
  expect(file.mark?.epoch).toBe(await nodes[0]!.epoch());
  for (const one of nodes) expect(await one.owner(APP)).toBeUndefined();
});

test('a question that read the store before the first push claimed it takes the mark of that push for no other store', async () => {
  const plain = createRecords(store, { clock: createFakeClock(1000) });
  let goOn = (): void => undefined;
  const pushed = new Promise<void>((resolve) => (goOn = resolve));
  let reads = 0;
  const slow: Records = {
    ...plain,
    async epoch() {
      const isFirst = (reads += 1) === 1;
      const found = await plain.epoch();
      if (isFirst) await pushed;
      return found;
    },
  };
  const options = { file, newEpoch: () => 'e1', mixed: true, report: (event: MetadataEvent) => events.push(event) };
  const records = withEpoch(slow, options);
  const asked = records.owner('docker.io/acme/other');
  while (reads === 0) await Promise.resolve();
  await push(records);
  goOn();
  expect(await asked).toBeUndefined();
  expect(events).toEqual([]);
});
