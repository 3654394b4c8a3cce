import { expect, test } from 'vitest';
import { giveBackHeap } from '../../../src/system/heap.ts';

test('what nobody holds any more is collected at once, and Node is as it was before', async () => {
  const held = { it: Array.from({ length: 1000 }, () => 0) as number[] | undefined };
  const seen = new WeakRef(held.it!);
  held.it = undefined;
  // What is looked at in a turn lives as long as that.
  await new Promise((resolve) => setImmediate(resolve));
  giveBackHeap();
  await new Promise((resolve) => setImmediate(resolve));
  expect([seen.deref(), 'gc' in globalThis]).toEqual([undefined, false]);
});
