import { describe, expect, test } from 'vitest';
import { COURSES, losePower } from './power-loss.ts';

const isFull = process.env['ENTREPOT_ACCEPT'] === 'full';

/** Every third call; each of them where it is run in full (`npm run accept:power`). */
const STRIDE = isFull ? 1 : 3;

/** Times that each call is drawn anew: what a crash keeps of all that was not made durable is chance. */
const CHANCES = isFull ? 20 : 1;

describe('the power goes after every call of the disk and the metadata', () => {
  test.each(Object.entries(COURSES))('of %s', { timeout: 600_000 }, async (_, course) => {
    for (let chance = 0; chance < CHANCES; chance += 1) {
      let calls = 1 + (chance % STRIDE);
      for (; ; calls += STRIDE) {
        const verdict = await losePower(course, calls, 1 + chance * 1009 + calls * 9);
        if (verdict === undefined) break;
        expect(verdict.faults, `after ${calls} calls\n${verdict.trace.join('\n')}`).toEqual([]);
      }
      expect(calls, 'calls of the whole course').toBeGreaterThan(30);
    }
  });
});
