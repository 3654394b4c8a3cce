import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import type { UpstreamEvent } from '../../../src/upstream/events.ts';
import { UpstreamError, type UpstreamAnswer } from '../../../src/upstream/upstream.ts';
import { createBreaker, withBreaker, type Attempt, type Breaker } from '../../../src/upstream/with-breaker.ts';
import { createSlots } from '../../../src/upstream/with-concurrency.ts';
import { createProcessMemory, withQuota, type Memory } from '../../../src/upstream/with-quota.ts';
import {
  expectFound,
  layer,
  never,
  notFound,
  readAll,
  sendBlob,
  serve,
  upstreamOf,
  wantBlob,
  wantManifest,
} from './servers.ts';

const ABSENT: UpstreamAnswer = { kind: 'absent' };
const FOUND: UpstreamAnswer = {
  kind: 'found',
  status: 200,
  mediaType: undefined,
  digest: undefined,
  size: 1,
  from: 0,
  next: undefined,
  filtersApplied: undefined,
  anonymous: false,
  body: undefined,
};

function failure(reason: 'connect' | 'status' | 'auth' | 'verify', status?: number): UpstreamError {
  return new UpstreamError('hub', reason, `${reason} trouble`, status === undefined ? {} : { status });
}

describe('the breaker', () => {
  function broken() {
    const clock = createFakeClock();
    const events: UpstreamEvent[] = [];
    const breaker = createBreaker({
      upstream: 'hub',
      clock,
      random: createSeededRandom(1),
      report: (event) => events.push(event),
    });
    let outcome: UpstreamAnswer | UpstreamError = ABSENT;
    let asked = 0;
    const ask = withBreaker(async () => {
      asked++;
      if (outcome instanceof UpstreamError) throw outcome;
      return outcome;
    }, breaker);
    const attempt = async (next: UpstreamAnswer | UpstreamError): Promise<unknown> => {
      outcome = next;
      return await ask(wantManifest(), never).catch((error: unknown) => error);
    };
    return { clock, events, breaker, attempt, asked: () => asked };
  }

  test('opens after five failures in a row, is asked once after its time, and closes on success', async () => {
    const { clock, events, breaker, attempt, asked } = broken();
    for (let turn = 0; turn < 4; turn++) await attempt(failure('connect'));
    await attempt(ABSENT);
    for (let turn = 0; turn < 4; turn++) await attempt(failure('status', 503));
    expect(breaker.isOpen()).toBe(false);
    await attempt(failure('connect'));
    expect(breaker.isOpen()).toBe(true);
    expect(await attempt(ABSENT)).toMatchObject({ reason: 'connect', message: expect.stringContaining('passed over') });
    expect(asked()).toBe(10);
    await clock.advance(6001);
    await attempt(failure('connect'));
    expect(breaker.isOpen()).toBe(true);
    await clock.advance(6001);
    expect(await attempt(ABSENT)).toMatchObject({ name: 'UpstreamError' });
    await clock.advance(6001);
    expect(await attempt(ABSENT)).toBe(ABSENT);
    expect(breaker.isOpen()).toBe(false);
    expect(events.map(({ kind }) => kind)).toEqual(['upstream-down', 'upstream-up']);
  });

  test('wrong bytes, refused passwords and odd statuses show that it is there', async () => {
    const { breaker, attempt } = broken();
    for (let turn = 0; turn < 20; turn++) {
      await attempt(failure('verify'));
      await attempt(failure('auth', 401));
      await attempt(failure('status', 418));
    }
    expect(breaker.isOpen()).toBe(false);
  });

  test('[R12] one probe at a time, and late reports change nothing, in any order', async () => {
    const report = fc.constantFrom('succeeded' as const, 'failed' as const, 'failed' as const, 'abandoned' as const);
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ do: fc.constant('enter' as const) }) },
      { weight: 4, arbitrary: fc.record({ do: report, which: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 80_000 }) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 60, size: 'max' }), async (steps) => {
        const clock = createFakeClock();
        const breaker = createBreaker({
          upstream: 'hub',
          clock,
          random: createSeededRandom(2),
          report: () => undefined,
          failures: 2,
        });
        const attempts: { attempt: ReturnType<typeof breaker.enter>; whileOpen: boolean; ended: boolean }[] = [];
        const wrong: string[] = [];
        let openings = 0;
        for (const each of steps) {
          const wasOpen = breaker.isOpen();
          if (each.do === 'wait') await clock.advance(each.ms);
          else if (each.do === 'enter') {
            const attempt = entered(breaker);
            if (attempt !== undefined) attempts.push({ attempt, whileOpen: wasOpen, ended: false });
            else if (!wasOpen) wrong.push('refused while closed');
          } else {
            const open = attempts.filter(({ ended }) => !ended);
            const chosen = open[each.which % Math.max(open.length, 1)];
            if (chosen === undefined) continue;
            chosen.ended = true;
            if (each.do === 'failed') chosen.attempt.failed(failure('connect'));
            else chosen.attempt[each.do]();
            if (wasOpen && !breaker.isOpen() && !(chosen.whileOpen && each.do === 'succeeded'))
              wrong.push('closed by a late report');
            if (!wasOpen && breaker.isOpen()) openings++;
          }
          // A probe whose report never came may be outlived by the next generation's, one an opening.
          if (attempts.filter(({ whileOpen, ended }) => whileOpen && !ended).length > 1 + openings)
            wrong.push('two probes at once');
        }
        expect(wrong).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  test('[R12] who asked before it opened cannot close it; while one probes, the others are passed over', async () => {
    const { clock, breaker, attempt } = broken();
    const late = breaker.enter();
    for (let turn = 0; turn < 5; turn++) await attempt(failure('connect'));
    late.succeeded();
    expect(breaker.isOpen()).toBe(true);
    await clock.advance(6001);
    const probe = breaker.enter();
    expect(entered(breaker)).toBeUndefined();
    probe.succeeded();
    expect(breaker.isOpen()).toBe(false);
  });

  test('a caller who leaves during the probe leaves the probe to the next', async () => {
    const { clock, breaker, attempt } = broken();
    for (let turn = 0; turn < 5; turn++) await attempt(failure('connect'));
    await clock.advance(6001);
    breaker.enter().abandoned();
    expect(await attempt(ABSENT)).toBe(ABSENT);
  });
});

