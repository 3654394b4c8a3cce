import { expect, test } from 'vitest';
import { HOLD_MS } from '../../../src/metadata/records-holders.ts';
import { sweep } from '../../../src/evict/sweep.ts';
import { randomBlob } from '../../fakes/images.ts';
import { pushBlob } from '../../fakes/pushed.ts';
import { HOLDER } from '../push/house.ts';
import { createCollectHouse } from './house.ts';

const TURN = { check: () => Promise.resolve(), end: () => Promise.resolve(), leave: () => undefined };

test('bytes that were written after the given time stay, though nobody holds them', async () => {
  const at = await createCollectHouse();
  const blob = randomBlob(10, 1);
  await pushBlob(at, HOLDER, blob);
  await at.records.dropLink(HOLDER, blob.digest);
  const written = at.clock.now();
  at.clock.jump(HOLD_MS);
  const gone = async (before: number) => {
    const digests: string[] = [];
    for await (const { digest } of sweep(at, { before }, TURN)) digests.push(digest);
    return digests;
  };
  expect(await gone(written - 1)).toEqual([]);
  expect(await gone(written)).toEqual([blob.digest]);
});

test('more than a batch and a page go in one sweep, and all marks are durable before the first byte goes', async () => {
  const at = await createCollectHouse();
  const blobs = Array.from({ length: 230 }, (_, seed) => randomBlob(20 + seed, seed));
  for (const blob of blobs) {
    await pushBlob(at, HOLDER, blob);
    await at.records.dropLink(HOLDER, blob.digest);
  }
  at.clock.jump(HOLD_MS);
  let flushed = true;
  const records = {
    ...at.records,
    markDeleting: (...asked: Parameters<typeof at.records.markDeleting>) => {
      flushed = false;
      return at.records.markDeleting(...asked);
    },
    flushed: async () => {
      await at.records.flushed();
      flushed = true;
    },
  };
  const store = {
    ...at.blobs,
    remove: (digest: (typeof blobs)[number]['digest']) => {
      expect(flushed).toBe(true);
      return at.blobs.remove(digest);
    },
  };
  let count = 0;
  for await (const _ of sweep({ records, blobs: store }, { before: at.clock.now() }, TURN)) count += 1;
  expect(count).toBe(230);
  expect(await at.records.hostedDigests(undefined, 999)).toEqual([]);
});
