import { describe, expect, test } from 'vitest';
import { createPlaces } from '../../../src/http/places.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';

const never = new AbortController().signal;

/** What it has come to by now. */
const byNow = async <T>(promise: Promise<T>): Promise<T | 'waiting'> => {
  const turn = new Promise<'waiting'>((resolve) => setImmediate(() => resolve('waiting')));
  return Promise.race([promise, turn]);
};

describe('places', () => {
  test('are so many at once for each key; one that is given back is free', async () => {
    const clock = createFakeClock();
    const places = createPlaces(clock);
    const first = await places.take('a', 2, 0, never);
    expect(await places.take('a', 2, 0, never)).toBeTypeOf('function');
    expect(await places.take('a', 2, 0, never)).toBeUndefined();
    expect(await places.take('b', 2, 0, never)).toBeTypeOf('function');
    first?.();
    first?.();
    expect(await places.take('a', 2, 0, never)).toBeTypeOf('function');
    expect(await places.take('a', 2, 0, never)).toBeUndefined();
  });

  test('are waited for in turn, by as many as may run; nobody who comes in between gets one', async () => {
    const clock = createFakeClock();
    const places = createPlaces(clock);
    const leave = await places.take('a', 1, 1000, never);
    const waits = places.take('a', 1, 1000, never);
    expect(await byNow(places.take('a', 1, 1000, never))).toBeUndefined();
    leave?.();
    const between = places.take('a', 1, 0, never);
    expect(await byNow(waits)).toBeTypeOf('function');
    expect(await byNow(between)).toBeUndefined();
    expect(clock.pending()).toBe(0);
  });

  test('that do not come within the time, or whose client goes, are not given', async () => {
    const clock = createFakeClock();
    const places = createPlaces(clock);
    const leave = await places.take('a', 2, 1000, never);
    await places.take('a', 2, 1000, never);
    const client = new AbortController();
    const [late, gone] = [places.take('a', 2, 1000, never), places.take('a', 2, 1000, client.signal)];
    client.abort();
    expect(await byNow(gone)).toBeUndefined();
    await clock.advance(1000);
    expect(await byNow(late)).toBeUndefined();
    expect(clock.pending()).toBe(0);
    leave?.();
    expect(await places.take('a', 2, 0, never)).toBeTypeOf('function');
  });
});
