import { Counter, Histogram, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { createTally, TalliedHistogram } from '../../../src/observe/tallies.ts';

const OPTIONS = { name: 'times', help: 'How long.', labelNames: ['kind', 'of'], buckets: [0.1, 1, 5] };
const SEEN: readonly (readonly [{ kind: string; of: string }, number])[] = [
  [{ kind: 'a', of: 'x' }, 0.1],
  [{ of: 'x', kind: 'a' }, 0.100_01],
  [{ kind: 'b', of: 'x' }, 5],
  [{ kind: 'a', of: 'y' }, 7],
  [{ kind: 'a', of: 'x' }, 0],
];

describe('what is counted by ourselves', () => {
  test('a histogram reads as prom-client’s, as text and as data', async () => {
    const [theirs, ours] = [new Registry(), new Registry()];
    const one = new Histogram({ ...OPTIONS, registers: [theirs] });
    const other = new TalliedHistogram({ ...OPTIONS, registers: [ours] });
    for (const [labels, value] of SEEN) {
      one.observe(labels, value);
      other.record(labels, value);
    }
    expect(await ours.metrics()).toBe(await theirs.metrics());
    expect(await dataOf(ours)).toEqual(await dataOf(theirs));
  });

  test('one without labels is there before anything was seen', async () => {
    const [theirs, ours] = [new Registry(), new Registry()];
    const plain = { name: 'times', help: 'How long.', labelNames: [], buckets: [1] };
    const [, other] = [new Histogram({ ...plain, registers: [theirs] }), new TalliedHistogram({ ...plain, registers: [ours] })];
    expect(await ours.metrics()).toBe(await theirs.metrics());
    other.record({}, 2);
    expect(await ours.metrics()).toContain('times_count 1');
  });

  test('sums are told once, to each its own', async () => {
    const registry = new Registry();
    const counter = new Counter({ name: 'sums', help: 'Sums.', labelNames: ['kind', 'of'], registers: [registry] });
    const tally = createTally(counter, ['kind', 'of']);
    tally.add({ kind: 'a', of: 'x' }, 1);
    tally.add({ of: 'x', kind: 'a' }, 2);
    tally.add({ kind: 'ax', of: '' }, 4);
    tally.flush();
    tally.flush();
    expect((await counter.get()).values).toEqual([
      { labels: { kind: 'a', of: 'x' }, value: 3 },
      { labels: { kind: 'ax', of: '' }, value: 4 },
    ]);
    tally.add({ kind: 'a', of: 'x' }, 0);
    tally.flush();
    expect(await registry.metrics()).toContain('sums{kind="a",of="x"} 3');
  });
});

/** Without exemplars, of which there are none. */
async function dataOf(registry: Registry): Promise<unknown> {
  return JSON.parse(
    JSON.stringify(await registry.getMetricsAsJSON(), (key, value: unknown) => (key === 'exemplar' ? undefined : value)),
  );
}
