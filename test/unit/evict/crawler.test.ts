import { expect, test } from 'vitest';
import { randomBlob } from '../../fakes/images.ts';
import { sized } from '../../scenarios/acceptance.ts';
import { times } from '../../scenarios/harness.ts';
import { createCacheHouse, HUB } from './cache-house.ts';

const SIZE = 100;
const HOT = 100;
const COLD = sized(1_000, 10_000);
/** Room for the hot ones, and as much again. */
const MAX_BYTES = 2 * HOT * SIZE;

test(`[R33] a crawler that pulls ${COLD} blobs once each drives out none of the ${HOT} that are pulled now and then`, async () => {
  const house = await createCacheHouse({ limits: { maxBytes: MAX_BYTES, watermarks: { high: 0.95, low: 0.85 } } });
  const hot = times(HOT, (at) => randomBlob(SIZE, at + 1));
  for (const blob of hot) await house.cache(blob);
  const least = { hot: HOT, counted: 0 };
  for (let at = 0; at < COLD; at += 1) {
    house.clock.jump(6_000);
    // Each hot one every five minutes, in the time in which the crawler pulls fifty.
    for (const { digest } of hot.slice((at % 50) * 2, (at % 50) * 2 + 2)) house.records.used(HUB, { digest, bytes: true });
    await house.cache(randomBlob(SIZE, HOT + 1 + at));
    if (at % 100 !== 99) continue;
    const held = await Promise.all(hot.map((blob) => house.held(blob)));
    least.hot = Math.min(least.hot, held.filter(Boolean).length);
    least.counted = Math.max(least.counted, (await house.records.inventory.usage()).bytes);
  }
  await house.evictor.makeRoom(0);
  expect(least.hot).toBe(HOT);
  expect(least.counted).toBeLessThanOrEqual(MAX_BYTES);
  expect(await house.onDisk()).toBe((await house.records.inventory.usage()).bytes);
  await house.close();
}, 120_000);
