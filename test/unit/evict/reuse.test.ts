import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Reuse } from '../../../src/evict/reuse.ts';
import { parseDigest, type Digest } from '../../../src/oci/digest.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

interface Thing {
  readonly digest: Digest;
  readonly size: number;
}

function thing(name: string, size: number): Thing {
  const digest = parseDigest(`sha256:${createHash('sha256').update(name).digest('hex')}`);
  if (digest === undefined) throw new Error('no digest');
  return { digest, size };
}

/** Layers of 1 KiB to 1 GiB, most of them small. */
function things(count: number, random: () => number): Thing[] {
  return Array.from({ length: count }, (_, at) => thing(`layer ${at}`, Math.ceil(1024 * 2 ** (20 * random() ** 2))));
}

/** Uses by Zipf's law: the nth is used in proportion to 1/n^skew. */
function zipf(all: readonly Thing[], uses: number, skew: number, random: () => number): Thing[] {
  const sums: number[] = [];
  for (let at = 0; at < all.length; at += 1) sums.push((sums.at(-1) ?? 0) + 1 / (at + 1) ** skew);
  const total = sums.at(-1) ?? 0;
  return Array.from({ length: uses }, () => {
    const wanted = random() * total;
    let [low, high] = [0, sums.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return all[low] ?? thing('none', 1);
  });
}

/** What a cache of that size that evicts the least recently used does hit, counted out. */
function exactly(trace: readonly Thing[], bytesMax: number): number {
  const held = new Map<Digest, number>();
  let [bytes, hits] = [0, 0];
  for (const { digest, size } of trace) {
    if (held.delete(digest)) {
      hits += 1;
      bytes -= size;
    }
    if (size > bytesMax) continue;
    held.set(digest, size);
    bytes += size;
    for (const [oldest, its] of held) {
      if (bytes <= bytesMax) break;
      held.delete(oldest);
      bytes -= its;
    }
  }
  return hits / trace.length;
}

function follow(trace: readonly Thing[], followedMax?: number): Reuse {
  const reuse = new Reuse(followedMax === undefined ? {} : { followedMax });
  for (const { digest, size } of trace) reuse.note(digest, size);
  return reuse;
}

describe('the reuse-distance curve', () => {
  test('says nothing before the first use', () => {
    expect(new Reuse().curve([1])).toBeUndefined();
  });

  test('a first use is a hit nowhere, a second wherever what came between fits', () => {
    const [a, b] = [thing('a', 1_000_000), thing('b', 1_000_000)];
    const curve = follow([a, b, a, b]).curve([500_000, 1_900_000, 2_200_000]);
    expect(curve?.map(({ hitRatio }) => hitRatio)).toEqual([0, expect.closeTo(0, 1), 0.5]);
  });

  test.each([
    ['everything is followed', 3_000, 60_000, 8_192, 0.9],
    ['one in five is', 20_000, 100_000, 4_096, 0.8],
    ['few are used most of the time', 20_000, 100_000, 4_096, 1.1],
  ])('is within 2 points of the exact simulation: %s', (_, count, uses, followedMax, skew) => {
    const random = createSeededRandom(7).fraction;
    const all = things(count, random);
    const trace = zipf(all, uses, skew, random);
    const whole = all.reduce((sum, { size }) => sum + size, 0);
    const sizes = [0.05, 0.1, 0.2, 0.4, 0.8].map((share) => Math.round(whole * share));
    const curve = follow(trace, followedMax).curve(sizes) ?? [];
    const wrong = curve.map(({ hitRatio }, at) => Math.abs(hitRatio - exactly(trace, sizes[at] ?? 0)));
    expect(curve).toHaveLength(sizes.length);
    expect(Math.max(...wrong)).toBeLessThan(0.02);
  });

  test('a larger cache never hits less', () => {
    const random = createSeededRandom(11).fraction;
    const trace = zipf(things(5_000, random), 40_000, 0.9, random);
    const ratios = follow(trace, 512)
      .curve(Array.from({ length: 40 }, (_, at) => 2 ** at))
      ?.map(({ hitRatio }) => hitRatio);
    expect(ratios).toEqual(ratios?.toSorted((a, b) => a - b));
  });

  test('memory and the cost of a use stay bounded, however many digests there are', () => {
    const reuse = new Reuse({ followedMax: 64 });
    for (let at = 0; at < 20_000; at += 1) {
      const one = thing(`${at}`, 1_000);
      reuse.note(one.digest, one.size);
      reuse.note(one.digest, one.size);
    }
    expect(reuse.followed).toBeLessThanOrEqual(64);
    expect(reuse.uses).toBe(40_000);
    expect(reuse.curve([1_000_000])?.[0]?.hitRatio).toBeCloseTo(0.5, 1);
  });
});
