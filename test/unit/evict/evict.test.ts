import { afterEach, describe, expect, test } from 'vitest';
import { IN_USE_MS } from '../../../src/evict/evict.ts';
import { HOLDER } from '../push/house.ts';
import { buildImage, randomBlob, type Blob } from '../../fakes/images.ts';
import { pushBlob } from '../../fakes/pushed.ts';
import { createCacheHouse, HUB, type CacheHouse, type CacheHouseOptions } from './cache-house.ts';

const HOUR = 3600_000;
const blobs = Array.from({ length: 12 }, (_, at) => randomBlob(100, at + 1));
const [one, two, three, four] = blobs as [Blob, Blob, Blob, Blob];

let house: CacheHouse;
afterEach(() => house.close());

async function open(options: CacheHouseOptions = {}): Promise<CacheHouse> {
  house = await createCacheHouse(options);
  return house;
}

/** Caches them one hour after the other; then one more passes. */
async function cacheInTurn(...all: readonly Blob[]): Promise<void> {
  for (const blob of all) {
    await house.cache(blob);
    house.clock.jump(HOUR);
  }
}

const left = async (...all: readonly Blob[]): Promise<boolean[]> => Promise.all(all.map((blob) => house.held(blob)));

/** What is counted is what is there, and the digests that are held have their records. */
async function mustAgree(): Promise<void> {
  const { bytes, reserved } = await house.records.inventory.usage();
  expect(bytes + reserved).toBe(await house.onDisk());
  expect(await house.records.inventory.going(undefined, 9)).toEqual([]);
}

