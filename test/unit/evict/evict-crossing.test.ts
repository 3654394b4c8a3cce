import { afterEach, beforeEach, expect, test } from 'vitest';
import { evict } from '../../../src/evict/evict.ts';
import { Keep } from '../../../src/evict/keep.ts';
import { RegistryError } from '../../../src/oci/errors.ts';
import { HOLDER } from '../push/house.ts';
import { randomBlob } from '../../fakes/images.ts';
import { createCacheHouse, type CacheHouse } from './cache-house.ts';

const one = randomBlob(100, 1);

let house: CacheHouse;
beforeEach(async () => {
  house = await createCacheHouse();
  await house.cache(one);
  house.clock.jump(3600_000);
});
afterEach(() => house.close());

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

test('who lost the turn removes nothing: another may have ended it, and a push have brought the bytes again', async () => {
  const lost = new RegistryError('UNAVAILABLE', 'another evicts', { status: 503 });
  const turn = { check: () => Promise.reject(lost), end: () => Promise.resolve(), leave: () => undefined };
  const { clock, blobs, records } = house;
  const keep = new Keep({
    blobs,
    records,
    ruleOf: () => ({ offline: false, maxAgeMs: undefined }),
    anyOffline: false,
    pins: [],
  });
  const round = evict({ clock, blobs, records }, { excess: { bytes: 100, files: 0 }, keep, turn });
  await expect(round.next()).rejects.toBe(lost);
  expect(await house.held(one)).toBe(true);
});
