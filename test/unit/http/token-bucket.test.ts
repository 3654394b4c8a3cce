import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BUCKETS_MAX, createTokenBuckets } from '../../../src/http/token-bucket.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';

const RATE = { perSecond: 2, burst: 3 };

describe('a token bucket', () => {
  test('gives the burst at once, then one each time that the rate says, each to one', async () => {
    const clock = createFakeClock();
    const buckets = createTokenBuckets(clock);
    const take = () => buckets.take('a', RATE, 1000);
    expect([take(), take(), take()]).toEqual(Array(3).fill({ taken: true, waitMs: 0 }));
    expect([take(), take()]).toEqual([
      { taken: true, waitMs: 500 },
      { taken: true, waitMs: 1000 },
    ]);
    expect(take()).toEqual({ taken: false, waitMs: 1500 });
    await clock.advance(500);
    expect([take(), take()]).toEqual([
      { taken: true, waitMs: 1000 },
      { taken: false, waitMs: 1500 },
    ]);
  });

  test('never holds more than the burst', async () => {
    const clock = createFakeClock();
    const buckets = createTokenBuckets(clock);
    buckets.take('a', RATE, 0);
    await clock.advance(3_600_000);
    expect([1, 2, 3, 4].map(() => buckets.take('a', RATE, 0).taken)).toEqual([true, true, true, false]);
  });

  test('is each key of its own, and follows a rate that changes', () => {
    const buckets = createTokenBuckets(createFakeClock());
    for (const _ of [1, 2, 3]) buckets.take('a', RATE, 0);
    expect(buckets.take('a', RATE, 0).taken).toBe(false);
    expect(buckets.take('b', RATE, 0).taken).toBe(true);
    expect(buckets.take('b', { perSecond: 1, burst: 1 }, 0).taken).toBe(true);
    expect(buckets.take('b', { perSecond: 1, burst: 1 }, 0)).toEqual({ taken: false, waitMs: 1000 });
  });

  test('remembers so many keys, and who is refused is no more easily forgotten', () => {
    const buckets = createTokenBuckets(createFakeClock());
    const once = { perSecond: 1, burst: 1 };
    expect(buckets.take('a', once, 0).taken).toBe(true);
    for (let at = 0; at < BUCKETS_MAX - 1; at++) buckets.take(`other ${at}`, once, 0);
    expect(buckets.take('a', once, 0).taken).toBe(false);
    buckets.take('one more', once, 0);
    expect(buckets.take('a', once, 0).taken).toBe(false);
    for (let at = 0; at < BUCKETS_MAX; at++) buckets.take(`further ${at}`, once, 0);
    expect(buckets.take('a', once, 0).taken).toBe(true);
  });

  test('whatever comes whenever, no more than burst and rate is given', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({ perSecond: fc.integer({ min: 1, max: 50 }), burst: fc.integer({ min: 1, max: 20 }) }),
        fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 60 }),
        async (rate, pauses) => {
          const clock = createFakeClock();
          const buckets = createTokenBuckets(clock);
          const served: number[] = [];
          for (const pause of pauses) {
            await clock.advance(pause);
            const { taken, waitMs } = buckets.take('a', rate, 1000);
            if (taken) served.push(clock.monotonic() + waitMs);
          }
          for (const [at, from] of served.entries()) {
            for (const [more, until] of served.slice(at).entries()) {
              expect(more + 1).toBeLessThanOrEqual(rate.burst + ((until - from) * rate.perSecond) / 1000 + 1e-6);
            }
          }
        },
      ),
    );
  });
});
