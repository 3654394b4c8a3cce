import { describe, expect, test } from 'vitest';
import { sleep, TIMER_MS_MAX } from '../../../src/system/clock.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';

describe('fake clock', () => {
  test('fires what is due, in order, each at its own time', async () => {
    const clock = createFakeClock(1000);
    const fired: string[] = [];
    clock.after(20, () => fired.push(`b${clock.now()}`));
    clock.after(10, () => fired.push(`a${clock.now()}`));
    clock.after(20, () => fired.push(`c${clock.now()}`));
    clock.after(31, () => fired.push('late'));
    await clock.advance(30);
    expect(fired).toEqual(['a1010', 'b1020', 'c1020']);
    expect(clock.monotonic()).toBe(30);
    expect(clock.pending()).toBe(1);
  });

  test('a loop of sleeps runs through in one advance', async () => {
    const clock = createFakeClock();
    let turns = 0;
    const loop = (async () => {
      for (; turns < 5; turns++) await sleep(clock, 10);
    })();
    await clock.advance(49);
    expect(turns).toBe(4);
    await clock.advance(1);
    await loop;
    expect(turns).toBe(5);
    expect(clock.pending()).toBe(0);
  });

  test('a cancelled timer does not fire', async () => {
    const clock = createFakeClock();
    let fired = false;
    const timer = clock.after(5, () => (fired = true));
    timer.cancel();
    await clock.advance(10);
    expect(fired).toBe(false);
  });

  test('a jump moves the wall clock and nothing else', async () => {
    const clock = createFakeClock(1000);
    let fired = false;
    clock.after(5, () => (fired = true));
    clock.jump(-500);
    expect([clock.now(), clock.monotonic(), fired]).toEqual([500, 0, false]);
    await clock.advance(5);
    expect([clock.now(), clock.monotonic(), fired]).toEqual([505, 5, true]);
  });

  test.each([-1, Number.NaN, TIMER_MS_MAX + 1])('a timer of %s ms is refused, as by the real clock', (ms) => {
    expect(() => createFakeClock().after(ms, () => undefined)).toThrow(RangeError);
  });

  test('what a callback throws rejects the advance', async () => {
    const clock = createFakeClock();
    clock.after(1, () => {
      throw new Error('from the timer');
    });
    await expect(clock.advance(1)).rejects.toThrow('from the timer');
  });
});
