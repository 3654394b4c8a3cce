import { expect, test } from 'vitest';
import { HOLDER } from '../push/house.ts';
import { randomBlob, type Blob } from '../../fakes/images.ts';
import { pushBlob } from '../../fakes/pushed.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { createCacheHouse, HUB, type CacheHouse } from './cache-house.ts';

const HOUR = 3600_000;
const cached = Array.from({ length: 4 }, (_, at) => randomBlob(100, at + 1));
const [, two] = cached as [Blob, Blob];

/** Four blobs of which one was used since and one is hosted too; then the power goes at some step of an eviction of two. */
async function prepare(): Promise<CacheHouse> {
  const house = await createCacheHouse();
  for (const blob of cached) {
    await house.cache(blob);
    house.clock.jump(HOUR);
  }
  await pushBlob({ ...house, blobs: house.files }, HOLDER, two);
  await house.records.flushed();
  return house;
}

/** Restarts after the power went; the evictor ends what was begun before anything else. */
async function restart({ disk, metadata, clock }: CacheHouse, seed: number): Promise<CacheHouse> {
  const random = createSeededRandom(seed);
  disk.crash({ random });
  metadata.crash(random);
  const house = await createCacheHouse({ disk, metadata, clock });
  house.evictor.start();
  await clock.advance(0);
  return house;
}

async function mustBeSound(house: CacheHouse): Promise<void> {
  expect(await house.records.inventory.going(undefined, 9), 'something is half gone').toEqual([]);
  expect(await house.held(two), 'what is hosted').toBe(true);
  for (const blob of cached) {
    const record = await house.records.blob(blob.digest);
    expect(record?.state ?? 'held', 'neither here nor gone').toBe('held');
    // Whoever pushes takes the record's word for it.
    expect(record === undefined || (await house.held(blob)), 'the bytes that its record speaks of').toBe(true);
    expect(await house.records.link(HUB, blob.digest), 'its link').toBeDefined();
    // Whatever was lost can be had again, and pushed.
    if (!(await house.held(blob))) await house.cache(blob);
    expect(await house.records.hold(HOLDER, blob.digest, { kind: 'blob', by: 'push' })).toBe(true);
  }
}

test('[promise 6] power loss at every step of an eviction leaves each digest here, or gone, and nothing uncounted', async () => {
  for (let step = 0, reached = true; reached; step += 1) {
    const house = await prepare();
    house.disk.stopAfter(step);
    const failed = await house.evict({ bytes: 150 }).then(
      () => false,
      () => true,
    );
    reached = failed;
    const again = await restart(house, step + 1);
    const { bytes } = await again.records.inventory.usage();
    expect(bytes, 'counted').toBeGreaterThanOrEqual((await again.onDisk()) - two.size);
    await mustBeSound(again);
  }
});

test('[promise 6] a crash before every commit of an eviction, too', async () => {
  for (let nth = 1, reached = true; reached; nth += 1) {
    const house = await prepare();
    let left = nth;
    house.metadata.beforeCommit(() => {
      left -= 1;
      if (left <= 0) throw new Error('the power is gone');
    });
    await house.evict({ bytes: 150 }).catch(() => undefined);
    house.metadata.beforeCommit(undefined);
    reached = left <= 0;
    const again = await restart(house, nth);
    await mustBeSound(again);
  }
});
