import { afterEach, expect, test } from 'vitest';
import { EXPIRE_MS, LOOK_MS } from '../../../src/evict/evictor.ts';
import { HOLDER } from '../push/house.ts';
import { randomBlob, type Blob } from '../../fakes/images.ts';
import { pushBlob } from '../../fakes/pushed.ts';
import { createCacheHouse, HUB, type CacheHouse } from './cache-house.ts';

const DAY = 24 * 3600_000;
const LONG = 'docker.io/library/long';
const EVER = 'docker.io/library/ever';
const blobs = Array.from({ length: 40 }, (_, at) => randomBlob(10, at + 1));
const [one, two, three, four] = blobs as [Blob, Blob, Blob, Blob];

let house: CacheHouse;
afterEach(() => house.close());

/** A week for all but two repositories: 30 days for one, for ever for the other. */
async function open(): Promise<void> {
  const days = (repository: string): number | undefined =>
    repository === EVER ? undefined : repository === LONG ? 30 * DAY : 7 * DAY;
  house = await createCacheHouse({ ruleOf: (repository) => ({ offline: false, maxAgeMs: days(repository) }) });
  house.evictor.start();
}

const pass = (): Promise<void> => house.clock.advance(EXPIRE_MS + LOOK_MS);
const left = (...all: readonly Blob[]): Promise<boolean[]> => Promise.all(all.map((blob) => house.held(blob)));
const alsoIn = (repository: string, { digest, size }: Blob): Promise<void> =>
  house.records.putLink(repository, digest, { kind: 'blob', size, by: 'upstream', upstream: 'hub', at: 1 });

test('what nobody used for as long as its route allows goes, without any limit being near', async () => {
  await open();
  for (const blob of [one, two, three, four]) await house.cache(blob);
  house.clock.jump(6 * DAY);
  house.records.used(HUB, { digest: two.digest, bytes: true });
  await pass();
  expect(await left(one, two)).toEqual([true, true]);
  house.clock.jump(DAY);
  await pass();
  expect(await left(one, two, three, four)).toEqual([false, true, false, false]);
  expect(house.events).toMatchObject([{ kind: 'evicted', why: 'maxage', blobs: 3, bytes: 30 }]);
});

test('what several repositories hold goes with the longest of their ages', async () => {
  await open();
  for (const blob of [one, two]) await house.cache(blob);
  await alsoIn(LONG, one);
  await alsoIn(EVER, two);
  house.clock.jump(29 * DAY);
  await pass();
  expect(await left(one, two)).toEqual([true, true]);
  house.clock.jump(100 * DAY);
  await pass();
  expect(await left(one, two)).toEqual([false, true]);
});

test('what is hosted does not expire', async () => {
  await open();
  await house.cache(one);
  await pushBlob({ ...house, blobs: house.files }, HOLDER, one);
  house.clock.jump(100 * DAY);
  await pass();
  expect(await left(one)).toEqual([true]);
});

test('[R34] a clock that jumped ahead empties no cache at once', async () => {
  await open();
  for (const blob of blobs) await house.cache(blob);
  house.clock.jump(3650 * DAY);
  await pass();
  expect((await left(...blobs)).filter(Boolean)).toHaveLength(24);
  await pass();
  expect((await left(...blobs)).filter(Boolean)).toHaveLength(8);
});
