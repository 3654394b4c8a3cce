import { expect, test } from 'vitest';
import { createLatency } from '../../../src/upstream/latency.ts';

test('nothing is known before the first answer, and nothing is usual before the eighth', () => {
  const latency = createLatency();
  expect([latency.average(), latency.usual()]).toEqual([undefined, undefined]);
  for (let at = 0; at < 7; at += 1) latency.note(10);
  expect([latency.average(), latency.usual()]).toEqual([10, undefined]);
  latency.note(10);
  expect(latency.usual()).toBe(10);
});

test('the newest counts for a tenth, so that one slow answer changes little, and for a half where it is faster', () => {
  const latency = createLatency();
  latency.note(100);
  latency.note(200);
  expect(latency.average()).toBe(110);
  latency.note(20);
  expect(latency.average()).toBe(65);
});

test('usual is what 95 of a hundred of the last answers took', () => {
  const latency = createLatency();
  for (let ms = 1; ms <= 1000; ms += 1) latency.note(ms);
  expect(latency.usual()).toBe(937 + 60);
});
