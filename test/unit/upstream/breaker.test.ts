import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { Breaker, type Attempt } from '../../../src/upstream/breaker.ts';
import type { UpstreamEvent } from '../../../src/upstream/events.ts';
import { CredentialsRefused } from '../../../src/upstream/refusals.ts';
import { UpstreamError, type UpstreamAnswer } from '../../../src/upstream/upstream.ts';
import { withBreaker } from '../../../src/upstream/with-breaker.ts';
import { never, wantManifest } from './servers.ts';

const ABSENT: UpstreamAnswer = { kind: 'absent' };

function failure(reason: UpstreamError['reason'], status?: number): UpstreamError {
  return new UpstreamError('hub', reason, `${reason} trouble`, status === undefined ? {} : { status });
}

/** A breaker whose requests end as they are told to, and whose probes find what `there` says. */
function breakerWith(options: { readonly checkMs?: number; readonly fraction?: number } = {}) {
  const clock = createFakeClock();
  const events: UpstreamEvent[] = [];
  const probed: { there: UpstreamError | undefined; at: number[]; held: Promise<void> | undefined } = {
    there: undefined,
    at: [],
    held: undefined,
  };
  const { fraction } = options;
  const breaker = new Breaker({
    upstream: 'hub',
    clock,
    random: fraction === undefined ? createSeededRandom(1) : { ...createSeededRandom(1), fraction: () => fraction },
    report: (event) => events.push(event),
    async probe() {
      probed.at.push(clock.monotonic());
      await probed.held;
      if (probed.there !== undefined) throw probed.there;
    },
    checkMs: options.checkMs,
  });
  let outcome: UpstreamAnswer | Error = ABSENT;
  let asked = 0;
  const ask = withBreaker(async () => {
    asked++;
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }, breaker);
  const attempt = async (next: UpstreamAnswer | Error): Promise<unknown> => {
    outcome = next;
    return await ask(wantManifest(), never).catch((error: unknown) => error);
  };
  const breakIt = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn++) await attempt(failure('connect'));
  };
  const kinds = (): string[] => events.map(({ kind }) => kind);
  return { clock, breaker, probed, attempt, breakIt, kinds, events, asked: () => asked };
}

const PASSED_OVER: unknown = expect.objectContaining({ message: expect.stringContaining('passed over') as unknown });

function entered(breaker: Breaker): Attempt | undefined {
  try {
    return breaker.enter();
  } catch {
    return undefined; // Passed over.
  }
}

