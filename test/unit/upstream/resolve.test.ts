import { describe, expect, test } from 'vitest';

import type { Address } from '../../../src/upstream/guard.ts';
import { createResolve } from '../../../src/upstream/resolve.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';

const HERE: readonly Address[] = [{ address: '192.0.2.1', family: 4 }];

describe('[R14] names', () => {
  function resolver() {
    const clock = createFakeClock();
    const asked: string[] = [];
    let isDown = false;
    const resolve = createResolve(clock, async (name) => {
      asked.push(name);
      if (isDown) throw new Error('SERVFAIL');
      return HERE;
    });
    return { clock, asked, resolve, goDown: () => (isDown = true) };
  }

  test('are looked up once for many, and again after ten seconds', async () => {
    const { clock, asked, resolve } = resolver();
    await Promise.all(Array.from({ length: 30 }, () => resolve('a.test')));
    await clock.advance(9999);
    await resolve('a.test');
    await resolve('b.test');
    expect(asked).toEqual(['a.test', 'b.test']);
    await clock.advance(1);
    await resolve('a.test');
    expect(asked.length).toBe(3);
  });

  test('that were found serve for ten minutes while the resolver fails, and no longer', async () => {
    const { clock, resolve, goDown } = resolver();
    await resolve('a.test');
    goDown();
    await clock.advance(9 * 60_000);
    expect(await resolve('a.test')).toEqual(HERE);
    await expect(resolve('b.test')).rejects.toThrow('SERVFAIL');
    await clock.advance(60_001);
    await expect(resolve('a.test')).rejects.toThrow('SERVFAIL');
  });
});
