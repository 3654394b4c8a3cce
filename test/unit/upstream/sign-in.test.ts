import type { IncomingMessage, ServerResponse } from 'node:http';

import { describe, expect, test } from 'vitest';

import type { Credentials } from '../../../src/upstream/credentials.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import {
  answer,
  challenge,
  expectFound,
  json,
  never,
  readAll,
  sendBlob,
  sendManifest,
  serve,
  upstreamOf,
  wantBlob,
  wantManifest,
  type TestServer,
} from './servers.ts';

const CANARY = 'canary-password';
const ANN: Credentials = { kind: 'password', username: 'ann', password: CANARY };
const asAnn = async (): Promise<Credentials> => ANN;
const BASIC = `Basic ${Buffer.from(`ann:${CANARY}`).toString('base64')}`;

interface RegistryScript {
  /** Of a request without a good token; `origin` is the server's own. */
  readonly challenge?: (origin: string, request: IncomingMessage) => string;
  readonly token?: (request: IncomingMessage, response: ServerResponse, body: string) => void;
  readonly takes?: (authorization: string | undefined) => boolean;
  readonly serve?: (request: IncomingMessage, response: ServerResponse) => void;
}

/** A registry whose token endpoint, at `/token`, gives `t1`, `t2` … and which takes any of them. */
async function registry(script: RegistryScript = {}): Promise<TestServer & { given(): number }> {
  let given = 0;
  const server: TestServer = await serve((request, response, body) => {
    if (request.url?.startsWith('/token')) {
      if (script.token) return script.token(request, response, body);
      return json(response, 200, { token: `t${++given}`, expires_in: 300 });
    }
    const authorization = request.headers.authorization;
    if ((script.takes ?? ((value) => value?.startsWith('Bearer t') ?? false))(authorization)) {
      return script.serve ? script.serve(request, response) : sendManifest(response);
    }
    const scope = `repository:${/^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\//.exec(request.url ?? '')?.[1]}:pull`;
    return challenge(
      response,
      (script.challenge ?? ((origin) => `Bearer realm="${origin}/token",service="reg.test",scope="${scope}"`))(
        server.origin,
        request,
      ),
    );
  });
  return { ...server, given: () => given };
}

function tokenQuery(server: TestServer): URLSearchParams {
  const line = server.seen.find((seen) => seen.line.startsWith('GET /token'))?.line ?? '';
  return new URL(line.slice(4), server.url).searchParams;
}

