import { describe, expect, test } from 'vitest';

import type { Credentials } from '../../../src/upstream/credentials.ts';
import { judgeRealm } from '../../../src/upstream/realm.ts';
import { challenge, json, never, readAll, sendManifest, serve, upstreamOf, wantManifest } from './servers.ts';

const HUB = new URL('https://registry-1.docker.io');

describe('[S01] where credentials may go', () => {
  test.each([
    ['the same origin', 'https://registry-1.docker.io/token', HUB, 'credentials'],
    ['the same registrable domain over https', 'https://auth.docker.io/token', HUB, 'credentials'],
    ['GitLab, whose realm is its parent', 'https://gitlab.com/jwt/auth', new URL('https://registry.gitlab.com'), 'credentials'],
    ['a name that only looks like it', 'https://hub.docker.io.evil.test/token', HUB, 'anonymous'],
    ['a suffix without its dot', 'https://evildocker.io/token', HUB, 'anonymous'],
    ['a name with an empty label at its end', 'https://docker.io../token', HUB, 'anonymous'],
    ['a user name before the host', 'https://auth.docker.io@evil.test/token', HUB, 'refused'],
    ['http for https', 'http://auth.docker.io/token', HUB, 'refused'],
    ['another port of the same host', 'https://registry-1.docker.io:8443/token', HUB, 'credentials'],
    ['a neighbour under a shared suffix', 'https://b.github.io/token', new URL('https://a.github.io'), 'anonymous'],
    ['a neighbour under co.uk', 'https://evil.co.uk/token', new URL('https://good.co.uk'), 'anonymous'],
    ['the same address', 'http://127.0.0.1:5000/token', new URL('http://127.0.0.1:5000'), 'credentials'],
    ['another port of the same address', 'http://127.0.0.1:5001/token', new URL('http://127.0.0.1:5000'), 'anonymous'],
    [
      'another port of the same address over https',
      'https://127.0.0.1:5001/token',
      new URL('https://127.0.0.1:5000'),
      'anonymous',
    ],
    ['another port of localhost', 'https://localhost:5001/token', new URL('https://localhost:5000'), 'anonymous'],
    ['another host of one domain over http', 'http://auth.corp.test/token', new URL('http://reg.corp.test'), 'anonymous'],
    ['another scheme', 'ftp://docker.io/token', HUB, 'refused'],
    ['no address', '/token', HUB, 'refused'],
  ])('%s: %s', (_what, realm, upstream, verdict) => {
    expect(judgeRealm(realm, upstream, []).kind).toBe(verdict);
  });

  test('a listed host may, by name or with its port', () => {
    expect(judgeRealm('https://sso.test:8443/t', HUB, ['sso.test']).kind).toBe('credentials');
    expect(judgeRealm('https://sso.test:8443/t', HUB, ['SSO.test:8443']).kind).toBe('credentials');
    expect(judgeRealm('https://sso.test:9443/t', HUB, ['sso.test:8443']).kind).toBe('anonymous');
    expect(judgeRealm('http://sso.test/t', HUB, ['sso.test']).kind).toBe('refused');
  });
});

const CANARY: Credentials = { kind: 'password', username: 'ann', password: 'canary-password' };

test('[S01] [P116] [CVE-2020-15157] [CVE-2026-33540] [GHSA-78h6-3wp8-2542] a realm elsewhere never sees the password; without one, it gives an anonymous token', async () => {
  const evil = await serve((_request, response) => json(response, 200, { token: 'x' }));
  const server = await serve((request, response) =>
    request.headers.authorization === undefined
      ? challenge(response, `Bearer realm="${evil.origin}/token",service="s"`)
      : sendManifest(response),
  );
  const signed = upstreamOf(server, { credentials: async () => CANARY, use: 'all' });
  await expect(signed.ask(wantManifest(), never)).rejects.toMatchObject({
    reason: 'auth',
    message: expect.stringContaining('tokenhosts'),
  });
  expect(evil.seen.length).toBe(0);
  await readAll(await upstreamOf(server).ask(wantManifest(), never));
  expect(evil.seen.length).toBe(1);
  expect(JSON.stringify(evil.seen)).not.toContain('canary');
  await readAll(
    await upstreamOf(server, { credentials: async () => CANARY, use: 'all', tokenHosts: [evil.host] }).ask(
      wantManifest(),
      never,
    ),
  );
  expect(evil.seen[1]?.headers.authorization).toMatch(/^Basic /);
});

test('[S01] a token request follows no redirect', async () => {
  const evil = await serve((_request, response) => json(response, 200, { token: 'x' }));
  const server = await serve((request, response) => {
    if (request.url?.startsWith('/token')) return void response.writeHead(307, { location: `${evil.origin}/token` }).end();
    return challenge(response, `Bearer realm="${server.origin}/token",service="s"`);
  });
  await expect(
    upstreamOf(server, { credentials: async () => CANARY, use: 'all' }).ask(wantManifest(), never),
  ).rejects.toMatchObject({ reason: 'auth' });
  expect(evil.seen.length).toBe(0);
});
