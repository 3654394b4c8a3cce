import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createBudgets, type Asked, type Budget } from '../../../src/upstream/budget.ts';
import { readRateLimit, type RateLimit } from '../../../src/upstream/rate-limit.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';

const WINDOW_SECONDS = 21_600;

function said(remaining: number, source: string | undefined = '192.0.2.7', limit = 100): RateLimit {
  return { limit, remaining, windowSeconds: WINDOW_SECONDS, source };
}

function budgets() {
  const clock = createFakeClock();
  const all = createBudgets(clock);
  return { clock, all, budget: all.of('registry.test', 'hub') };
}

/** A question whose answer comes before the next is asked. */
function ask(budget: Budget, kind: 'pull' | 'head', limit: RateLimit) {
  return budget.asked(kind === 'pull').answered(limit, kind === 'pull');
}

describe('what is read', () => {
  const read = (headers: Record<string, string>) => readRateLimit((name) => headers[name]);

  test.each([
    ['100;w=21600', '76;w=21600', { limit: 100, remaining: 76, windowSeconds: 21_600 }],
    ['100;w=60', '76', { limit: 100, remaining: 76, windowSeconds: 60 }],
    ['100', '76', { limit: 100, remaining: 76, windowSeconds: 21_600 }],
    ['100, 100;w=10', '76;w=0', { limit: 100, remaining: 76, windowSeconds: 10 }],
    ['100;w=999999999999', '76', { limit: 100, remaining: 76, windowSeconds: 2_678_400 }],
  ])('%s and %s', (limit, remaining, expected) => {
    expect(read({ 'ratelimit-limit': limit, 'ratelimit-remaining': remaining })).toMatchObject(expected);
  });

  test.each([
    ['', '76'],
    ['100', ''],
    ['many', '76'],
    ['100', '-1'],
    ['100', '1e9'],
    ['100', '7'.repeat(20)],
  ])('nothing of "%s" and "%s"', (limit, remaining) => {
    expect(read({ 'ratelimit-limit': limit, 'ratelimit-remaining': remaining })).toBeUndefined();
  });
});

describe('what is known', () => {
  test('is forgotten when its window has passed, and only then', async () => {
    const { clock, budget } = budgets();
    expect(budget.known()).toBeUndefined();
    ask(budget, 'head', said(3));
    await clock.advance(WINDOW_SECONDS * 1000 - 1);
    expect(budget.known()).toEqual({ limit: 100, remaining: 3 });
    await clock.advance(1);
    expect([budget.known(), budget.left()]).toEqual([undefined, undefined]);
    ask(budget, 'head', said(1));
    expect(budget.left()).toBe(1);
  });

  test('pulls under way are taken off what is left, until they are answered or fail', () => {
    const { budget } = budgets();
    ask(budget, 'head', said(3));
    const [first, second, head] = [budget.asked(true), budget.asked(true), budget.asked(false)];
    expect(budget.left()).toBe(1);
    first.answered(said(2), true);
    expect(budget.left()).toBe(1);
    second.failed(false);
    head.failed(true);
    expect(budget.left()).toBe(2);
    Array.from({ length: 5 }, () => budget.asked(true));
    expect(budget.left()).toBe(0);
  });

  test('what one learns of an account, all who draw on it know', () => {
    const { all, budget } = budgets();
    const other = all.of('registry.test', 'other');
    const elsewhere = all.of('elsewhere.test', 'hub');
    for (const each of [budget, other, elsewhere]) ask(each, 'head', said(50));
    ask(budget, 'pull', said(49));
    expect([budget, other, elsewhere].map((each) => each.left())).toEqual([49, 49, 50]);
    ask(other, 'head', said(8, 'account-of-other', 10));
    expect([budget.known(), other.known()]).toEqual([
      { limit: 100, remaining: 49 },
      { limit: 10, remaining: 8 },
    ]);
  });

  test('an answer that was overtaken does not raise it; one asked later does', () => {
    const { budget } = budgets();
    const late = budget.asked(false);
    ask(budget, 'head', said(90));
    expect(late.answered(said(97), false)).toEqual({ us: 0, others: 0 });
    expect(budget.left()).toBe(90);
    ask(budget, 'head', said(100));
    expect(budget.left()).toBe(100);
  });

  test('a registry that makes up sources fills no memory', () => {
    const { budget } = budgets();
    for (let source = 0; source < 1000; source++) ask(budget, 'head', said(source, `source ${source}`));
    expect(budget.left()).toBe(999);
  });
});