describe('the breaker', () => {
  test('opens after five failures in a row', async () => {
    const { breaker, attempt, asked, kinds } = breakerWith();
    for (let turn = 0; turn < 4; turn++) await attempt(failure('connect'));
    await attempt(ABSENT);
    for (let turn = 0; turn < 4; turn++) await attempt(failure('status', 503));
    expect(breaker.isClosed()).toBe(true);
    await attempt(failure('connect'));
    expect([breaker.isClosed(), breaker.isOffered()]).toEqual([false, false]);
    expect(await attempt(ABSENT)).toEqual(PASSED_OVER);
    expect(asked()).toBe(10);
    expect(kinds()).toEqual(['upstream-down']);
  });

  test('no request is the probe: while it is not there requests cost nothing, however long', async () => {
    const { clock, probed, attempt, breakIt, asked, kinds } = breakerWith();
    probed.there = failure('headers');
    await breakIt();
    for (let minute = 0; minute < 5; minute++) {
      await clock.advance(60_000);
      expect(await attempt(ABSENT)).toEqual(PASSED_OVER);
    }
    expect(asked()).toBe(5);
    expect(kinds()).toEqual(['upstream-down']);
    expect(probed.at.length).toBeGreaterThan(5);
  });

  test('while the probe waits for its answer requests are passed over', async () => {
    const { clock, probed, attempt, breakIt, asked } = breakerWith();
    let answer = (): void => undefined;
    probed.held = new Promise((resolve) => (answer = resolve));
    await breakIt();
    await clock.advance(9000);
    expect(probed.at.length).toBe(1);
    expect(await attempt(ABSENT)).toEqual(PASSED_OVER);
    expect(asked()).toBe(5);
    answer();
    await clock.advance(0);
    expect(await attempt(ABSENT)).toBe(ABSENT);
  });

  test('it is probed at the end of each open time, which doubles up to a minute', async () => {
    const { clock, probed, breakIt, breaker } = breakerWith({ fraction: 0.5 });
    probed.there = failure('connect');
    await breakIt();
    for (let turn = 0; turn < 8; turn++) {
      await clock.advance(30_000);
      breaker.isOffered();
    }
    expect(probed.at).toEqual([5000, 15_000, 35_000, 75_000, 135_000, 195_000]);
  });

  test('half-open it lets one request at a time through; its success closes it', async () => {
    const { clock, breaker, breakIt, kinds, attempt } = breakerWith();
    await breakIt();
    await clock.advance(6001);
    expect([breaker.isClosed(), breaker.isOffered()]).toEqual([false, true]);
    const trial = breaker.enter();
    expect(entered(breaker)).toBeUndefined();
    trial.succeeded();
    expect(breaker.isClosed()).toBe(true);
    expect(await attempt(ABSENT)).toBe(ABSENT);
    expect(kinds()).toEqual(['upstream-down', 'upstream-up']);
  });

  test('a trial that fails opens it again, for twice as long', async () => {
    const { clock, breaker, breakIt, attempt, kinds } = breakerWith({ fraction: 0.5 });
    await breakIt();
    await clock.advance(5000);
    await attempt(failure('status', 500));
    await clock.advance(9999);
    expect(breaker.isOffered()).toBe(false);
    await clock.advance(1);
    expect(breaker.isOffered()).toBe(true);
    expect(kinds()).toEqual(['upstream-down']);
  });

  test('a trial whose caller leaves, or waits in vain for a slot, leaves it to the next', async () => {
    const { clock, breakIt, attempt, breaker } = breakerWith();
    await breakIt();
    await clock.advance(6001);
    await attempt(new Error('left'));
    await attempt(failure('ratelimit'));
    expect(breaker.isClosed()).toBe(false);
    expect(await attempt(ABSENT)).toBe(ABSENT);
    expect(breaker.isClosed()).toBe(true);
  });

  test('where no request comes a second probe closes it, and then the first failure opens it again', async () => {
    const { clock, breaker, breakIt, attempt, kinds } = breakerWith({ fraction: 0.5 });
    await breakIt();
    await clock.advance(5000);
    expect(breaker.isClosed()).toBe(false);
    await clock.advance(5000);
    expect(breaker.isClosed()).toBe(true);
    await attempt(failure('connect'));
    expect(breaker.isClosed()).toBe(false);
    await clock.advance(9999);
    expect(breaker.isOffered()).toBe(false);
    expect(kinds()).toEqual(['upstream-down', 'upstream-up', 'upstream-down']);
  });

  test('a second probe that fails opens it again', async () => {
    const { clock, breaker, breakIt, probed } = breakerWith({ fraction: 0.5 });
    await breakIt();
    await clock.advance(5000);
    probed.there = failure('connect');
    await clock.advance(5000);
    expect(breaker.isOffered()).toBe(false);
  });

  test('one that answers with errors only has a trial a minute', async () => {
    const { clock, breaker, breakIt, probed, attempt } = breakerWith({ fraction: 0.5 });
    probed.there = failure('status', 503);
    await breakIt();
    await clock.advance(75_000);
    expect(breaker.isOffered()).toBe(false);
    await clock.advance(60_000);
    expect(breaker.isOffered()).toBe(true);
    expect(await attempt(ABSENT)).toBe(ABSENT);
    expect(breaker.isClosed()).toBe(true);
  });

  test.each([
    ['while it is checked', 10_000, 24 * 60],
    ['while somebody may have a use for it', undefined, 5],
  ])('one that answered with errors for long is found again without a request, %s', async (_when, checkMs, minutes) => {
    const { clock, breaker, breakIt, probed } = breakerWith({ fraction: 0.5, ...(checkMs === undefined ? {} : { checkMs }) });
    probed.there = failure('status', 503);
    await breakIt();
    await clock.advance(minutes * 60_000);
    expect(breaker.isClosed()).toBe(false);
    probed.there = undefined;
    await clock.advance(3 * 60_000);
    expect(breaker.isClosed()).toBe(true);
  });

  test('one that nobody has a use for is not probed for ever: the next request is its trial', async () => {
    const { clock, breakIt, probed, attempt, breaker } = breakerWith();
    probed.there = failure('connect');
    await breakIt();
    await clock.advance(15 * 60_000);
    const count = probed.at.length;
    await clock.advance(24 * 3600_000);
    expect(probed.at.length).toBe(count);
    expect(clock.pending()).toBe(0);
    expect(await attempt(ABSENT)).toBe(ABSENT);
    expect(breaker.isClosed()).toBe(true);
  });

  test('wrong bytes, refused passwords, loops and odd statuses show that it is there', async () => {
    const { breaker, attempt } = breakerWith();
    for (let turn = 0; turn < 20; turn++) {
      await attempt(failure('verify'));
      await attempt(failure('auth', 401));
      await attempt(failure('status', 418));
      await attempt(failure('status', 508));
    }
    expect(breaker.isClosed()).toBe(true);
  });

  test('a secret that is known to be refused says nothing of the upstream, which nobody asked', async () => {
    const { clock, breaker, attempt } = breakerWith();
    const refused = new CredentialsRefused('hub', 'auth', 'hub refused our credentials (401)', { status: 401 });
    for (let turn = 0; turn < 5; turn++) {
      await attempt(refused);
      await attempt(failure('connect'));
    }
    expect(breaker.isClosed()).toBe(false);
    await clock.advance(6001);
    await attempt(refused);
    expect(breaker.isClosed()).toBe(false);
  });

  test('one that is not used any more is neither probed nor passed over for ever', async () => {
    const { clock, breakIt, probed, breaker, attempt } = breakerWith();
    await breakIt();
    breaker.stop();
    expect(clock.pending()).toBe(0);
    await clock.advance(6001);
    expect(probed.at).toEqual([]);
    expect(await attempt(ABSENT)).toBe(ABSENT);
    expect(breaker.isClosed()).toBe(true);
    await breakIt();
    expect([breaker.isClosed(), clock.pending()]).toEqual([false, 0]);
  });

  test('a probe that ends after it is not used any more sets no timer', async () => {
    const { clock, breakIt, probed, breaker } = breakerWith();
    let answer = (): void => undefined;
    probed.held = new Promise((resolve) => (answer = resolve));
    await breakIt();
    await clock.advance(6001);
    breaker.stop();
    answer();
    await clock.advance(0);
    expect(clock.pending()).toBe(0);
  });

  test('[R12] who asked before it opened cannot close it, nor what a probe says after the trial', async () => {
    const { clock, breaker, breakIt, probed } = breakerWith({ fraction: 0.5 });
    const late = breaker.enter();
    await breakIt();
    late.succeeded();
    expect(breaker.isClosed()).toBe(false);
    await clock.advance(5000);
    let answer = (): void => undefined;
    probed.held = new Promise((resolve) => (answer = resolve));
    await clock.advance(5000);
    breaker.enter().failed(failure('connect'));
    answer();
    await clock.advance(0);
    expect(breaker.isOffered()).toBe(false);
  });

  test('[R12] one trial at a time, and late reports change nothing, in any order', async () => {
    const report = fc.constantFrom('succeeded' as const, 'failed' as const, 'failed' as const, 'abandoned' as const);
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ do: fc.constant('enter' as const) }) },
      { weight: 4, arbitrary: fc.record({ do: report, which: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 5000 }) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 60, size: 'max' }), async (steps) => {
        const { clock, breaker } = breakerWith({ fraction: 0.5 });
        const attempts: { attempt: Attempt; isTrial: boolean; ended: boolean }[] = [];
        const wrong: string[] = [];
        let openings = 0;
        for (const each of steps) {
          const wasClosed = breaker.isClosed();
          if (each.do === 'wait') await clock.advance(each.ms);
          else if (each.do === 'enter') {
            const wasOffered = breaker.isOffered();
            const attempt = entered(breaker);
            if (attempt !== undefined) attempts.push({ attempt, isTrial: !wasClosed, ended: false });
            if (attempt === undefined && wasClosed) wrong.push('refused while closed');
            if (attempt !== undefined && !wasOffered) wrong.push('admitted while open');
          } else {
            const running = attempts.filter(({ ended }) => !ended);
            const chosen = running[each.which % Math.max(running.length, 1)];
            if (chosen === undefined) continue;
            chosen.ended = true;
            const wasOffered = breaker.isOffered();
            if (each.do === 'failed') chosen.attempt.failed(failure('connect'));
            else chosen.attempt[each.do]();
            if (!wasClosed && breaker.isClosed() && !(chosen.isTrial && each.do === 'succeeded'))
              wrong.push('closed by a late report');
            if (wasOffered && !breaker.isOffered()) openings++;
          }
          // A trial whose report never came may be outlived by the next generation's, one an opening or closing.
          if (attempts.filter(({ isTrial, ended }) => isTrial && !ended).length > 1 + openings)
            wrong.push('two trials at once');
        }
        breaker.stop();
        expect(wrong).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});

