import { afterEach, beforeEach, expect, test } from 'vitest';
import { evict } from '../../../src/evict/evict.ts';
import { Keep } from '../../../src/evict/keep.ts';
import { RegistryError } from '../../../src/oci/errors.ts';
import { HOLDER } from '../push/house.ts';
import { randomBlob } from '../../fakes/images.ts';
import { openDiskBlobStore } from '../../../src/blobs/disk.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { gate, settle } from '../pull/house.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import { createCacheHouse, type CacheHouse } from './cache-house.ts';

const one = randomBlob(100, 1);

let house: CacheHouse;
/** Once, around the next rename: a file is published, or moved away. */
let around: { before?: () => Promise<unknown>; after?: () => Promise<unknown> } = {};
beforeEach(async () => {
  const clock = createFakeClock();
  const disk = createMemoryDisk({ now: () => clock.now() });
  house = await createCacheHouse({
    clock,
    disk: {
      ...disk,
      async rename(from, to) {
        const { before, after } = around;
        around = {};
        await before?.();
        await disk.rename(from, to);
        await after?.();
      },
    },
  });
  await house.cache(one);
  house.clock.jump(3600_000);
});
afterEach(() => house.close());

function keepNothing(): Keep {
  const { blobs, records } = house;
  const ruleOf = () => ({ offline: false, maxAgeMs: undefined });
  return new Keep({ blobs, records, ruleOf, anyOffline: false, pins: [] });
}

test('a mount that comes right before the mark is seen by it, though it changes nothing but its hold', async () => {
  let pushed = false;
  house.metadata.beforeCommit(async (slot) => {
    if (pushed || !slot.startsWith('digest/')) return;
    pushed = true;
    await house.records.hold(HOLDER, one.digest, { kind: 'blob', by: 'mount' });
  });
  expect(await house.evict({ bytes: 100 })).toEqual([]);
  expect(pushed).toBe(true);
  expect(await house.held(one)).toBe(true);
});

test('a removal that fails is told when the others of its batch have ended: the turn goes back then', async () => {
  const two = randomBlob(100, 2);
  await house.cache(two);
  house.clock.jump(3600_000);
  const { opened, open } = gate();
  const removing: string[] = [];
  const blobs = {
    ...house.files,
    async remove(digest: Digest) {
      removing.push(digest);
      if (removing.length === 1) throw new Error('EIO');
      await opened;
      return house.files.remove(digest);
    },
  };
  const { clock, records } = house;
  const turn = { check: () => Promise.resolve(), end: () => Promise.resolve(), leave: () => undefined };
  const keep = new Keep({
    blobs,
    records,
    ruleOf: () => ({ offline: false, maxAgeMs: undefined }),
    anyOffline: false,
    pins: [],
  });
  let ended = false;
  const round = evict({ clock, blobs, records }, { excess: { bytes: 200, files: 0 }, keep, turn }).next();
  void round.catch(() => undefined).then(() => (ended = true));
  await expect.poll(() => removing.length).toBe(2);
  await settle();
  expect(ended, 'while a file is still being removed').toBe(false);
  open();
  await expect(round).rejects.toThrow('EIO');
});

test('who lost the turn removes nothing: another may have ended it, and a push have brought the bytes again', async () => {
  const lost = new RegistryError('UNAVAILABLE', 'another evicts', { status: 503 });
  const turn = { check: () => Promise.reject(lost), end: () => Promise.resolve(), leave: () => undefined };
  const { clock, blobs, records } = house;
  const keep = keepNothing();
  const round = evict({ clock, blobs, records }, { excess: { bytes: 100, files: 0 }, keep, turn });
  await expect(round.next()).rejects.toBe(lost);
  expect(await house.held(one)).toBe(true);
});

test('who loses it between bytes and records ends nothing: the next one does, who has the turn', async () => {
  const lost = new RegistryError('UNAVAILABLE', 'another evicts', { status: 503 });
  let checks = 0;
  const check = () => ((checks += 1) === 1 ? Promise.resolve() : Promise.reject(lost));
  const turn = { check, end: () => Promise.resolve(), leave: () => undefined };
  const { clock, blobs, records } = house;
  const round = evict({ clock, blobs, records }, { excess: { bytes: 100, files: 0 }, keep: keepNothing(), turn });
  await expect(round.next()).rejects.toBe(lost);
  expect(checks).toBe(2);
  expect((await records.blob(one.digest))?.state).toBe('evicting');
});