describe('bearer', () => {
  test('an anonymous token is fetched for the scope of the challenge, and kept', async () => {
    const server = await registry();
    const upstream = upstreamOf(server);
    expect(expectFound(await upstream.ask(wantManifest(), never)).anonymous).toBe(true);
    await readAll(await upstream.ask(wantManifest({ reference: 'other' }), never));
    expect([...tokenQuery(server)]).toEqual([
      ['service', 'reg.test'],
      ['scope', 'repository:library/alpine:pull'],
    ]);
    expect(server.hits('GET /token')).toBe(1);
    expect(server.hits('GET /v2/')).toBe(3);
    expect(server.seen.find(({ line }) => line.startsWith('GET /token'))?.headers.authorization).toBeUndefined();
  });

  test('a registry that told its ways once is asked with a token at once for the next repository', async () => {
    const server = await registry();
    const upstream = upstreamOf(server);
    await readAll(await upstream.ask(wantManifest(), never));
    await readAll(await upstream.ask(wantManifest({ repository: 'library/debian' }), never));
    expect(server.hits('GET /v2/library/debian')).toBe(1);
    expect(server.hits('GET /token')).toBe(2);
  });

  test('[P117] a hundred at once cost one token', async () => {
    const server = await registry();
    const upstream = upstreamOf(server, { concurrency: 100 });
    const answers = await Promise.all(Array.from({ length: 100 }, () => upstream.ask(wantManifest(), never)));
    await Promise.all(answers.map((found) => readAll(found)));
    expect(server.hits('GET /token')).toBe(1);
  });

  test('[P116] a token is renewed at nine tenths of its life, sixty seconds where none is told', async () => {
    const clock = createFakeClock();
    let expires: unknown = 100;
    const server = await registry({ token: (_request, response) => json(response, 200, { token: 't', expires_in: expires }) });
    const upstream = upstreamOf(server, {}, { clock });
    const ask = async (): Promise<void> => void (await readAll(await upstream.ask(wantManifest(), never)));
    await ask();
    await clock.advance(89_000);
    await ask();
    expect(server.hits('GET /token')).toBe(1);
    expires = undefined;
    await clock.advance(2000);
    await ask();
    expect(server.hits('GET /token')).toBe(2);
    await clock.advance(53_000);
    await ask();
    expect(server.hits('GET /token')).toBe(2);
    await clock.advance(2000);
    await ask();
    expect(server.hits('GET /token')).toBe(3);
  });

  test.each([
    ['only token', { token: 'tA' }],
    ['only access_token', { access_token: 'tB' }],
    ['a short life', { token: 'tC', expires_in: 5 }],
    ['a senseless life', { token: 'tD', expires_in: -1, issued_at: '1970-01-01T00:00:00Z' }],
  ])('[P116] token reply with %s', async (_what, reply) => {
    const server = await registry({ token: (_request, response) => json(response, 200, reply) });
    const upstream = upstreamOf(server);
    await readAll(await upstream.ask(wantManifest(), never));
    await readAll(await upstream.ask(wantManifest(), never));
    expect(server.hits('GET /token')).toBe(1);
  });

  test.each([
    [
      'without service (Artifact Registry, NVCR)',
      (origin: string) => `Bearer realm="${origin}/token",scope="repository:library/alpine:pull,push"`,
      'repository:library/alpine:pull,push',
    ],
    ['without scope', (origin: string) => `Bearer realm="${origin}/token",service="x"`, 'repository:library/alpine:pull'],
    [
      'unquoted, with error',
      (origin: string) => `bearer error="invalid_token", realm=${origin}/token, service=x`,
      'repository:library/alpine:pull',
    ],
    [
      'among others',
      (origin: string) => `Basic realm="x", Bearer realm="${origin}/token",service="a,b"`,
      'repository:library/alpine:pull',
    ],
    [
      'with a scope of its own (ECR Public)',
      (origin: string) => `Bearer realm="${origin}/token/",service="public.ecr.aws",scope="aws"`,
      'aws',
    ],
  ])('[P116] a challenge %s', async (_what, value, scope) => {
    const server = await registry({ challenge: value });
    await readAll(await upstreamOf(server).ask(wantManifest(), never));
    expect(tokenQuery(server).get('scope')).toBe(scope);
  });

  test('[P117] a token that ran out between two ranges is fetched anew once', async () => {
    let good = 't1';
    const server = await registry({ takes: (authorization) => authorization === `Bearer ${good}`, serve: sendBlob });
    const upstream = upstreamOf(server);
    await readAll(await upstream.ask(wantBlob({ range: { from: 0, to: 5 } }), never));
    good = 't2';
    expect(await readAll(await upstream.ask(wantBlob({ range: { from: 2, to: 7 } }), never))).toBe('layer');
    expect(server.hits('GET /token')).toBe(2);
  });

  test('[P35] 401 after a fresh anonymous token is absent, with a hint', async () => {
    const server = await registry({ takes: () => false });
    expect(await upstreamOf(server).ask(wantManifest(), never)).toMatchObject({
      kind: 'absent',
      hint: expect.stringContaining('signing in'),
    });
    expect(server.hits('GET /v2/')).toBe(2);
  });

  test.each([401, 403, 400])('an anonymous token refused with %i (GHCR) is absent, with a hint', async (status) => {
    const server = await registry({ token: (_request, response) => json(response, status, {}) });
    expect(await upstreamOf(server).ask(wantManifest(), never)).toMatchObject({ kind: 'absent', hint: expect.any(String) });
  });

  test('a repository that needs no token is asked for although another one got none', async () => {
    const server = await registry({
      token: (_request, response) => json(response, 401, {}),
      takes: (authorization) => authorization === undefined,
      serve: (request, response) =>
        request.url?.includes('private')
          ? challenge(response, `Bearer realm="${server.origin}/token",service="s",scope="repository:private:pull"`)
          : sendManifest(response),
    });
    const upstream = upstreamOf(server);
    expect(await upstream.ask(wantManifest({ repository: 'private' }), never)).toMatchObject({ kind: 'absent' });
    expect(await upstream.ask(wantManifest(), never)).toMatchObject({ kind: 'found' });
  });

  test('a token endpoint that limits is limited; one that fails is a fault, never an absence', async () => {
    const limiting = await registry({ token: (_request, response) => json(response, 429, {}, { 'retry-after': '9' }) });
    expect(await upstreamOf(limiting).ask(wantManifest(), never)).toEqual({ kind: 'limited', retryAfterSeconds: 9 });
    const failing = await registry({ token: (_request, response) => json(response, 503, {}) });
    await expect(upstreamOf(failing).ask(wantManifest(), never)).rejects.toMatchObject({ reason: 'status', status: 503 });
    const empty = await registry({ token: (_request, response) => json(response, 200, {}) });
    await expect(upstreamOf(empty).ask(wantManifest(), never)).rejects.toMatchObject({ reason: 'auth' });
    const endless = await registry({ token: (_request, response) => answer(response, 200, {}, Buffer.alloc(200_000, 'x')) });
    await expect(upstreamOf(endless).ask(wantManifest(), never)).rejects.toMatchObject({ reason: 'auth' });
  });

  test('[P116] NVCR: an old token is answered with another realm; the first challenge comes back without it', async () => {
    let accepted = 't1';
    const server = await registry({
      takes: (authorization) => authorization === `Bearer ${accepted}`,
      challenge: (origin, request) =>
        request.headers.authorization === undefined
          ? `Bearer realm="${origin}/token",scope="repository:library/alpine:pull,push"`
          : `Bearer realm="https://authn.evil.test/token?service=registry",service="registry"`,
    });
    const upstream = upstreamOf(server);
    await readAll(await upstream.ask(wantManifest(), never));
    accepted = 't2';
    await readAll(await upstream.ask(wantManifest(), never));
    expect(server.hits('GET /token')).toBe(2);
  });

  test('[P116] ECR Public: 400 without challenge to an old token', async () => {
    let accepted = 't1';
    const strange = await serve((request, response) => {
      if (request.url?.startsWith('/token')) return json(response, 200, { token: accepted });
      if (request.headers.authorization === `Bearer ${accepted}`) return sendManifest(response);
      if (request.headers.authorization !== undefined) return json(response, 400, { message: 'expired' });
      return challenge(response, `Bearer realm="${strange.origin}/token",service="public.ecr.aws",scope="aws"`);
    });
    const upstream = upstreamOf(strange);
    await readAll(await upstream.ask(wantManifest(), never));
    accepted = 't2';
    await readAll(await upstream.ask(wantManifest(), never));
    expect(strange.hits('GET /token')).toBe(2);
  });

  test('[P116] Harbor: an old token is answered with a Basic challenge', async () => {
    let accepted = 't1';
    const server = await registry({
      takes: (authorization) => authorization === `Bearer ${accepted}`,
      challenge: (origin, request) =>
        request.headers.authorization === undefined
          ? `Bearer realm="${origin}/token",service="harbor-registry"`
          : 'Basic realm="harbor"',
    });
    const upstream = upstreamOf(server, { credentials: asAnn, use: 'all' });
    await readAll(await upstream.ask(wantManifest(), never));
    accepted = 't2';
    await readAll(await upstream.ask(wantManifest(), never));
    expect(server.seen.filter(({ line, headers }) => line.startsWith('GET /v2/') && headers.authorization === BASIC)).toEqual(
      [],
    );
  });

  test('[P116] Artifact Registry: 401 without challenge; /v2/ says what is wanted', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/v2/') return challenge(response, `Bearer realm="${server.origin}/v2/token"`);
      if (request.url?.startsWith('/v2/token')) return json(response, 200, { token: 't' });
      return request.headers.authorization === 'Bearer t' ? sendManifest(response) : answer(response, 401);
    });
    await readAll(await upstreamOf(server).ask(wantManifest(), never));
    expect(server.seen.map(({ line }) => line.replace(/\?.*/, ''))).toEqual([
      'GET /v2/library/alpine/manifests/3.20',
      'GET /v2/',
      'GET /v2/token',
      'GET /v2/library/alpine/manifests/3.20',
    ]);
  });

  test('401 without any challenge is a fault', async () => {
    const server = await serve((_request, response) => answer(response, 401));
    await expect(upstreamOf(server).ask(wantManifest(), never)).rejects.toMatchObject({ reason: 'auth', status: 401 });
  });
});

