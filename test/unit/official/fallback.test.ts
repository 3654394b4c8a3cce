import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BlobStore } from '../../../src/blobs/blob-store.ts';
import { openDiskBlobStore } from '../../../src/blobs/disk.ts';
import { createTake } from '../../../src/blobs/take.ts';
import { createRecords, HOSTED, type Records } from '../../../src/metadata/records.ts';
import { openOfficialDirectory } from '../../../src/official/directory.ts';
import type { OfficialEvent } from '../../../src/official/events.ts';
import { withFallback } from '../../../src/official/fallback.ts';
import { createTakeover } from '../../../src/official/takeover.ts';
import type { Disk } from '../../../src/system/disk.ts';
import { nodeDisk } from '../../../src/system/node-disk.ts';
import { systemRandom } from '../../../src/system/random.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { buildImage, randomBlob } from '../../fakes/images.ts';
import { createMemoryMetadata, type MemoryMetadata } from '../../fakes/memory-metadata.ts';
import { officialData, type OfficialData } from '../../fakes/official-data.ts';

const APP = 'local/team/app';
const app = buildImage({ layers: [3000] });
const other = buildImage({ layers: [3000], label: 'other' });
const [layer] = app.layers as [(typeof app.layers)[0]];

let data: OfficialData;
let blobs: BlobStore;
let store: MemoryMetadata;
let clock: FakeClock;
let own: Records;
let events: OfficialEvent[];
/** Calls of the disk that look into that registry's data. */
let looks: number;
let fault: string | undefined;

beforeEach(async () => {
  data = officialData(await mkdtemp(join(tmpdir(), 'entrepot-fallback-')));
  await data.image('team/app', 'v1', app);
  blobs = await openDiskBlobStore({ disk: nodeDisk, random: systemRandom, root: data.root, version: '0.0.0' });
  store = createMemoryMetadata();
  clock = createFakeClock(1_700_000_000_000);
  own = createRecords(store, { clock });
  [events, looks, fault] = [[], 0, undefined];
});
afterEach(async () => {
  store.beforeCommit(undefined);
  await own.close();
  await blobs.close();
  await rm(data.root, { recursive: true });
});

function served(upstream = HOSTED, claimed = false): Records {
  const looking = <K extends 'isFile' | 'open' | 'list' | 'stat'>(name: K): Disk[K] =>
    ((path: string, ...rest: unknown[]) => {
      if (!path.startsWith(data.at())) return (nodeDisk[name] as (...all: unknown[]) => unknown)(path, ...rest);
      looks += 1;
      if (fault !== undefined) return Promise.reject(Object.assign(new Error(fault), { code: fault }));
      return (nodeDisk[name] as (...all: unknown[]) => unknown)(path, ...rest);
    }) as Disk[K];
  const disk = { ...nodeDisk, isFile: looking('isFile'), open: looking('open'), list: looking('list'), stat: looking('stat') };
  const directory = openOfficialDirectory(disk, data.root);
  const names = { registry: 'local', upstream, needed: 'nothing', claimed } as const;
  const takeover = createTakeover({
    clock,
    blobs,
    records: own,
    directory,
    take: createTake({ disk, blobs, random: systemRandom }),
    names,
  });
  return withFallback({ clock, records: own, directory, takeover, names, report: (event) => events.push(event) });
}

/** Does something before the first commit of this slot that is made from here on. */
function before(slot: string, work: () => Promise<unknown>): void {
  store.beforeCommit(async (at) => {
    if (at !== slot) return;
    store.beforeCommit(undefined);
    await work();
  });
}

async function push(tag: string): Promise<void> {
  const { digest, size, mediaType, bytes } = other.top;
  await own.hold(APP, digest, { kind: 'manifest', by: 'push' });
  const part = await blobs.part('0'.repeat(32), false);
  await part.write(bytes, 0);
  await part.publish(digest);
  part.release();
  const at = clock.now();
  await own.putBlob(digest, { size, public: false, state: 'held', at });
  const link = { kind: 'manifest', size, mediaType, by: 'push', at } as const;
  await own.putHosted(APP, { digest, link, described: [], needs: [], tags: [tag], immutable: () => false, at });
}

describe('crossing', () => {
  const slot = `repository/${APP}`;

  test('a tag that is pushed while it is taken over stays as it was pushed', async () => {
    const records = served();
    before(slot, () => push('v1'));
    expect((await records.hostedTag(APP, 'v1'))?.digest).toBe(other.top.digest);
    // At its last moment: the manifest is linked, the tag is about to be.
    await own.dropHostedTag(APP, 'v1');
    expect((await records.hostedTag(APP, 'v1'))?.digest).toBe(app.top.digest);
    await own.dropHostedTag(APP, 'v1');
    before(slot, () => push('v1'));
    expect((await records.hostedTag(APP, 'v1'))?.digest).toBe(other.top.digest);
  });

  test('a tag that is deleted while it is taken over is gone', async () => {
    const records = served();
    await records.link(APP, app.top.digest);
    before(slot, () => records.dropHostedTag(APP, 'v1'));
    expect(await records.hostedTag(APP, 'v1')).toBeUndefined();
    expect(await own.hostedTag(APP, 'v1')).toBeUndefined();
  });

  test('a tag that was pushed again since it was seen stays, and is not said to be gone', async () => {
    const records = served();
    const seen = await records.hostedTag(APP, 'v1');
    await push('v1');
    expect(await records.dropHostedTag(APP, 'v1', seen)).toBeUndefined();
    expect((await records.hostedTag(APP, 'v1'))?.digest).toBe(other.top.digest);
  });

  test('a manifest that is deleted while it is taken over is gone', async () => {
    const records = served();
    before(slot, () => records.dropHosted(APP, app.top.digest));
    expect(await records.link(APP, app.top.digest)).toBeUndefined();
    expect(await own.link(APP, app.top.digest)).toBeUndefined();
    expect(await records.hostedTag(APP, 'v1')).toBeUndefined();
  });

  test('a blob that is deleted while it is taken over is gone', async () => {
    const records = served();
    before(slot, () => records.dropLink(APP, layer.digest));
    expect(await records.link(APP, layer.digest)).toBeUndefined();
    expect(await own.link(APP, layer.digest)).toBeUndefined();
  });

  test('a mirrored tag and manifest likewise', async () => {
    const records = served('hub');
    before(slot, () => records.dropLink(APP, app.top.digest));
    expect(await records.link(APP, app.top.digest)).toBeUndefined();
    await data.image('team/app', 'v2', other);
    await records.link(APP, other.top.digest);
    before(slot, () => records.dropTag(APP, 'v2'));
    expect(await records.tag(APP, 'v2')).toBeUndefined();
    expect(await own.tag(APP, 'v2')).toBeUndefined();
  });
});