describe('who has spent it', () => {
  test('what is missing beyond our own pulls, others have spent', () => {
    const { budget } = budgets();
    expect(ask(budget, 'pull', said(90))).toEqual({ us: 1, others: 0 });
    expect(ask(budget, 'pull', said(89))).toEqual({ us: 1, others: 0 });
    expect(ask(budget, 'pull', said(85))).toEqual({ us: 1, others: 3 });
    expect(ask(budget, 'head', said(85))).toEqual({ us: 0, others: 0 });
    expect(ask(budget, 'head', said(80))).toEqual({ us: 0, others: 5 });
  });

  test('another upstream of ours on the same address is no other', () => {
    const { all, budget } = budgets();
    const twin = all.of('registry.test', 'twin');
    ask(budget, 'head', said(50));
    ask(twin, 'pull', said(49));
    ask(twin, 'pull', said(48));
    expect(ask(budget, 'head', said(48))).toEqual({ us: 0, others: 0 });
  });

  test('without a source the upstreams are told apart', () => {
    const { all, budget } = budgets();
    const twin = all.of('registry.test', 'twin');
    ask(budget, 'head', { ...said(50), source: undefined });
    ask(twin, 'head', { ...said(40), source: undefined });
    expect(ask(budget, 'head', { ...said(50), source: undefined }).others).toBe(0);
    expect(budget.left()).toBe(50);
  });

  test('pulls that overtake each other are ours, in whatever order they are answered', () => {
    const { budget } = budgets();
    ask(budget, 'head', said(100));
    const pulls = [99, 98, 97, 96].map((remaining) => ({ remaining, asked: budget.asked(true) }));
    const spent = pulls.toReversed().map(({ remaining, asked }) => asked.answered(said(remaining), true));
    expect(spent).toEqual([1, 1, 1, 1].map((us) => ({ us, others: 0 })));
    expect(ask(budget, 'head', said(95)).others).toBe(1);
  });

  test('a window that is reset is nobody’s gift, and a late answer of the old one nobody’s pull', () => {
    const { budget } = budgets();
    ask(budget, 'head', said(4));
    const late = budget.asked(false);
    expect(ask(budget, 'head', said(100)).others).toBe(0);
    expect(late.answered(said(4), false).others).toBe(0);
    expect(budget.left()).toBe(100);
    expect(ask(budget, 'head', said(98)).others).toBe(2);
  });

  test('a pull that overtook the first answer of a window is ours all the same', () => {
    const { budget } = budgets();
    const pull = budget.asked(true);
    ask(budget, 'head', said(40));
    const first = budget.asked(false);
    expect(pull.answered(said(99), true)).toEqual({ us: 1, others: 0 });
    expect(first.answered(said(100), false).others).toBe(0);
    expect(ask(budget, 'head', said(99)).others).toBe(0);
    expect(ask(budget, 'head', said(98)).others).toBe(1);
  });

  test('what may have been counted without an answer is not laid at others’ door', () => {
    const { budget } = budgets();
    ask(budget, 'head', said(50));
    budget.asked(true).failed(true);
    expect(ask(budget, 'head', said(49)).others).toBe(0);
    budget.asked(true).failed(false);
    expect(ask(budget, 'head', said(48)).others).toBe(1);
  });

  test('a pull that brought nothing is not counted', () => {
    const { budget } = budgets();
    ask(budget, 'head', said(50));
    expect(budget.asked(true).answered(said(50), false)).toEqual({ us: 0, others: 0 });
    expect(ask(budget, 'head', said(49)).others).toBe(1);
  });
});

type Step =
  | { readonly do: 'ask'; readonly by: 0 | 1 | 2; readonly pull: boolean; readonly there: boolean }
  | { readonly do: 'handle' | 'answer' | 'lose'; readonly which: number }
  | { readonly do: 'others'; readonly account: 0 | 1; readonly pulls: number }
  | { readonly do: 'reset'; readonly account: 0 | 1 };

const by = fc.constantFrom(0 as const, 1 as const, 2 as const);
const account = fc.constantFrom(0 as const, 1 as const);
const steps = (resets: boolean): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.record({ do: fc.constant('ask' as const), by, pull: fc.boolean(), there: fc.boolean() }) },
      { weight: 8, arbitrary: fc.record({ do: fc.constant('handle' as const), which: fc.nat(50) }) },
      { weight: 8, arbitrary: fc.record({ do: fc.constant('answer' as const), which: fc.nat(50) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), which: fc.nat(50) }) },
      {
        weight: 3,
        arbitrary: fc.record({ do: fc.constant('others' as const), account, pulls: fc.integer({ min: 1, max: 9 }) }),
      },
      { weight: resets ? 1 : 0, arbitrary: fc.record({ do: fc.constant('reset' as const), account }) },
    ),
    { minLength: 20, maxLength: 80, size: 'max' },
  );

