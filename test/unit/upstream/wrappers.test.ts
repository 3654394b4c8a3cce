import { describe, expect, test } from 'vitest';

import { createFakeClock } from '../../fakes/fake-clock.ts';
import type { CredentialsProvider } from '../../../src/upstream/credentials.ts';
import { UpstreamError, type UpstreamAnswer } from '../../../src/upstream/upstream.ts';
import { createProcessMemory, withQuota, type Memory } from '../../../src/upstream/with-quota.ts';
import {
  expectFound,
  layer,
  never,
  notFound,
  readAll,
  sendBlob,
  sendManifest,
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

describe('slots', () => {
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

  test('a clock that jumped back makes no proof last longer', async () => {
    const { ask, asked, clock } = quota(async () => FOUND);
    await ask(wantManifest(), never);
    clock.jump(-10 * 365 * 86_400_000);
    await ask(wantManifest(), never);
    expect(asked.filter((line) => line.startsWith('anonymous')).length).toBe(2);
  });

  test('what one address shows to anybody proves nothing of another to which the upstream’s name is given', async () => {
    const memory = createProcessMemory();
    const credentials: CredentialsProvider = async () => ({ kind: 'password', username: 'ann', password: 'pw' });
    const open = await serve((_request, response) => sendManifest(response));
    const closed = await serve((request, response) =>
      request.headers.authorization === undefined
        ? void response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
        : sendManifest(response),
    );
    expectFound(await upstreamOf(open, { credentials }, { memory }).ask(wantManifest(), never)).body?.close();
    expect(await upstreamOf(closed, { credentials }, { memory }).ask(wantManifest(), never)).toMatchObject({ kind: 'absent' });
    const below = { credentials, path: 'project' };
    await upstreamOf(open, below, { memory }).ask(wantManifest(), never);
    expect(open.hits('HEAD /v2/project/')).toBe(1);
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
