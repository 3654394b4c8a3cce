import { expect, test } from 'vitest';
import { drawHistory } from './history.ts';
import { play } from './play.ts';

/** How many in every run of the suite; `npm run sim -- --seeds N` plays more. */
const SEEDS = 60;

test('no generated history breaks a promise', { timeout: 120_000 }, async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const { faults } = await play(drawHistory(seed));
    expect(faults, `npm run sim -- --seed ${seed}`).toEqual([]);
  }
});

test('the same seed is the same history, whatever runs before it', async () => {
  for (const seed of [5, 8, 13]) {
    const first = await play(drawHistory(seed));
    await play(drawHistory(seed + 100));
    expect((await play(drawHistory(seed))).hash).toBe(first.hash);
  }
});
