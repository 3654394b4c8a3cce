import { describe, expect, test } from 'vitest';
import { createBalance, type BalanceOptions, type Wanted } from '../../../src/pull/balance.ts';
import { createLatency, type Latency } from '../../../src/upstream/latency.ts';
import { ABSENT, createScriptedPort, type ScriptedPort } from '../../fakes/scripted-port.ts';

const names = ['a', 'b', 'c'] as const;

function world(options: Partial<BalanceOptions> & Pick<BalanceOptions, 'kind'>) {
  const chain = names.map((name) => createScriptedPort(name, () => ABSENT));
  const again = createScriptedPort('again', () => ABSENT);
  const balance = createBalance(chain, [again], { replicas: false, ...options });
  const order = (wanted: Wanted = 'content'): string =>
    balance('docker.io', wanted)
      .map(({ name }) => name)
      .join(' ');
  return { chain, order };
}

function firsts(order: () => string, count: number): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let at = 0; at < count; at += 1) {
    const first = order()[0] ?? '';
    counts[first] = (counts[first] ?? 0) + 1;
  }
  return counts;
}

test('failover asks as it is written, whoever is down', () => {
  const { chain, order } = world({ kind: 'failover' });
  chain[0]!.stand({ up: false });
  expect([order('tag'), order()]).toEqual(['a b c again', 'a b c again']);
});

test('round-robin begins with each in turn, and tags keep the order of the chain', () => {
  const { order } = world({ kind: 'round-robin' });
  expect([order(), order('tag'), order(), order(), order()]).toEqual([
    'a b c again',
    'a b c again',
    'b c a again',
    'c a b again',
    'a b c again',
  ]);
});

test.each(['round-robin', 'weighted', 'least-latency', 'budget'] as const)(
  '%s spreads tags where the upstreams are replicas, and asks those that are down last',
  (kind) => {
    const { chain, order } = world({ kind, replicas: true });
    chain[0]!.stand({ up: false, latencyMs: 1, budget: 1000 });
    for (let at = 0; at < 40; at += 1) expect(order('tag').endsWith('a again')).toBe(true);
  },
);

test('weighted begins with each as often as its weight says, and never with one for long', () => {
  const { order } = world({ kind: 'weighted', weights: new Map([['a', 5]]) });
  expect(Array.from({ length: 7 }, () => order()[0]).join('')).toBe('aabacaa');
  expect(firsts(order, 70)).toEqual({ a: 50, b: 10, c: 10 });
});

test('budget spends where most is left, and where nothing is counted before all', () => {
  const { chain, order } = world({ kind: 'budget' });
  expect(order()).toBe('a b c again');
  chain[0]!.stand({ budget: 10 });
  chain[1]!.stand({ budget: 100 });
  expect(order()).toBe('c b a again');
  chain[2]!.stand({ budget: 0 });
  expect(order()).toBe('b a c again');
});

describe('least-latency', () => {
  test('measures everybody first, then asks the fastest, and others now and then', () => {
    const { chain, order } = world({ kind: 'least-latency' });
    const ask = asking(chain, order, { a: 50, b: 5, c: 200 });
    expect([ask(), ask(), ask()]).toEqual(['a', 'b', 'c']);
    const counts = tally(ask, 197);
    expect(counts['b']).toBeGreaterThanOrEqual(180);
    expect(Math.min(counts['a']!, counts['c']!)).toBeGreaterThanOrEqual(5);
  });

  test('leaves one that turned slow at once, and comes back when it has recovered', () => {
    const { chain, order } = world({ kind: 'least-latency' });
    const times = { a: 5, b: 50, c: 200 };
    const ask = asking(chain, order, times);
    tally(ask, 200);
    times.a = 300;
    expect(tally(ask, 100)['b']).toBeGreaterThanOrEqual(80);
    times.a = 5;
    tally(ask, 200);
    expect(tally(ask, 100)['a']).toBeGreaterThanOrEqual(90);
  });

  test('one that only fails, and is never measured, is not first for ever', () => {
    const { chain, order } = world({ kind: 'least-latency' });
    const ask = asking(chain, order, { a: 50, b: 5, c: 200 });
    const askAndFail = (): string => {
      const first = ask();
      if (first === 'a') chain[0]!.stand({ latencyMs: undefined });
      return first;
    };
    const counts = tally(askAndFail, 160);
    expect(counts['a']).toBeLessThanOrEqual(11);
    expect(counts['b']).toBeGreaterThanOrEqual(130);
  });

  test('one slow answer among many moves nobody for long', () => {
    const { chain, order } = world({ kind: 'least-latency' });
    const times = { a: 5, b: 50, c: 200 };
    const ask = asking(chain, order, times);
    tally(ask, 50);
    times.a = 100;
    ask();
    times.a = 5;
    expect(tally(ask, 100)['a']).toBeGreaterThanOrEqual(90);
  });
});

/** Asks whoever is first, who takes so long as `times` says. */
function asking(chain: readonly ScriptedPort[], order: () => string, times: Readonly<Record<string, number>>): () => string {
  const latencies = new Map<string, Latency>(chain.map(({ name }) => [name, createLatency()]));
  return () => {
    const first = order()[0] ?? '';
    const latency = latencies.get(first)!;
    latency.note(times[first]!);
    chain.find(({ name }) => name === first)!.stand({ latencyMs: latency.average() });
    return first;
  };
}

function tally(ask: () => string, count: number): Record<string, number> {
  return firsts(ask, count);
}
