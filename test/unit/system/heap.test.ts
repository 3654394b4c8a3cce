import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { giveBackHeap } from '../../../src/system/heap.ts';
import { buildSources, type BuiltSources } from '../../fakes/built-sources.ts';

let built: BuiltSources;
beforeAll(() => {
  built = buildSources('system/heap.ts');
});
afterAll(() => built.clean());

/** How often all of a heap is collected, in a process of its own: how many others have filled this one's nobody knows. */
function collections(how: 'slowly' | 'as V8 has it'): number {
  const args = [join(import.meta.dirname, 'heap-child.mjs'), built.path('system/heap.ts'), how];
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

test('what has grown old and is held no more is looked for sooner', () => {
  expect(collections('slowly')).toBeGreaterThan(collections('as V8 has it'));
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