const LIMIT = 1000;

/** A registry that counts as Docker Hub does, asked by three upstreams, two of which share an address. */
function model() {
  const { all } = budgets();
  const views = ['a', 'b', 'c'].map((payer) => all.of('registry.test', payer));
  const accounts = [0, 1].map(() => ({ spent: 0, others: 0, ours: 0 }));
  const running: {
    by: number;
    pull: boolean;
    there: boolean;
    asked: Asked;
    remaining: number | undefined;
  }[] = [];
  const found = { us: [0, 0], others: [0, 0] };
  const of = (view: number) => (view === 2 ? 1 : 0);

  const pick = (which: number, handled: boolean) => {
    const fitting = running.filter(({ remaining }) => (remaining !== undefined) === handled);
    return fitting[which % Math.max(1, fitting.length)];
  };
  const handle = (one: (typeof running)[number]): void => {
    const there = accounts[of(one.by)]!;
    if (one.pull && one.there) there.spent++;
    one.remaining = Math.max(0, LIMIT - there.spent);
  };
  const end = (one: (typeof running)[number]): void => void running.splice(running.indexOf(one), 1);
  const answer = (one: (typeof running)[number]): void => {
    end(one);
    const spent = one.pull && one.there;
    const to = of(one.by);
    if (spent) accounts[to]!.ours++;
    const { us, others } = one.asked.answered(said(one.remaining!, `source ${to}`, LIMIT), spent);
    expect(Math.min(us, others)).toBeGreaterThanOrEqual(0);
    found.us[to]! += us;
    found.others[to]! += others;
  };
  const start = (step: Extract<Step, { do: 'ask' }>) => {
    const asked = views[step.by]!.asked(step.pull);
    const one = { ...step, asked, remaining: undefined as number | undefined };
    running.push(one);
    return one;
  };
  const play = (step: Step): void => {
    if (step.do === 'ask') start(step);
    else if (step.do === 'others') {
      accounts[step.account]!.spent += step.pulls;
      accounts[step.account]!.others += step.pulls;
    } else if (step.do === 'reset') accounts[step.account]!.spent = 0;
    else {
      const one = pick(step.which, step.do === 'answer');
      if (one === undefined) return;
      if (step.do === 'handle') handle(one);
      else if (step.do === 'answer') answer(one);
      else {
        end(one);
        one.asked.failed(true);
      }
    }
  };
  const quietly = (view: 0 | 2): void => {
    const one = start({ do: 'ask', by: view, pull: false, there: true });
    handle(one);
    answer(one);
  };
  const settle = (): void => {
    for (const one of running.slice()) {
      if (one.remaining === undefined) handle(one);
      answer(one);
    }
    for (const view of [0, 2] as const) quietly(view);
  };
  return { views, accounts, found, play, settle, quietly };
}

describe('[R11] answers in any order', () => {
  test('others are never charged with what is ours or what nobody spent, across resets and losses', () => {
    fc.assert(
      fc.property(steps(true), (played) => {
        const { accounts, found, play, settle } = model();
        for (const step of played) {
          play(step);
          for (const at of [0, 1]) expect(found.others[at]).toBeLessThanOrEqual(accounts[at]!.others);
        }
        settle();
        for (const at of [0, 1]) {
          expect(found.others[at]).toBeLessThanOrEqual(accounts[at]!.others);
          expect(found.us[at]).toBe(accounts[at]!.ours);
        }
      }),
      { numRuns: 1500 },
    );
  });

  test('in one window, once all is answered, exactly what others spent is found, and what remains', () => {
    fc.assert(
      fc.property(steps(false), (played) => {
        const { views, accounts, found, play, settle, quietly } = model();
        for (const view of [0, 2] as const) quietly(view);
        for (const step of played) if (step.do !== 'lose') play(step);
        settle();
        expect(found.others).toEqual(accounts.map(({ others }) => others));
        expect([views[0]!.known()?.remaining, views[2]!.known()?.remaining]).toEqual(
          accounts.map(({ spent }) => LIMIT - spent),
        );
      }),
      { numRuns: 1500 },
    );
  });
});
