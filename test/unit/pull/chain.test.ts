import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { askChain } from '../../../src/pull/chain.ts';
import { refusalError } from '../../../src/pull/refusal-error.ts';
import { UpstreamError } from '../../../src/upstream/upstream.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createScriptedPort, type Said } from '../../fakes/scripted-port.ts';
import { settle } from './house.ts';

const bytes = Buffer.from('x');
const SAID: Readonly<Record<string, (name: string) => Said>> = {
  found: () => ({ bytes }),
  wrong: () => ({ bytes: Buffer.from('wrong') }),
  absent: () => ({ kind: 'absent' }),
  unknownName: () => ({ kind: 'absent', unknownName: true }),
  signIn: () => ({ kind: 'absent', hint: 'signing in is needed' }),
  limited: () => ({ kind: 'limited', retryAfterSeconds: 9 }),
  limitedSooner: () => ({ kind: 'limited', retryAfterSeconds: 4 }),
  denied: () => ({ kind: 'denied' }),
  down: (name) => new UpstreamError(name, 'connect', `${name} is down`),
  late: (name) => new UpstreamError(name, 'headers', `${name} is late`, { timeout: true }),
  hang: () => 'hang',
};
const REQUEST = { kind: 'manifest', method: 'GET', registry: 'docker.io', repository: 'a/b', reference: '3' } as const;
const REFUSED = { kind: 'manifest', registry: 'docker.io', repository: 'a/b', reference: '3' } as const;

async function answerOf(
  said: readonly string[],
): Promise<{ status: number; code: string; retryAfter: string | undefined; tried: string[] }> {
  const clock = createFakeClock();
  const chain = said.map((word, at) => createScriptedPort(`${at}`, () => SAID[word]!(`${at}`)));
  const asked = askChain(
    clock,
    { chain, request: REQUEST, signal: new AbortController().signal, deadlineMs: 24_000, hedge: false },
    async (answer, { name }) => {
      const read = await answer.body!.read();
      if (read!.byteLength > 1) throw new UpstreamError(name, 'verify', 'wrong');
      answer.body!.close();
      return true;
    },
  );
  await settle(5);
  await clock.advance(24_000);
  const result = await asked;
  expect(clock.pending()).toBe(0);
  expect(chain.map((port) => port.openBodies())).toEqual(chain.map(() => 0));
  const tried = result.tried.map(({ upstream }) => upstream);
  if (result.kind === 'found') return { status: 200, code: '', retryAfter: undefined, tried };
  const { status, code, headers } = refusalError(result, REFUSED, 'entrepot; fwd=miss');
  return { status, code, retryAfter: headers['retry-after'], tried };
}

/** The contract's order, said again in the plainest way. */
function expected(said: readonly string[]): number {
  const hang = said.indexOf('hang');
  const found = said.indexOf('found');
  if (found >= 0 && (hang < 0 || found < hang)) return 200;
  // Whoever stands behind one that hangs could not be asked in time.
  const heard = hang < 0 ? said : said.map((word, at) => (at >= hang ? 'late' : word));
  const faults = heard.filter((word) => word === 'wrong' || word === 'down' || word === 'late');
  if (faults.length > 0) return faults.every((word) => word === 'late') ? 504 : 502;
  if (heard.some((word) => word.startsWith('limited'))) return 429;
  if (heard.includes('denied')) return 403;
  return 404;
}

describe('what a chain said becomes', () => {
  test('the contract’s order, for every combination of answers', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...Object.keys(SAID)), { minLength: 1, maxLength: 4 }), async (said) => {
        const { status, tried } = await answerOf(said);
        expect(status).toBe(expected(said));
        expect(tried).toEqual(said.map((_, at) => `${at}`).slice(0, status === 200 ? said.indexOf('found') : undefined));
      }),
      { numRuns: 400 },
    );
  });

  test.each([
    [['absent'], 404, 'MANIFEST_UNKNOWN'],
    [['unknownName'], 404, 'NAME_UNKNOWN'],
    [['signIn'], 404, 'NAME_UNKNOWN'],
    [['denied'], 403, 'DENIED'],
    [['limited'], 429, 'TOOMANYREQUESTS'],
    [['down'], 502, 'UNAVAILABLE'],
    [['late', 'hang'], 504, 'UNAVAILABLE'],
  ])('%j is %i %s', async (said, status, code) => {
    expect(await answerOf(said)).toMatchObject({ status, code });
  });

  test('[P37] the soonest of several Retry-After is told, in whole seconds', async () => {
    expect((await answerOf(['limited', 'limitedSooner'])).retryAfter).toBe('4');
  });

  test('[P35] no refusal carries a challenge, and each says what was tried', () => {
    const refusal = {
      kind: 'absent',
      hint: 'signing in is needed',
      unknownName: false,
      tried: [{ upstream: 'hub', error: 'no', ms: 3 }],
    } as const;
    const error = refusalError(refusal, REFUSED, 'x');
    expect(Object.keys(error.headers)).toEqual(['cache-status']);
    expect([error.message, error.detail]).toEqual([
      'manifest docker.io/a/b:3 is not there: signing in is needed',
      { tried: refusal.tried },
    ]);
  });

  test('[R16] a body that was accepted outlives the limit; its listener goes with it', async () => {
    const clock = createFakeClock();
    const stop = new AbortController();
    const hub = createScriptedPort('hub', () => ({ bytes: Buffer.alloc(10), chunkBytes: 5 }));
    for (let round = 0; round < 30; round += 1) {
      const ask = { chain: [hub], request: REQUEST, signal: stop.signal, deadlineMs: 1000, hedge: false };
      const result = await askChain(clock, ask, async (answer) => answer.body!);
      if (result.kind !== 'found') throw new Error('it was there');
      await clock.advance(2000);
      expect(await result.value.read()).toHaveLength(5);
      result.value.close();
    }
    expect(hub.openBodies()).toBe(0);
  });
});
