import { expect, test } from 'vitest';
import { createShared } from '../../../src/upstream/shared.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';

const applicant = { lane: 'library/alpine', small: true };

/** What one of `sharers` processes may have of an upstream. */
function shareOf(
  sharers: number,
  limits: { readonly concurrency?: number; readonly rate?: number; readonly bandwidth?: number },
) {
  const clock = createFakeClock();
  return createShared({ name: 'hub', url: new URL('https://hub.test'), ...limits }, { clock, sharers });
}

test.each([
  [1, 4, 4],
  [2, 4, 2],
  [3, 4, 1],
  [8, 4, 1],
])('of %i processes that may have %i questions at once together, each has %i', async (sharers, concurrency, own) => {
  const { slots } = shareOf(sharers, { concurrency });
  const waiting = new AbortController();
  for (let taken = 0; taken < own; taken += 1) await slots.take(applicant, waiting.signal);
  let more = false;
  const next = slots.take(applicant, waiting.signal).then(
    () => (more = true),
    () => undefined,
  );
  await Promise.resolve();
  expect([slots.running(), more]).toEqual([own, false]);
  waiting.abort(new Error('enough'));
  await next;
});

test('each has its part of the bytes, and of the questions a second', async () => {
  expect(shareOf(1, { bandwidth: 1000 }).bandwidth?.spend(1000)).toBe(1000);
  expect(shareOf(2, { bandwidth: 1000 }).bandwidth?.spend(1000)).toBe(2000);
  expect(shareOf(2, {}).bandwidth).toBeUndefined();
  const { slots } = shareOf(4, { rate: 8 });
  const signal = new AbortController().signal;
  for (let asked = 0; asked < 2; asked += 1) await slots.take(applicant, signal);
  let more = false;
  void slots.take(applicant, signal).then(() => (more = true));
  await Promise.resolve();
  expect(more).toBe(false);
});
