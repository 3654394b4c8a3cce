import { constants, PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks';
import { expect, test } from 'vitest';
import { giveBackHeap, growHeapSlowly } from '../../../src/system/heap.ts';

/** As Node has it, and its types do not. */
type Collection = PerformanceEntry & { readonly detail?: { readonly kind?: number } };

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** How often all of the heap is collected while 2,000,000 things grow old and are let go of again. */
async function collections(): Promise<number> {
  giveBackHeap();
  await turn();
  let count = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as Collection[])
      if (entry.detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR) count++;
  });
  observer.observe({ entryTypes: ['gc'] });
  const held: number[][] = [];
  for (let made = 0; made < 2_000_000; made++) {
    held[made % 400_000] = [made, made];
    if (made % 5000 === 0) await turn();
  }
  await turn();
  observer.disconnect();
  return count;
}

test('what has grown old and is held no more is looked for sooner', async () => {
  const before = await collections();
  growHeapSlowly();
  expect(await collections()).toBeGreaterThan(before);
});

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