test('the records of a batch end together, when all bytes are gone; those whose removal failed do not', async () => {
  const others = [randomBlob(100, 2), randomBlob(100, 3)] as const;
  for (const blob of others) await house.cache(blob);
  house.clock.jump(3600_000);
  const order: string[] = [];
  const blobs = {
    ...house.files,
    async remove(digest: Digest) {
      if (digest === others[0].digest) throw new Error('EIO');
      const removed = await house.files.remove(digest);
      order.push('bytes');
      return removed;
    },
  };
  const { clock } = house;
  const endEviction = (digest: Digest) => {
    order.push('record');
    return house.records.endEviction(digest);
  };
  const records = { ...house.records, endEviction };
  const turn = { check: () => Promise.resolve(), end: () => Promise.resolve(), leave: () => undefined };
  const round = evict({ clock, blobs, records }, { excess: { bytes: 300, files: 0 }, keep: keepNothing(), turn });
  await expect(round.next()).rejects.toThrow('EIO');
  expect(order).toEqual(['bytes', 'bytes', 'record', 'record']);
  const states = [one, ...others].map(async ({ digest }) => (await house.records.blob(digest))?.state);
  expect(await Promise.all(states)).toEqual([undefined, 'evicting', undefined]);
});

/** One eviction, while whose removal of the bytes the same blob is filled again. */
async function evictWhileFilling(publishes: 'before its file goes' | 'before the eviction ends'): Promise<void> {
  const { clock, records } = house;
  const files = await openDiskBlobStore({ disk: house.disk, random: createSeededRandom(6), root: '/data', version: 'test' });
  const keep = keepNothing();
  const turn = { check: () => Promise.resolve(), end: () => Promise.resolve(), leave: () => undefined };
  const part = await house.blobs.part('a'.repeat(32), false, one.size);
  await part.write(one.bytes, 0);
  const remove: typeof files.remove = async (digest) => {
    if (publishes === 'before its file goes') await part.publish(digest);
    const removed = await files.remove(digest);
    if (publishes === 'before the eviction ends') await part.publish(digest);
    return removed;
  };
  const gone: string[] = [];
  const round = { excess: { bytes: 100, files: 0 }, keep, turn };
  for await (const { digest } of evict({ clock, blobs: { ...files, remove }, records }, round)) gone.push(digest);
  part.release();
  expect(gone).toEqual([one.digest]);
}

const counted = async (): Promise<number> => (await house.records.inventory.usage()).bytes;

test('what is filled again while its eviction ends is counted', async () => {
  await evictWhileFilling('before the eviction ends');
  expect([await house.held(one), await counted()]).toEqual([true, 100]);
});

test('what is filled again before its file goes is counted too much at worst, until its turn comes', async () => {
  await evictWhileFilling('before its file goes');
  expect([await house.held(one), await counted()]).toEqual([false, 100]);
  house.clock.jump(3600_000);
  await house.evict({ bytes: 1 });
  expect(await counted()).toBe(0);
});

test('what an eviction takes out between entry and file of a fill is entered again', async () => {
  const part = await house.blobs.part('b'.repeat(32), false, one.size);
  await part.write(one.bytes, 0);
  around.before = async () => {
    house.clock.jump(3600_000);
    expect(await house.evict({ bytes: 100 })).toHaveLength(1);
    expect(await counted()).toBe(0);
  };
  await part.publish(one.digest);
  part.release();
  expect([await house.held(one), await counted()]).toEqual([true, 100]);
});

test('what is moved away as damaged and filled again at the same time is counted', async () => {
  const { version } = (await house.files.look(one.digest)) ?? { version: '' };
  around.after = () => house.cache(one);
  expect(await house.files.quarantine(one.digest, version, house.clock.now())).toBe(true);
  expect([await house.held(one), await counted()]).toEqual([true, 100]);
});

test('what is not there any more is counted no more, whoever notices', async () => {
  await house.disk.unlink(`/data/entrepot/blobs/sha256/${one.digest.slice(7, 9)}/${one.digest.slice(7)}`);
  expect(await house.files.remove(one.digest)).toBe(false);
  expect(await counted()).toBe(0);
});