describe('credentials', () => {
  test('go to the token endpoint by Basic, and what they get is not anonymous', async () => {
    const server = await registry();
    const upstream = upstreamOf(server, { credentials: asAnn, use: 'all' });
    expect(expectFound(await upstream.ask(wantManifest(), never)).anonymous).toBe(false);
    expect(server.seen.find(({ line }) => line.startsWith('GET /token'))?.headers.authorization).toBe(BASIC);
    expect(tokenQuery(server).get('account')).toBe('ann');
    expect(upstream.status().credentialsValid).toBe(true);
  });

  test('use: all, refused for a repository after a fresh token: denied', async () => {
    const server = await registry({ takes: () => false });
    expect(await upstreamOf(server, { credentials: asAnn, use: 'all' }).ask(wantManifest(), never)).toEqual({ kind: 'denied' });
  });

  test('[P116] Basic challenges are answered with Basic, where there are credentials', async () => {
    const server = await registry({ challenge: () => 'Basic realm="ecr"', takes: (authorization) => authorization === BASIC });
    expect(expectFound(await upstreamOf(server, { credentials: asAnn, use: 'all' }).ask(wantManifest(), never)).anonymous).toBe(
      false,
    );
    expect(await upstreamOf(server).ask(wantManifest(), never)).toMatchObject({ kind: 'absent' });
  });

  test('[P116] Bearer with an empty realm beside Basic is answered with Basic', async () => {
    const server = await registry({
      challenge: () => 'Bearer realm="", Basic realm="nexus"',
      takes: (authorization) => authorization === BASIC,
    });
    expectFound(await upstreamOf(server, { credentials: asAnn, use: 'all' }).ask(wantManifest(), never));
  });

  test('[S05] what one upstream signed in for, another one without password does not get', async () => {
    const server = await registry({
      token: (request, response) =>
        json(response, 200, { token: request.headers.authorization === BASIC ? 'private' : 'public' }),
      takes: (authorization) => authorization === 'Bearer private',
    });
    await readAll(await upstreamOf(server, { credentials: asAnn, use: 'all' }).ask(wantManifest(), never));
    expect(await upstreamOf(server).ask(wantManifest(), never)).toMatchObject({ kind: 'absent' });
  });

  test('[S05] a rotated secret gets a token of its own', async () => {
    const server = await registry();
    let secret: Credentials = ANN;
    const upstream = upstreamOf(server, { credentials: async () => secret, use: 'all' });
    await readAll(await upstream.ask(wantManifest(), never));
    secret = { kind: 'password', username: 'ann', password: 'newer' };
    await readAll(await upstream.ask(wantManifest(), never));
    expect(server.hits('GET /token')).toBe(2);
  });

  test.each([400, 401, 403])(
    'refused with %i: a fault, tried again after five minutes or with another secret',
    async (status) => {
      const clock = createFakeClock();
      let secret: Credentials = ANN;
      const server = await registry({
        token: (request, response) =>
          request.headers.authorization === BASIC ? json(response, status, {}) : json(response, 200, { token: 't' }),
      });
      const upstream = upstreamOf(server, { credentials: async () => secret, use: 'all' }, { clock });
      const refused = { name: 'UpstreamError', reason: 'auth', status };
      await expect(upstream.ask(wantManifest(), never)).rejects.toMatchObject(refused);
      await expect(upstream.ask(wantManifest(), never)).rejects.toMatchObject(refused);
      expect(server.hits('GET /token')).toBe(1);
      expect(upstream.status().credentialsValid).toBe(false);
      expect(upstream.events.filter(({ kind }) => kind === 'credentials-refused').length).toBe(1);
      await clock.advance(5 * 60_000 + 1);
      await expect(upstream.ask(wantManifest(), never)).rejects.toMatchObject(refused);
      expect(server.hits('GET /token')).toBe(2);
      secret = { kind: 'password', username: 'ann', password: 'newer' };
      await readAll(await upstream.ask(wantManifest(), never));
      expect(upstream.status().credentialsValid).toBe(true);
      expect(upstream.events.filter(({ kind }) => kind === 'credentials-accepted').length).toBe(1);
    },
  );

  test('GHCR: 403 for one repository does not speak of a secret that is known to work', async () => {
    const server = await registry({
      token: (request, response) =>
        request.url?.includes('secret') ? json(response, 403, {}) : json(response, 200, { token: 't' }),
    });
    const upstream = upstreamOf(server, { credentials: asAnn, use: 'all' });
    await readAll(await upstream.ask(wantManifest(), never));
    await expect(upstream.ask(wantManifest({ repository: 'acme/secret' }), never)).rejects.toMatchObject({
      reason: 'auth',
      status: 403,
    });
    await expect(upstream.ask(wantManifest({ repository: 'acme/secret' }), never)).rejects.toMatchObject({
      reason: 'auth',
      status: 403,
    });
    expect(server.hits(/^GET \/token.*secret/)).toBe(1);
    expect(upstream.status().credentialsValid).toBe(true);
    await readAll(await upstream.ask(wantManifest({ repository: 'acme/other' }), never));
  });

  test('Basic refused by the registry itself is the same fault', async () => {
    const server = await registry({ challenge: () => 'Basic realm="ecr"', takes: () => false });
    const upstream = upstreamOf(server, { credentials: asAnn, use: 'all' });
    await expect(upstream.ask(wantManifest(), never)).rejects.toMatchObject({ reason: 'auth', status: 401 });
    await expect(upstream.ask(wantManifest(), never)).rejects.toMatchObject({ reason: 'auth', status: 401 });
    expect(server.seen.filter(({ headers }) => headers.authorization === BASIC).length).toBe(1);
  });

  test('the face without credentials is silent until they are refused, then asks without', async () => {
    const server = await registry({
      token: (request, response) =>
        request.headers.authorization === BASIC ? json(response, 401, {}) : json(response, 200, { token: 't' }),
    });
    const upstream = upstreamOf(server, { credentials: asAnn, use: 'quota' });
    const fallback = upstream.withoutCredentials()!;
    expect(await fallback.ask(wantManifest(), never)).toEqual({ kind: 'absent' });
    expect(server.seen.length).toBe(0);
    await expect(upstream.ask(wantManifest(), never)).rejects.toMatchObject({ reason: 'auth' });
    expect(expectFound(await fallback.ask(wantManifest(), never)).anonymous).toBe(true);
    expect(upstreamOf(server, { credentials: asAnn, use: 'all' }).withoutCredentials()).toBeUndefined();
  });

  test.each([404, 400, 401, 405])('an identity token goes by POST, and by GET where that is answered %i', async (status) => {
    const server = await registry({
      token: (request, response) =>
        request.method === 'POST' && status !== 405
          ? json(response, status, {})
          : json(response, request.method === 'POST' ? 405 : 200, { token: 't' }),
    });
    const upstream = upstreamOf(server, {
      credentials: async () => ({ kind: 'identity', username: '<token>', token: 'refresh-me' }),
      use: 'all',
    });
    await readAll(await upstream.ask(wantManifest(), never));
    const post = server.seen.find(({ line }) => line === 'POST /token');
    expect(Object.fromEntries(new URLSearchParams(post?.body))).toMatchObject({
      grant_type: 'refresh_token',
      refresh_token: 'refresh-me',
      service: 'reg.test',
      scope: 'repository:library/alpine:pull',
      client_id: 'entrepot',
    });
    expect(server.hits('GET /token')).toBe(1);
  });
});

