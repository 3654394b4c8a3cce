import type { ServerResponse } from 'node:http';

import { describe, expect, test } from 'vitest';

import { CredentialsUnavailable, type Credentials, type CredentialsProvider } from '../../../src/upstream/credentials.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import {
  answer,
  challenge,
  expectFound,
  json,
  never,
  notFound,
  readAll,
  sendManifest,
  serve,
  upstreamOf,
  wantManifest,
  type TestServer,
} from './servers.ts';

const MINUTES = 60_000;
const account = (username: string, password: string): Credentials => ({
  kind: 'password',
  username,
  password,
  account: username,
});
const basicOf = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

interface Registry extends TestServer {
  /** Passwords that the token endpoint takes, by name. */
  readonly good: Map<string, string>;
  /** Token requests that showed a password. */
  signIns(): number;
  /** Instead of the token endpoint's own answer to a password. */
  answerWith: ((response: ServerResponse) => void) | undefined;
}

/** Anybody gets a token for `library/…`; for `acme/…` only who signs in. */
async function registry(): Promise<Registry> {
  const good = new Map<string, string>();
  const server = await serve((request, response) => {
    const { authorization } = request.headers;
    const repository = /^\/v2\/(.+)\/manifests\//.exec(request.url ?? '')?.[1] ?? '';
    if (!request.url?.startsWith('/token')) {
      if (authorization === `Bearer ${repository}` || authorization === 'Bearer all') return sendManifest(response);
      return challenge(response, `Bearer realm="${server.origin}/token",service="s",scope="repository:${repository}:pull"`);
    }
    const scope = /repository:(.+):pull/.exec(new URL(request.url, server.origin).searchParams.get('scope') ?? '')?.[1];
    if (authorization === undefined) return json(response, 200, { token: scope?.startsWith('acme/') ? 'none' : scope });
    if (house.answerWith !== undefined) return house.answerWith(response);
    const isGood = [...good].some(([username, password]) => authorization === basicOf(username, password));
    return isGood ? json(response, 200, { token: scope }) : json(response, 401, {});
  });
  const house: Registry = {
    ...server,
    good,
    answerWith: undefined,
    signIns: () =>
      server.seen.filter(({ line, headers }) => line.startsWith('GET /token') && headers.authorization !== undefined).length,
  };
  return house;
}

const outcome = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    (found) => (found as { kind: string }).kind,
    (error: unknown) => (error as Error).message,
  );

describe('a refused sign-in', () => {
  test('of many repositories at once is one: the first goes ahead', async () => {
    const server = await registry();
    const upstream = upstreamOf(server, { credentials: async () => account('ann', 'bad'), use: 'all', concurrency: 100 });
    const asked = Array.from({ length: 40 }, (_, at) =>
      outcome(upstream.ask(wantManifest({ repository: `acme/r${at}` }), never)),
    );
    expect(new Set(await Promise.all(asked))).toEqual(new Set(['hub refused our credentials (401)']));
    expect(server.signIns()).toBe(1);
  });

  test('that is right holds nobody up for longer than the first', async () => {
    const server = await registry();
    server.good.set('ann', 'pw');
    const upstream = upstreamOf(server, { credentials: async () => account('ann', 'pw'), use: 'all', concurrency: 100 });
    const asked = Array.from({ length: 40 }, (_, at) => upstream.ask(wantManifest({ repository: `acme/r${at}` }), never));
    for (const found of await Promise.all(asked)) expectFound(found).body?.close();
    expect(server.signIns()).toBe(40);
  });

  test('is tried again by one of many after five minutes, and again five minutes later', async () => {
    const clock = createFakeClock();
    const server = await registry();
    const upstream = upstreamOf(
      server,
      { credentials: async () => account('ann', 'bad'), use: 'all', concurrency: 100 },
      { clock },
    );
    const pull = async (): Promise<void> => {
      const asked = Array.from({ length: 20 }, (_, at) =>
        outcome(upstream.ask(wantManifest({ repository: `acme/r${at}` }), new AbortController().signal)),
      );
      expect(new Set(await Promise.all(asked))).toEqual(new Set(['hub refused our credentials (401)']));
    };
    for (let minute = 0; minute <= 12; minute++) {
      await pull();
      await clock.advance(MINUTES);
    }
    expect(server.signIns()).toBe(3);
    expect(upstream.events.filter(({ kind }) => kind === 'credentials-refused').length).toBe(1);
    server.good.set('ann', 'bad');
    await clock.advance(5 * MINUTES);
    expectFound(await upstream.ask(wantManifest({ repository: 'acme/r1' }), never)).body?.close();
    expect([server.signIns(), upstream.status().credentialsValid]).toEqual([4, true]);
  });

  test('whose second try comes to nothing is tried by the next, not five minutes later', async () => {
    const clock = createFakeClock();
    const server = await registry();
    const upstream = upstreamOf(server, { credentials: async () => account('ann', 'pw'), use: 'all' }, { clock });
    const ask = (): Promise<string> =>
      outcome(upstream.ask(wantManifest({ repository: 'acme/r' }), new AbortController().signal));
    expect(await ask()).toContain('refused our credentials');
    server.good.set('ann', 'pw');
    server.answerWith = (response) => answer(response, 503);
    await clock.advance(5 * MINUTES);
    expect(await ask()).toContain('answered 503');
    server.answerWith = undefined;
    expect(await ask()).toContain('refused our credentials');
    await clock.advance(15_000);
    expect(await ask()).toBe('found');
  });
});

