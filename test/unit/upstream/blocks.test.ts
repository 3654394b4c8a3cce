import { describe, expect, test } from 'vitest';
import { giveMemory, takeMemory } from '../../../src/upstream/block-memory.ts';
import { createBlocks, type Blocks } from '../../../src/upstream/blocks.ts';
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
      const given = blocks.take(random.fraction() < 0.8);
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
    blocks.end();
  },
);

test.each(Array.from({ length: 20 }, (_, seed) => seed))(
  'bodies have each other’s memory, and none what the reader of another still has (seed %i)',
  (seed) => {
    const random = createSeededRandom(seed + 100);
    const below = (most: number): number => Math.floor(random.fraction() * most);
    const begin = () => ({
      blocks: createBlocks(undefined),
      held: [] as { given: Uint8Array; copy: Buffer }[],
      pushed: 0,
      read: 0,
    });
    const memories = new Set<ArrayBufferLike>();
    /** Of what was left, by somebody whose disk may hang. */
    const left: ReturnType<typeof begin>['held'] = [];
    let takes = 0;
    const bodies = Array.from({ length: 4 }, begin);
    for (let turn = 0; turn < 600; turn += 1) {
      const at = below(bodies.length);
      const body = bodies[at]!;
      if (random.fraction() < 0.5) {
        const chunk = Buffer.alloc(below(700 * KIB), turn % 251);
        body.blocks.push(chunk);
        body.pushed += chunk.byteLength;
      } else if (random.fraction() < 0.9) {
        const given = body.blocks.take(random.fraction() < 0.9);
        if (given === undefined) continue;
        takes += 1;
        memories.add(given.buffer);
        body.read += given.byteLength;
        body.held.push({ given, copy: Buffer.from(given) });
        if (body.held.length > READS_KEPT) body.held.shift();
      } else {
        const hasEnded = random.fraction() < 0.7;
        if (!hasEnded) left.push(...body.held);
        const end = hasEnded ? body.blocks.end : body.blocks.leave;
        for (let time = 0; time < 2; time += 1) end();
        bodies[at] = begin();
      }
      for (const { blocks, pushed, read } of bodies) expect(read + blocks.unread()).toBe(pushed);
      for (const { held } of [...bodies, { held: left }])
        for (const { given, copy } of held) expect(copy.equals(given)).toBe(true);
    }
    expect(memories.size).toBeLessThan(takes / 2);
    for (const { blocks } of bodies) blocks.end();
  },
);

test('whoever keeps up reads out of the same few blocks again and again', () => {
  const blocks = createBlocks(undefined);
  const memories = new Set<ArrayBufferLike>();
  for (let turn = 0; turn < 1_000; turn += 1) {
    blocks.push(Buffer.alloc(64 * KIB));
    memories.add(blocks.take(true)!.buffer);
  }
  expect(memories.size).toBe(READS_KEPT + 1);
});

/** What is taken of so many KiB that have come meanwhile, in KiB. */
function taken(blocks: Blocks, kib: number, isQuick: boolean): number[] {
  for (let at = 0; at < kib; at += 64) blocks.push(Buffer.alloc(64 * KIB));
  const sizes = [];
  for (let given = blocks.take(isQuick); given !== undefined; given = blocks.take(isQuick)) sizes.push(given.byteLength / KIB);
  return sizes;
}

describe('whoever lags gets more at once', () => {
  test('and no more than 256 KiB who is slow', () => {
    expect(taken(createBlocks(undefined), 1024, false)).toEqual([64, 256, 256, 256, 192]);
  });

  test('up to 1 MiB who is quick, from the first full block on, in the same memory again and again', () => {
    const blocks = createBlocks(undefined);
    expect([taken(blocks, 1024, true), blocks.enough() / KIB]).toEqual([[64, 256, 256, 256, 192], 1024]);
    expect(taken(blocks, 4096, true)).toEqual([256, 1024, 1024, 1024, 768]);
    const memories = new Set<ArrayBufferLike>();
    for (let turn = 0; turn < 100; turn += 1) {
      blocks.push(Buffer.alloc(1024 * KIB));
      for (let given = blocks.take(true); given !== undefined; given = blocks.take(true)) memories.add(given.buffer);
    }
    expect(memories.size).toBeLessThanOrEqual(READS_KEPT + 4);
    blocks.end();
  });

  test('once it is slow no more than 256 KiB again', () => {
    const blocks = createBlocks(undefined);
    for (let time = 0; time < 2; time += 1) taken(blocks, 4096, true);
    blocks.push(Buffer.alloc(1024 * KIB));
    expect(blocks.take(false)?.byteLength).toBe(1024 * KIB);
    expect([blocks.enough() / KIB, ...taken(blocks, 1024, false)]).toEqual([256, 256, 256, 256, 256]);
  });

  test('no longer where the sixteenth take in a row is less than 256 KiB, as of an upstream that has become slow', () => {
    const blocks = createBlocks(undefined);
    taken(blocks, 1024, true);
    const few = (count: number): void => {
      for (let time = 0; time < count; time += 1) taken(blocks, 64, true);
    };
    few(14); // The last of the 1024 KiB was one.
    expect(blocks.enough() / KIB).toBe(1024);
    taken(blocks, 256, true);
    few(15);
    expect(blocks.enough() / KIB).toBe(1024);
    few(1);
    expect(blocks.enough() / KIB).toBe(256);
    blocks.end();
  });

  test('of which no more than sixteen have blocks of 1 MiB, and whoever comes when one of them has ended', () => {
    const all = Array.from({ length: 17 }, () => createBlocks(undefined));
    for (const blocks of all) taken(blocks, 1024, true);
    expect(all.map((blocks) => blocks.enough() / KIB)).toEqual([...Array.from({ length: 16 }, () => 1024), 256]);
    all[3]!.leave();
    all[3]!.end();
    taken(all[16]!, 1024, true);
    taken(all[3]!, 1024, true);
    expect([all[16]!.enough() / KIB, all[3]!.enough() / KIB]).toEqual([1024, 256]);
    for (const blocks of all) blocks.end();
  });
});

test('a short body takes no more memory than it has bytes', () => {
  const blocks = createBlocks(500);
  blocks.push(Buffer.alloc(300));
  blocks.push(Buffer.alloc(200));
  const given = blocks.take(true)!;
  expect([given.byteLength, given.buffer.byteLength]).toEqual([500, 500]);
});

test('what nobody reads any more is kept for the next bodies, up to 16 MiB in blocks of 1 MiB', () => {
  const memories = (count: number) => {
    const all = Array.from({ length: count }, () => takeMemory(1024 * KIB));
    for (const memory of all) giveMemory(memory);
    return new Set(all);
  };
  const before = memories(40);
  const after = memories(40);
  expect([...after].filter((memory) => before.has(memory)).length).toBe(16);
});