describe('a realm that is not to be had', () => {
  const wrong: Readonly<Record<string, (moved: TestServer) => string>> = {
    'is gone': () => 'http://127.0.0.1:1/token',
    'gives no token': (moved) => `${moved.origin}/empty`,
    fails: (moved) => `${moved.origin}/broken`,
    'may not be asked': () => 'ftp://127.0.0.1/token',
    'is not to see our credentials': (moved) => `${moved.origin}/token`,
  };

  test.each(Object.entries(wrong))('that %s is asked for anew once the registry names another', async (_what, realmOf) => {
    const moved = await serve((request, response) => {
      if (request.url?.startsWith('/broken')) return answer(response, 500);
      return json(response, 200, request.url?.startsWith('/empty') ? {} : { token: 'elsewhere' });
    });
    let mended = false;
    const server = await registry({
      challenge: (origin, request) => {
        const scope = `repository:${/^\/v2\/(.+)\/manifests\//.exec(request.url ?? '')?.[1]}:pull`;
        return `Bearer realm="${mended ? `${origin}/token` : realmOf(moved)}",service="s",scope="${scope}"`;
      },
    });
    const upstream = upstreamOf(server, { credentials: asAnn, use: 'all' });
    await expect(upstream.ask(wantManifest(), never)).rejects.toThrow(/^hub/);
    mended = true;
    expectFound(await upstream.ask(wantManifest(), never)).body?.close();
    expectFound(await upstream.ask(wantManifest({ repository: 'library/other' }), never)).body?.close();
    expect(JSON.stringify(moved.seen)).not.toContain(BASIC);
  });

  test('a realm that moved is found without a failed request', async () => {
    let realm = 'old';
    const old = await registry();
    const server = await registry({
      challenge: (origin) =>
        `Bearer realm="${realm === 'old' ? old.origin : origin}/token",service="s",scope="repository:library/alpine:pull"`,
    });
    const upstream = upstreamOf(server);
    expectFound(await upstream.ask(wantManifest(), never)).body?.close();
    realm = 'new';
    await old.close();
    for (const repository of ['library/alpine', 'library/other'])
      expectFound(await upstream.ask(wantManifest({ repository }), never)).body?.close();
  });
});