test('a token that outlives the secret goes on serving, and proves nothing of the secret', async () => {
  const server = await registry();
  server.good.set('ann', 'pw');
  const upstream = upstreamOf(server, { credentials: async () => account('ann', 'pw'), use: 'all' });
  const ask = (repository: string): Promise<string> => outcome(upstream.ask(wantManifest({ repository }), never));
  expect(await ask('acme/held')).toBe('found');
  server.good.clear();
  for (let again = 0; again < 3; again++) {
    expect(await ask('acme/other')).toContain('refused our credentials');
    expect(await ask('acme/held')).toBe('found');
  }
  expect([server.signIns(), upstream.status().credentialsValid]).toEqual([2, false]);
});

test('what a secret was refused for once is forgotten when it gets it: later sign-ins refuse nobody meanwhile', async () => {
  const clock = createFakeClock();
  const server = await registry();
  server.good.set('ann', 'pw');
  const upstream = upstreamOf(server, { credentials: async () => account('ann', 'pw'), use: 'all' }, { clock });
  const ask = (repository = 'acme/r'): Promise<string> =>
    outcome(upstream.ask(wantManifest({ repository }), new AbortController().signal));
  expect(await ask('acme/known')).toBe('found');
  server.answerWith = (response) => json(response, 403, {});
  expect(await ask()).toBe('hub refused our credentials (403)');
  server.answerWith = undefined;
  await clock.advance(5 * MINUTES);
  expect(await ask()).toBe('found');
  // Tokens live for a minute here.
  await clock.advance(5 * MINUTES);
  expect(await Promise.all([ask(), ask(), ask()])).toEqual(['found', 'found', 'found']);
});

describe('of two accounts of one registry', () => {
  const either: CredentialsProvider = async (repository) =>
    repository.startsWith('library/b') ? account('ben', 'good') : account('ann', 'bad');

  test('one that is accepted does not hide that the other is refused', async () => {
    const server = await registry();
    server.good.set('ben', 'good');
    const upstream = upstreamOf(server, { credentials: either, use: 'quota' });
    const fallback = upstream.withoutCredentials()!;
    await outcome(upstream.ask(wantManifest({ repository: 'library/a' }), never));
    await readAll(await upstream.ask(wantManifest({ repository: 'library/b' }), never));
    expect(upstream.status().credentialsValid).toBe(false);
    expect(upstream.events.filter(({ kind }) => kind === 'credentials-accepted')).toEqual([]);
    await readAll(await fallback.ask(wantManifest({ repository: 'library/a' }), never));
    // Its own repositories have been asked for with good credentials already.
    expect(await fallback.ask(wantManifest({ repository: 'library/b' }), never)).toEqual({ kind: 'absent' });
  });
});

