import { describe, expect, test } from 'vitest';
import type { RegistryUpstream } from '../../../src/upstream/client.ts';
import type { UpstreamAnswer } from '../../../src/upstream/upstream.ts';
import { createScriptedUpstream } from '../../fakes/scripted-upstream.ts';
import {
  answer,
  atEnd,
  challenge,
  json,
  never,
  sendManifest,
  serve,
  upstreamOf,
  wantManifest,
  type TestServer,
} from './servers.ts';

const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
const ANN = basic('ann', 'a');
const ann = { username: 'ann', password: 'a' };
const ben = { username: 'ben', password: 'b' };

/** A registry that asks for a password, shows ann all, and says 403 to ben. */
function withPasswords(): Promise<TestServer> {
  return serve(({ headers: { authorization } }, response) => {
    if (authorization === ANN) return sendManifest(response);
    if (authorization === basic('ben', 'b')) return json(response, 403, { errors: [{ code: 'DENIED', message: 'no' }] });
    challenge(response, 'Basic realm="there"');
  });
}

const askAs = (upstream: RegistryUpstream, client: typeof ann): Promise<UpstreamAnswer> =>
  upstream.as(client).ask(wantManifest({ method: 'HEAD' }), never);

describe("an upstream asked with a client's own credentials", () => {
  test('answers that client: yes, not for them, or that the credentials are wrong', async () => {
    const upstream = upstreamOf(await withPasswords());
    expect(await askAs(upstream, ann)).toMatchObject({ kind: 'found', anonymous: false });
    expect(await askAs(upstream, ben)).toMatchObject({ kind: 'absent', hint: expect.any(String) });
    expect(await askAs(upstream, { ...ann, password: 'guessed' })).toEqual({ kind: 'denied' });
    expect(await upstream.ask(wantManifest({ method: 'HEAD' }), never)).toMatchObject({ kind: 'absent' });
  });

  test('their wrong passwords are no fault of the upstream, and of none of our accounts', async () => {
    const server = await withPasswords();
    const upstream = upstreamOf(server, {
      use: 'all',
      credentials: async () => ({ kind: 'password', username: 'ann', password: 'a' }),
    });
    await upstream.ask(wantManifest({ method: 'HEAD' }), never);
    for (let turn = 0; turn < 20; turn += 1) await askAs(upstream, { ...ann, password: `guess ${turn}` });
    expect(upstream.status()).toMatchObject({ up: true, credentialsValid: true, lastError: undefined });
    expect(upstream.events.filter(({ kind }) => kind === 'credentials-refused' || kind === 'upstream-error')).toEqual([]);
  });

  test('that one is down is told as ever', async () => {
    const server = await serve((_request, response) => answer(response, 500));
    const upstream = upstreamOf(server);
    await expect(askAs(upstream, ann)).rejects.toMatchObject({ name: 'UpstreamError', reason: 'status' });
    expect(upstream.status().lastError).toContain('500');
  });

  test('who has its token server stumble over their name has it passed over for nobody else', async () => {
    const server = await serve(({ headers: { authorization } }, response) => {
      if (authorization === ANN) return sendManifest(response);
      if (authorization !== undefined) return answer(response, 500);
      challenge(response, 'Basic realm="there"');
    });
    const upstream = upstreamOf(server);
    for (let turn = 0; turn < 12; turn += 1)
      await expect(askAs(upstream, { ...ben, password: `b${turn}` })).rejects.toMatchObject({ reason: 'status' });
    expect(upstream.status().up).toBe(true);
    expect((await askAs(upstream, ann)).kind).toBe('found');
  });

  test('403 of a token server to what never worked is a wrong password; to what did, that it is not theirs', async () => {
    const server = await serve(({ url = '', headers: { authorization } }, response) => {
      if (!url.startsWith('/token'))
        return authorization === 'Bearer t'
          ? sendManifest(response)
          : challenge(
              response,
              `Bearer realm="${server.origin}/token",scope="repository:${url.slice(4).split('/manifests')[0]}:pull"`,
            );
      if (authorization === ANN && !url.includes('other')) return json(response, 200, { token: 't' });
      json(response, 403, { errors: [{ code: 'DENIED', message: 'denied' }] });
    });
    const upstream = upstreamOf(server);
    expect(await askAs(upstream, ben)).toEqual({ kind: 'denied' });
    expect((await askAs(upstream, ann)).kind).toBe('found');
    const other = wantManifest({ method: 'HEAD', repository: 'acme/other' });
    expect((await upstream.as(ann).ask(other, never)).kind).toBe('absent');
  });

  test('a wrong password is not shown again for five minutes', async () => {
    const server = await withPasswords();
    const upstream = upstreamOf(server);
    for (let turn = 0; turn < 3; turn += 1) await askAs(upstream, { ...ann, password: 'guessed' });
    expect(server.seen.filter(({ headers }) => headers.authorization !== undefined)).toHaveLength(1);
  });

  test("one client's token is not another's", async () => {
    const registry = await createScriptedUpstream({
      auth: {
        scheme: 'bearer',
        privateRepositories: ['library/alpine'],
        users: { ann: { password: 'a', repositories: ['library/alpine'] }, ben: { password: 'b', repositories: [] } },
      },
    });
    atEnd(() => registry.close());
    registry.image('library/alpine', '3.20');
    const upstream = upstreamOf({ url: new URL(registry.url) });
    const answers = await Promise.all([ann, ben, ann, ben].map((client) => askAs(upstream, client)));
    expect(answers.map(({ kind }) => kind)).toEqual(['found', 'absent', 'found', 'absent']);
    const shown = registry.requests.map(({ kind, headers: { authorization } }) => [kind === 'token', authorization]);
    expect(shown.filter(([isToken, field]) => isToken !== true && String(field).startsWith('Basic'))).toEqual([]);
  });

  test('their credentials are not carried to where it redirects', async () => {
    const elsewhere = await serve((_request, response) => sendManifest(response));
    const server = await serve(({ headers }, response) =>
      headers.authorization === ANN
        ? answer(response, 307, { location: `${elsewhere.origin}/somewhere` })
        : challenge(response, 'Basic realm="there"'),
    );
    const found = await askAs(upstreamOf(server), ann);
    expect(found.kind).toBe('found');
    expect(elsewhere.seen.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  test('nor to a realm of another host', async () => {
    const elsewhere = await serve((_request, response) => json(response, 200, { token: 't' }));
    const server = await serve((_request, response) =>
      challenge(response, `Bearer realm="http://localhost:${elsewhere.url.port}/token"`),
    );
    await expect(askAs(upstreamOf(server), ann)).rejects.toMatchObject({ reason: 'auth' });
    expect(elsewhere.seen.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
  });
});
