import { expect, test } from 'vitest';
import { CacheHistory } from '../../../src/compose/cache-control.ts';
import type { RequestEvent, RequestTrace } from '../../../src/observe/events.ts';
import { requestEvent } from '../observe/recorder.ts';

const digest = (of: string): string => `sha256:${of.repeat(64)}`;

function pulled(history: CacheHistory, trace: Partial<RequestTrace>, changes: Partial<RequestEvent> = {}): void {
  history.note(requestEvent(changes, { size: 1_000, ...trace }));
}

test('pulls that the cache could have answered are uses; questions and refusals are none', () => {
  const history = new CacheHistory();
  expect(history.reuse(1_000)).toBeUndefined();
  for (const outcome of ['negative', 'denied', 'error'] as const) pulled(history, { digest: digest('a'), outcome });
  pulled(history, { digest: digest('a'), outcome: undefined });
  pulled(history, { digest: digest('a') }, { method: 'HEAD' });
  pulled(history, { digest: undefined });
  pulled(history, { digest: digest('a'), size: undefined });
  expect(history.reuse(1_000)).toBeUndefined();
  for (const outcome of ['miss', 'hit', 'stale', 'revalidated', 'collapsed', 'bypass'] as const)
    pulled(history, { digest: digest('a'), outcome });
  expect(history.reuse(10_000)?.uses).toBe(6);
});

test('half, once, twice and four times the size are told', () => {
  const history = new CacheHistory();
  for (let round = 0; round < 100; round += 1) for (const of of ['a', 'b', 'c']) pulled(history, { digest: digest(of) });
  const points = history.reuse(2_000)?.points ?? [];
  expect(points.map(({ bytes }) => bytes)).toEqual([1_000, 2_000, 4_000, 8_000]);
  expect(points.map(({ hitRatio }) => Math.round(hitRatio * 100))).toEqual([0, 0, 99, 99]);
});

test('what made room is summed up, with the age of what went last; what was asked for or came of age is not', () => {
  const history = new CacheHistory();
  const gone = { kind: 'evicted', at: 0, blobs: 2, bytes: 20, ms: 1 } as const;
  history.note({ ...gone, why: 'asked', idleMs: 1 });
  history.note({ ...gone, why: 'maxage', idleMs: 1 });
  expect(history.evicted()).toBeUndefined();
  history.note({ ...gone, why: 'limit', idleMs: 5 });
  history.note({ ...gone, why: 'limit', idleMs: 7 });
  expect(history.evicted()).toEqual({ blobs: 4, bytes: 40, ageMs: 7 });
});