describe('the active check', () => {
  test('finds it down without a request, sooner than five intervals, and up again', async () => {
    const { clock, breaker, probed, kinds } = breakerWith({ checkMs: 30_000, fraction: 0.5 });
    await clock.advance(60_000);
    expect(probed.at).toEqual([30_000, 60_000]);
    probed.there = failure('connect');
    await clock.advance(30_000 + 4 * 5000);
    expect(breaker.isClosed()).toBe(false);
    probed.there = undefined;
    await clock.advance(10_000);
    expect(breaker.isClosed()).toBe(true);
    expect(kinds()).toEqual(['upstream-down', 'upstream-up']);
    breaker.stop();
    expect(clock.pending()).toBe(0);
  });

  test('goes on though nobody has a use for it', async () => {
    const { clock, breaker, probed } = breakerWith({ checkMs: 30_000 });
    probed.there = failure('connect');
    await clock.advance(3600_000);
    expect(breaker.isClosed()).toBe(false);
    probed.there = undefined;
    await clock.advance(300_000);
    expect(breaker.isClosed()).toBe(true);
  });

  test('that it answers does not make good what requests fail at', async () => {
    const { clock, breaker, attempt } = breakerWith({ checkMs: 30_000 });
    for (let turn = 0; turn < 5; turn++) {
      await clock.advance(40_000);
      await attempt(failure('headers'));
    }
    expect(breaker.isClosed()).toBe(false);
  });
});
