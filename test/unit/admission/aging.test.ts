import { expect, test } from 'vitest';
import { createAging, UNUSED_MS } from '../../../src/admission/aging.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

const HOUR = 3_600_000;

test('what nobody needs is looked for once a day, where somebody judges, also past trouble; and not after the end', async () => {
  const clock = createFakeClock();
  const asked: (readonly [number, number])[] = [];
  let isNeeded = false;
  const verdicts = {
    forget(before: number, now: number) {
      asked.push([clock.now() - before, clock.now() - now]);
      return Promise.reject(new Error('the metadata are down'));
    },
  } as never;
  const aging = createAging({ clock, random: createSeededRandom(1), records: { verdicts }, isNeeded: () => isNeeded });
  aging.start();
  await clock.advance(24 * HOUR);
  expect(asked).toEqual([]);
  isNeeded = true;
  for (let day = 0; day < 3; day += 1) await clock.advance(24 * HOUR);
  expect(asked.length).toBeGreaterThanOrEqual(3);
  expect(asked.length).toBeLessThanOrEqual(4);
  expect(asked[0]).toEqual([UNUSED_MS, 0]);
  aging.stop();
  expect(clock.pending()).toBe(0);
  await clock.advance(24 * HOUR);
  expect(asked.length).toBeLessThanOrEqual(4);
});
