import { expect, test } from 'vitest';
import { openDiskBlobStore } from '../../../src/blobs/disk.ts';
import { sweepOnce, sweepParts } from '../../../src/pull/fill/sweep.ts';
import { randomId } from '../../../src/system/random.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;

async function createHouse() {
  const clock = createFakeClock();
  const random = createSeededRandom(1);
  const disk = createMemoryDisk({ now: () => clock.now() });
  const blobs = await openDiskBlobStore({ disk, random, root: '/data', version: 'test' });
  const left = async (): Promise<number[]> => (await blobs.parts()).map(({ size }) => size).toSorted((a, b) => a - b);
  /** A part that whoever died left behind. */
  async function leave(size: number): Promise<string> {
    const part = await blobs.part(randomId(random), false);
    await part.write(new Uint8Array(size), 0);
    part.release();
    await blobs.close();
    return part.id;
  }
  return { clock, blobs, left, leave };
}

test('what was left before a prefix was recorded goes after minutes, what can be gone on with after a day', async () => {
  const { clock, blobs, left, leave } = await createHouse();
  for (const size of [0, 3 * MIB, 4 * MIB]) await leave(size);
  const running = [await leave(1000)];
  const sweep = (): Promise<number> => sweepOnce({ clock, blobs, running: () => running });
  await clock.advance(9 * MINUTE_MS);
  expect(await sweep()).toBe(0);
  await clock.advance(2 * MINUTE_MS);
  expect([await sweep(), await left()]).toEqual([2, [1000, 4 * MIB]]);
  await clock.advance(24 * 60 * MINUTE_MS);
  expect([await sweep(), await left()]).toEqual([1, [1000]]);
});

test('it is looked at the start, and every hour', async () => {
  const { clock, blobs, left, leave } = await createHouse();
  await leave(MIB);
  const { start, stop } = sweepParts({ clock, blobs, running: () => [] });
  start();
  await clock.advance(59 * MINUTE_MS);
  expect(await left()).toEqual([MIB]);
  await clock.advance(MINUTE_MS);
  expect(await left()).toEqual([]);
  stop();
  expect(clock.pending()).toBe(0);
});