describe('credentials that cannot be had', () => {
  const MESSAGE = 'hub cannot be signed in to: no credentials: the helper is gone';

  test('are the fault of the upstream, told once, until they are there again', async () => {
    const server = await registry();
    server.good.set('ann', 'pw');
    let provider: CredentialsProvider = () =>
      Promise.reject(new CredentialsUnavailable('the helper is gone', { account: 'ann' }));
    const upstream = upstreamOf(server, { credentials: async (...asked) => await provider(...asked), use: 'quota' });
    const fallback = upstream.withoutCredentials()!;
    for (let again = 0; again < 3; again++) {
      await expect(upstream.ask(wantManifest(), never)).rejects.toMatchObject({
        reason: 'auth',
        message: MESSAGE,
        timeout: false,
      });
      await readAll(await fallback.ask(wantManifest(), never));
    }
    expect(upstream.status()).toMatchObject({ credentialsValid: false, up: true });
    expect(upstream.events.filter(({ kind }) => kind === 'credentials-refused')).toEqual([
      { kind: 'credentials-refused', upstream: 'hub', message: MESSAGE },
    ]);
    provider = async () => account('ann', 'pw');
    await readAll(await upstream.ask(wantManifest(), never));
    expect(upstream.status().credentialsValid).toBe(true);
    expect(await fallback.ask(wantManifest(), never)).toEqual({ kind: 'absent' });
  });

  test('whatever the provider throws is told nobody', async () => {
    const server = await registry();
    const upstream = upstreamOf(server, { credentials: () => Promise.reject(new Error('the key s3cret is bad')), use: 'all' });
    const thrown: unknown = await upstream.ask(wantManifest(), never).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ name: 'UpstreamError', reason: 'auth', cause: undefined });
    expect(JSON.stringify([thrown, String(thrown), upstream.events, upstream.status()])).not.toContain('s3cret');
  });

  test('a provider that hangs is waited for until the asker leaves', async () => {
    const server = await registry();
    const upstream = upstreamOf(server, { credentials: () => new Promise(() => undefined), use: 'all' });
    const asker = new AbortController();
    const asked = upstream.ask(wantManifest(), asker.signal);
    while (server.hits('GET /v2/') === 0) await new Promise((resolve) => setImmediate(resolve));
    asker.abort(new Error('left'));
    await expect(asked).rejects.toThrow('left');
    expect(upstream.status().credentialsValid).toBeUndefined();
  });
});

test('a registry that misses the image has taken the password', async () => {
  const server = await serve((request, response) =>
    request.headers.authorization === basicOf('ann', 'pw') ? notFound(response) : challenge(response, 'Basic realm="x"'),
  );
  const upstream = upstreamOf(server, { credentials: async () => account('ann', 'pw'), use: 'all' });
  expect(await upstream.ask(wantManifest(), never)).toMatchObject({ kind: 'absent' });
  expect(upstream.status().credentialsValid).toBe(true);
});

describe('a bearer token of the configuration', () => {
  const bearer: CredentialsProvider = async () => ({ kind: 'bearer', token: 'all' });

  test('goes to the registry as it is, and to no token endpoint', async () => {
    const server = await registry();
    const upstream = upstreamOf(server, { credentials: bearer, use: 'all' });
    expect(expectFound(await upstream.ask(wantManifest({ repository: 'acme/r' }), never)).anonymous).toBe(false);
    expect(server.hits('GET /token')).toBe(0);
    expect(upstream.status().credentialsValid).toBe(true);
  });

  test('that is refused is as a refused password', async () => {
    const server = await registry();
    const upstream = upstreamOf(server, { credentials: async () => ({ kind: 'bearer', token: 's3cret' }), use: 'quota' });
    expect(await outcome(upstream.ask(wantManifest(), never))).toBe('hub refused our credentials (401)');
    expect(await outcome(upstream.ask(wantManifest(), never))).toBe('hub refused our credentials (401)');
    await readAll(await upstream.withoutCredentials()!.ask(wantManifest(), never));
    expect(server.seen.filter(({ headers }) => headers.authorization === 'Bearer s3cret').length).toBe(1);
  });

  test('[S02] is not shown where the registry leads to', async () => {
    const other = await registry();
    const server = await serve((request, response) =>
      request.headers.authorization === 'Bearer all'
        ? answer(response, 307, { location: `${other.origin}${request.url}` })
        : challenge(response, `Bearer realm="${server.origin}/token",service="s"`),
    );
    await outcome(upstreamOf(server, { credentials: bearer, use: 'all' }).ask(wantManifest(), never));
    expect(other.seen.length).toBeGreaterThan(0);
    expect(JSON.stringify(other.seen)).not.toContain('Bearer all');
  });
});