function entered(breaker: Breaker): Attempt | undefined {
  try {
    return breaker.enter();
  } catch {
    // Passed over.
    return undefined;
  }
}

describe('slots', () => {
  test('are given in order, and one who leaves the queue is forgotten', async () => {
    const slots = createSlots('hub', 1);
    const release = await slots.take(never);
    const order: string[] = [];
    const leaving = new AbortController();
    const first = slots.take(never).then((free) => (order.push('first'), free));
    const left = slots.take(leaving.signal).catch((error: Error) => order.push(error.message));
    const second = slots.take(never).then((free) => (order.push('second'), free));
    leaving.abort(new Error('left'));
    await left;
    release();
    release();
    (await first)();
    (await second)();
    expect(order).toEqual(['left', 'first', 'second']);
    expect(slots.running()).toBe(0);
  });

  test('a queue has an end', async () => {
    const slots = createSlots('hub', 1, 1);
    const release = await slots.take(never);
    const waiting = slots.take(never);
    await expect(slots.take(never)).rejects.toMatchObject({ name: 'UpstreamError', reason: 'ratelimit' });
    release();
    (await waiting)();
  });

  test('are held until a body ends, is closed, or its signal is aborted', async () => {
    const server = await serve((request, response) => sendBlob(request, response));
    const upstream = upstreamOf(server, { concurrency: 1 });
    const first = await upstream.ask(wantBlob(), never);
    expect(upstream.status().running).toBe(1);
    let isAnswered = false;
    const second = upstream.ask(wantBlob(), never).then((found) => ((isAnswered = true), found));
    await new Promise((resolve) => setImmediate(resolve));
    expect([isAnswered, server.seen.length]).toEqual([false, 1]);
    expect(await readAll(first)).toBe(layer.toString());
    expectFound(await second).body?.close();
    const leaving = new AbortController();
    await upstream.ask(wantBlob(), leaving.signal);
    leaving.abort(new Error('left'));
    expect(upstream.status().running).toBe(0);
  });
});

