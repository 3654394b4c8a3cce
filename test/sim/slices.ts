import { expect, test } from 'vitest';
import { listenForStrays } from './checks/no-strays.ts';
import { drawHistory } from './history.ts';
import { play } from './play.ts';

/** Seeds of one test: few enough for one to be run alone. */
const SLICE = 250;

/** One test for each slice of `count` seeds from `from` on. */
export function playSlices(from: number, count: number): void {
  listenForStrays();
  const slices = Array.from({ length: count / SLICE }, (_, at) => from + at * SLICE);
  test.each(slices)(`seeds from %i, ${SLICE} of them, break no promise`, { timeout: 300_000 }, async (first) => {
    for (let seed = first; seed < first + SLICE; seed += 1) await playOne(seed);
  });
}

async function playOne(seed: number): Promise<void> {
  const { faults } = await play(drawHistory(seed));
  expect(faults, `npm run sim -- --seed ${seed}`).toEqual([]);
}
