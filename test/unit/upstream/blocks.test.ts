import { expect, test } from 'vitest';
import { createBlocks } from '../../../src/upstream/blocks.ts';
import { READS_KEPT } from '../../../src/upstream/upstream.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

const KIB = 1024;

test.each(Array.from({ length: 40 }, (_, seed) => seed))(
  'what was pushed is what is taken, whoever changes its memory afterwards (seed %i)',
  (seed) => {
    const random = createSeededRandom(seed + 1);
    const below = (most: number): number => Math.floor(random.fraction() * most);
    const blocks = createBlocks(seed % 3 === 0 ? below(300 * KIB) : undefined);
    const pushed: Buffer[] = [];
    const taken: Buffer[] = [];
    const held: { given: Uint8Array; copy: Buffer }[] = [];
    const take = (): boolean => {
      for (const { given, copy } of held) expect(copy.equals(given)).toBe(true);
      const given = blocks.take();
      if (given === undefined) return false;
      const copy = Buffer.from(given);
      held.push({ given, copy });
      if (held.length > READS_KEPT) held.shift();
      taken.push(copy);
      return true;
    };
    for (let turn = 0; turn < 200; turn += 1) {
      if (random.fraction() < 0.6) {
        const chunk = Buffer.alloc(below(70 * KIB), turn % 251);
        pushed.push(Buffer.from(chunk));
        blocks.push(chunk);
        chunk.fill(0xdd);
      } else take();
    }
    while (take());
    expect(Buffer.concat(taken).equals(Buffer.concat(pushed))).toBe(true);
    expect(blocks.unread()).toBe(0);
  },
);

test('whoever keeps up reads out of the same few blocks again and again', () => {
  const blocks = createBlocks(undefined);
  const memories = new Set<ArrayBufferLike>();
  for (let turn = 0; turn < 1_000; turn += 1) {
    blocks.push(Buffer.alloc(64 * KIB));
    memories.add(blocks.take()!.buffer);
  }
  expect(memories.size).toBe(READS_KEPT + 1);
});

test('whoever lags gets more at once, and no more than 256 KiB', () => {
  const blocks = createBlocks(undefined);
  for (let turn = 0; turn < 16; turn += 1) blocks.push(Buffer.alloc(64 * KIB));
  const sizes = [];
  for (let given = blocks.take(); given !== undefined; given = blocks.take()) sizes.push(given.byteLength / KIB);
  expect(sizes).toEqual([64, 128, 256, 256, 256, 64]);
});

test('a short body takes no more memory than it has bytes', () => {
  const blocks = createBlocks(500);
  blocks.push(Buffer.alloc(300));
  blocks.push(Buffer.alloc(200));
  const given = blocks.take()!;
  expect([given.byteLength, given.buffer.byteLength]).toEqual([500, 500]);
});
