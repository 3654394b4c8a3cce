import { expect, test } from 'vitest';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

test('a seed names a sequence', () => {
  const draw = (seed: number): number[] => {
    const random = createSeededRandom(seed);
    return [random.fraction(), ...random.bytes(4), random.fraction()];
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
});

test('fractions fill [0, 1) evenly enough to choose by', () => {
  const random = createSeededRandom(1);
  const counts = Array.from({ length: 10 }, () => 0);
  for (let draw = 0; draw < 10_000; draw++) {
    const bucket = Math.floor(random.fraction() * 10);
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }
  expect(counts).toHaveLength(10);
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
});