describe('use: quota', () => {
  function quota(anonymous: (kind: string) => Promise<UpstreamAnswer>, memory: Memory = createProcessMemory()) {
    const clock = createFakeClock();
    const asked: string[] = [];
    const ask = withQuota({
      signed: async (request) => (asked.push(`signed ${request.method} ${request.kind}`), FOUND),
      anonymous: async (request) => (asked.push(`anonymous ${request.method} ${request.kind}`), await anonymous(request.kind)),
      clock,
      memory,
      proofMs: 900_000,
    });
    return { ask, asked, clock };
  }

  test('what can be read without credentials is paid for with them, is public, and is proven once', async () => {
    const { ask, asked, clock } = quota(async () => ({ ...FOUND, anonymous: true }));
    expect(await ask(wantManifest(), never)).toMatchObject({ kind: 'found', anonymous: true });
    await ask(wantBlob({ range: { from: 1 } }), never);
    expect(asked).toEqual(['anonymous HEAD manifest', 'signed GET manifest', 'signed GET blob']);
    await clock.advance(900_001);
    await ask(wantBlob(), never);
    expect(asked.slice(3)).toEqual(['anonymous HEAD blob', 'signed GET blob']);
  });

  test('what cannot is not asked for with them', async () => {
    const said = { kind: 'absent', hint: 'sign in' } as const;
    const { ask, asked } = quota(async () => said);
    expect(await ask(wantManifest(), never)).toEqual(said);
    expect(await ask(wantManifest(), never)).toEqual(said);
    expect(asked).toEqual(['anonymous HEAD manifest', 'anonymous HEAD manifest']);
  });

  const spent = { kind: 'limited', retryAfterSeconds: 9 } as const;

  test('an address with nothing left proves by a list, which costs none', async () => {
    const { ask, asked } = quota(async (kind) => (kind === 'tags' ? FOUND : spent));
    expect(await ask(wantManifest(), never)).toMatchObject({ kind: 'found', anonymous: true });
    await ask(wantManifest(), never);
    expect(asked).toEqual(['anonymous HEAD manifest', 'anonymous GET tags', 'signed GET manifest', 'signed GET manifest']);
  });

  test.each<[string, () => Promise<UpstreamAnswer>]>([
    ['is limited too', async () => spent],
    ['is not there', async () => ABSENT],
    ['fails', async () => await Promise.reject(failure('connect'))],
  ])('a list that %s proves nothing', async (_how, list) => {
    const { ask, asked } = quota(async (kind) => (kind === 'tags' ? await list() : spent));
    expect(await ask(wantManifest(), never)).toEqual(spent);
    expect(await ask(wantBlob(), never)).toEqual(spent);
    expect(asked.filter((line) => line.startsWith('signed'))).toEqual([]);
  });

  test('trouble is trouble, not a proof', async () => {
    const { ask, asked } = quota(async () => await Promise.reject(failure('connect')));
    await expect(ask(wantManifest(), never)).rejects.toMatchObject({ reason: 'connect' });
    expect(asked).toEqual(['anonymous HEAD manifest']);
  });

  test('a list that can be read without is the answer', async () => {
    const { ask, asked } = quota(async () => FOUND);
    await ask(wantManifest({ kind: 'tags', reference: '' }), never);
    await ask(wantManifest({ kind: 'tags', reference: '' }), never);
    expect(asked).toEqual(['anonymous GET tags', 'signed GET tags']);
  });

  test('many at once prove a repository once; one repository proves nothing of another', async () => {
    const { ask, asked } = quota(async () => FOUND);
    await Promise.all(Array.from({ length: 50 }, () => ask(wantBlob(), never)));
    expect(asked.filter((line) => line.startsWith('anonymous')).length).toBe(1);
    await ask(wantBlob({ repository: 'library/other' }), never);
    expect(asked.filter((line) => line.startsWith('anonymous')).length).toBe(2);
  });

  test('a memory that fails costs a question, never an answer', async () => {
    const failing = async (): Promise<never> => await Promise.reject(new Error('down'));
    const { ask, asked } = quota(async () => FOUND, { recall: failing, keep: failing });
    expect(await ask(wantManifest(), never)).toMatchObject({ kind: 'found' });
    expect(await ask(wantManifest(), never)).toMatchObject({ kind: 'found' });
    expect(asked.length).toBe(4);
  });

  test('a private image of the account is not served', async () => {
    const server = await serve((request, response) =>
      request.headers.authorization === undefined
        ? void response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
        : notFound(response),
    );
    const upstream = upstreamOf(server, {
      credentials: async () => ({ kind: 'password', username: 'u', password: 'p' }),
      use: 'quota',
    });
    expect(await upstream.ask(wantManifest(), never)).toMatchObject({ kind: 'absent', hint: expect.any(String) });
    expect(server.seen.some(({ headers }) => headers.authorization !== undefined)).toBe(false);
  });
});
