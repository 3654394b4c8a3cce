import { afterEach, beforeEach, expect, test } from 'vitest';
import { COUNT_EVERY_MS, HostedStock } from '../../../src/evict/hosted-stock.ts';
import { randomBlob } from '../../fakes/images.ts';
import { pushBlob } from '../../fakes/pushed.ts';
import { createCacheHouse, type CacheHouse } from './cache-house.ts';

let house: CacheHouse;
let stock: HostedStock;
beforeEach(async () => {
  house = await createCacheHouse();
  stock = new HostedStock({ clock: house.clock, records: house.records });
});
afterEach(async () => {
  await stock.stop();
  await house.close();
});

const push = (seed: number, repository = 'local/a') =>
  pushBlob({ ...house, blobs: house.files }, repository, randomBlob(100 * seed, seed));

test('what was pushed is counted once, whoever holds it; what is cached is not; and again every ten minutes', async () => {
  await push(1);
  await push(2);
  await push(2, 'local/b');
  await house.cache(randomBlob(1_000, 9));
  expect(stock.amount()).toBeUndefined();
  stock.start();
  await house.clock.advance(0);
  expect(stock.amount()).toEqual({ bytes: 300, blobs: 2 });
  await push(4);
  expect(stock.amount()).toEqual({ bytes: 300, blobs: 2 });
  await house.clock.advance(COUNT_EVERY_MS);
  expect(stock.amount()).toEqual({ bytes: 700, blobs: 3 });
});

test('what was counted last stands while the metadata do not answer', async () => {
  await push(1);
  stock.start();
  await house.clock.advance(0);
  const { hostedDigests } = house.records;
  house.records.hostedDigests = () => Promise.reject(new Error('down'));
  await house.clock.advance(COUNT_EVERY_MS);
  expect(stock.amount()).toEqual({ bytes: 100, blobs: 1 });
  house.records.hostedDigests = hostedDigests;
  await push(2);
  await house.clock.advance(COUNT_EVERY_MS);
  expect(stock.amount()).toEqual({ bytes: 300, blobs: 2 });
});