describe('eviction', () => {
  test('takes what was used least recently, and no more than it has to', async () => {
    await open();
    await cacheInTurn(one, two, three, four);
    house.records.used(HUB, { digest: one.digest, bytes: true });
    house.clock.jump(HOUR);
    expect(await house.evict({ bytes: 150 })).toEqual([
      { digest: two.digest, bytes: 100, idleMs: 4 * HOUR },
      { digest: three.digest, bytes: 100, idleMs: 3 * HOUR },
    ]);
    expect(await left(one, two, three, four)).toEqual([true, false, false, true]);
    await mustAgree();
  });

  test('a clock that goes back makes nothing in use that was used before: the limit holds', async () => {
    await open();
    await cacheInTurn(one, two);
    house.records.used(HUB, { digest: one.digest, bytes: true });
    house.clock.jump(-4 * HOUR);
    for (const { digest } of [two, one])
      expect((await house.evict({ bytes: 100 })).map((gone) => gone.digest)).toEqual([digest]);
    await mustAgree();
  });

  test('a link outlives its bytes, and its bytes can come again', async () => {
    await open();
    await cacheInTurn(one);
    await house.evict({ bytes: 1 });
    expect(await house.records.link(HUB, one.digest)).toBeDefined();
    expect(await house.records.blob(one.digest)).toBeUndefined();
    await house.cache(one);
    expect(await left(one)).toEqual([true]);
    await mustAgree();
  });

  test('a layer is as recent as the newest image that needs it', async () => {
    await open();
    const image = buildImage({ layers: [300] });
    await house.cacheImage(image, 'old');
    house.clock.jump(HOUR);
    await cacheInTurn(two);
    // Clients have the layer and ask for the manifest alone.
    house.records.used(HUB, { tag: 'old', digest: image.top.digest, bytes: false });
    house.clock.jump(HOUR);
    await house.evict({ bytes: 100 });
    expect(await left(image.layers[0] as Blob, two)).toEqual([true, false]);
  });

  test('what an index leads to is used with it', async () => {
    await open();
    const image = buildImage({ layers: [300], platforms: ['linux/amd64', 'linux/arm64'] });
    await house.cacheImage(image, 'multi');
    house.clock.jump(HOUR);
    await cacheInTurn(two);
    house.records.used(HUB, { tag: 'multi', digest: image.top.digest, bytes: false });
    house.clock.jump(HOUR);
    await house.evict({ bytes: 100 });
    expect(await left(image.layers[0] as Blob, image.configs[1] as Blob, two)).toEqual([true, true, false]);
  });

  test('leaves what was used a moment ago: its layers are about to be asked for', async () => {
    await open();
    await house.cache(one);
    house.clock.jump(IN_USE_MS - 1);
    expect(await house.evict({ bytes: 100 })).toEqual([]);
    house.clock.jump(1);
    expect(await house.evict({ bytes: 100 })).toHaveLength(1);
  });

  test('leaves what is hosted too, and counts it no more', async () => {
    await open();
    await cacheInTurn(one, two);
    await pushBlob({ ...house, blobs: house.files }, HOLDER, one);
    await house.evict({ bytes: 1 });
    expect(await left(one, two)).toEqual([true, false]);
    expect(await house.records.inventory.usage()).toEqual({ bytes: 0, blobs: 0, reserved: 0 });
  });

  test('leaves what is pinned by its repository, or by a tag that needs it', async () => {
    await open({ pins: ['docker.io/library/pinned', `${HUB}:v*`] });
    const image = buildImage({ layers: [300] });
    await house.cacheImage(image, 'v1');
    await house.cache(one, 'docker.io/library/pinned');
    await house.cache(two);
    house.clock.jump(HOUR);
    expect((await house.evict({ bytes: 10_000 })).map(({ digest }) => digest)).toEqual([two.digest]);
    expect(await left(one, image.layers[0] as Blob, image.top)).toEqual([true, true, true]);
  });

  test('leaves what an offline repository holds, though another could fetch it again', async () => {
    const ruleOf = (repository: string) => ({ offline: repository === 'docker.io/library/off', maxAgeMs: undefined });
    await open({ ruleOf });
    await house.cache(one);
    await house.records.putLink('docker.io/library/off', one.digest, { kind: 'blob', size: 100, by: 'upstream', at: 1 });
    await cacheInTurn(two);
    await house.evict({ bytes: 10_000 });
    expect(await left(one, two)).toEqual([true, false]);
  });

  test('a dry run tells the same and changes nothing', async () => {
    await open();
    await cacheInTurn(one, two, three);
    house.records.used(HUB, { digest: one.digest, bytes: true });
    house.clock.jump(HOUR);
    await house.records.writeUses();
    const keys = (): readonly string[] => house.metadata.keys().filter((key) => !key.startsWith('task/'));
    const before = keys();
    const told = await house.evict({ bytes: 150 }, true);
    expect(keys()).toEqual(before);
    expect(await left(one, two, three)).toEqual([true, true, true]);
    expect(await house.evict({ bytes: 150 })).toEqual(told);
  });

  test('where all were used since, the least recent of those that it looked at goes', async () => {
    await open();
    await cacheInTurn(...blobs);
    for (const blob of [...blobs].reverse()) {
      house.records.used(HUB, { digest: blob.digest, bytes: true });
      house.clock.jump(HOUR);
    }
    const gone = await house.evict({ bytes: 250 });
    expect(gone.map(({ digest }) => digest)).toEqual([blobs[11], blobs[10], blobs[9]].map((blob) => blob?.digest));
  });

  test('its cost does not follow what is held', async () => {
    await open();
    const many = Array.from({ length: 600 }, (_, at) => randomBlob(10, 1000 + at));
    const costOf = async (): Promise<number> => {
      const before = house.disk.calls();
      let commits = 0;
      house.metadata.beforeCommit(() => void commits++);
      expect(await house.evict({ bytes: 30 })).toHaveLength(3);
      house.metadata.beforeCommit(undefined);
      return house.disk.calls() - before + commits;
    };
    for (const blob of many.slice(0, 20)) await house.cache(blob);
    house.clock.jump(HOUR);
    const small = await costOf();
    for (const blob of many.slice(20)) await house.cache(blob);
    house.clock.jump(HOUR);
    expect(await costOf()).toBe(small);
  });

  test('an entry of which nothing is there leaves like any other, and is no gain', async () => {
    await open();
    await cacheInTurn(one, two);
    await house.disk.unlink(`/data/entrepot/blobs/sha256/${one.digest.slice(7, 9)}/${one.digest.slice(7)}`);
    await house.evict({ bytes: 150 });
    expect(await left(two)).toEqual([false]);
    await mustAgree();
  });

  test('a use that lies in the future, from before the clock was set right, keeps nothing for ever', async () => {
    await open();
    house.clock.jump(10 * 365 * 24 * HOUR);
    await house.cache(one);
    house.records.used(HUB, { digest: one.digest, bytes: true });
    await house.records.writeUses();
    house.clock.jump(-10 * 365 * 24 * HOUR);
    await house.evict({ bytes: 100 });
    house.clock.jump(HOUR);
    await cacheInTurn(two);
    await house.evict({ bytes: 100 });
    expect(await left(one, two)).toEqual([false, true]);
  });

  test('a push that comes while a digest goes waits for the end, and its bytes stay', async () => {
    await open();
    await cacheInTurn(one);
    let held: boolean | undefined;
    house.metadata.beforeCommit(async (slot) => {
      if (!slot.startsWith('digest/') || (await house.records.blob(one.digest))?.state !== 'evicting') return;
      house.metadata.beforeCommit(undefined);
      held = await house.records.hold(HOLDER, one.digest, { kind: 'blob', by: 'push' });
    });
    await house.evict({ bytes: 100 });
    expect(held).toBe(false);
    await pushBlob({ ...house, blobs: house.files }, HOLDER, one);
    expect(await left(one)).toEqual([true]);
  });

  test('a push that came between look and mark keeps its bytes', async () => {
    await open();
    await cacheInTurn(one);
    house.metadata.beforeCommit(async (slot) => {
      if (slot !== 'cache') return;
      house.metadata.beforeCommit(undefined);
      await pushBlob({ ...house, blobs: house.files }, HOLDER, one);
    });
    expect(await house.evict({ bytes: 100 })).toEqual([]);
    expect(await left(one)).toEqual([true]);
  });
});