test('[promise 10] what is ours is answered without a look at that registry’s data, and at once', async () => {
  const records = served();
  for (const digest of [app.top.digest, layer.digest]) await records.link(APP, digest);
  await records.hostedTag(APP, 'v1');
  expect(looks).toBeGreaterThan(0);
  looks = 0;
  expect(records.link(APP, layer.digest)).not.toBeInstanceOf(Promise);
  expect(records.hostedTag(APP, 'v1')).not.toBeInstanceOf(Promise);
  expect(records.tag(APP, 'v1')).not.toBeInstanceOf(Promise);
  expect(looks).toBe(0);
});

test('once all was imported nothing is looked up there, and nothing of another registry ever was', async () => {
  const records = served();
  expect(await records.link('docker.io/team/app', app.top.digest)).toBeUndefined();
  expect(looks).toBe(0);
  await own.official.noteImported(1);
  expect(await records.link(APP, app.top.digest)).toBeUndefined();
  expect(await records.hostedTags(APP, undefined, 10)).toEqual([]);
  expect(await records.repositories(undefined, 10)).toEqual([]);
  expect(await records.owner(APP)).toBeUndefined();
  expect(looks).toBe(0);
});

describe('[decision 8] who had brought it', () => {
  test.each([false, true])(
    'is the one upstream that is asked for such; where there are several, nobody knows: %s',
    async (several) => {
      const records = served('hub', several);
      expect((await records.blob(layer.digest))?.brought).toEqual(several ? undefined : { registry: 'local', upstream: 'hub' });
      for (const digest of [layer.digest, app.top.digest])
        expect(await records.link(APP, digest)).toMatchObject({
          by: 'upstream',
          upstream: 'hub',
          ...(several ? { claimed: true } : {}),
        });
      expect((await records.link(APP, layer.digest))?.claimed).toBe(several ? true : undefined);
    },
  );

  test('is no upstream of what was pushed', async () => {
    const records = served();
    expect(await records.link(APP, layer.digest)).toMatchObject({ by: 'import' });
    expect((await records.blob(layer.digest))?.brought).toBeUndefined();
  });
});

describe('trouble with the data', () => {
  test.each(['EIO', 'EACCES'])('%s: of what is hosted nobody else can tell', async (code) => {
    const records = served();
    fault = code;
    await expect(records.link(APP, app.top.digest)).rejects.toMatchObject({ code });
    await expect(records.hostedTag(APP, 'v1')).rejects.toMatchObject({ code });
    await expect(records.hostedTags(APP, undefined, 10)).rejects.toMatchObject({ code });
    await expect(records.owner(APP)).rejects.toMatchObject({ code });
    fault = undefined;
    expect((await records.hostedTag(APP, 'v1'))?.digest).toBe(app.top.digest);
  });

  test.each(['EIO', 'EACCES'])('%s: what is mirrored is asked for upstream instead, and it is told', async (code) => {
    const records = served('hub');
    fault = code;
    expect(await records.link(APP, app.top.digest)).toBeUndefined();
    expect(await records.tag(APP, 'v1')).toBeUndefined();
    expect(new Set(events.map(({ kind }) => kind))).toEqual(new Set(['official-failed']));
    fault = undefined;
    expect((await records.tag(APP, 'v1'))?.digest).toBe(app.top.digest);
  });

  test('what is damaged is hashed once, and not for everybody who asks', async () => {
    await writeFile(data.dataOf(layer.digest), randomBlob(layer.size, 9).bytes);
    const records = served();
    expect(await records.link(APP, layer.digest)).toBeUndefined();
    expect(events).toMatchObject([{ kind: 'official-refused', repository: 'team/app', reference: layer.digest }]);
    looks = 0;
    expect(await records.link(APP, layer.digest)).toBeUndefined();
    expect(events).toHaveLength(1);
    expect(await blobs.open(layer.digest)).toBeUndefined();
  });

  test('a push of what is damaged there mends it', async () => {
    await writeFile(data.dataOf(app.top.digest), 'damaged');
    const records = served();
    await expect(async () => records.hostedTag(APP, 'v1')).rejects.toThrow('push it again');
    const { size, mediaType } = other.top;
    await push('elsewhere');
    const link = { kind: 'manifest', size, mediaType, by: 'push', at: clock.now() } as const;
    const pushed = { digest: other.top.digest, link, described: [], needs: [], tags: ['v1'], immutable: () => false, at: 1 };
    expect(await records.putHosted(APP, pushed)).toMatchObject({ kind: 'done' });
    expect((await records.hostedTag(APP, 'v1'))?.digest).toBe(other.top.digest);
  });
});
