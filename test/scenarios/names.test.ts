import { describe, expect } from 'vitest';
import { randomBlob } from '../fakes/images.ts';
import { scenario, type Stage } from './harness.ts';
import { refusalOf } from './paths.ts';
import type { Settings } from './settings.ts';

/** docker.io, quay.io and a registry with a port, each an upstream of its own; nothing else is anybody's. */
async function three(stage: Stage, more: Settings = {}) {
  const hub = stage.upstream;
  const quay = await stage.addUpstream();
  const local = await stage.addUpstream();
  const server = await stage.start({
    upstreams: { hub: { url: hub.url }, quay: { url: quay.url }, local: { url: local.url } },
    routes: [
      { match: 'docker.io/**', upstreams: ['hub'] },
      { match: 'quay.io/**', upstreams: ['quay'] },
      { match: ['127.0.0.1:5902/**', 'reg.local:5000/**'], upstreams: ['local'] },
    ],
    ...more,
  });
  return { hub, quay, local, server };
}

const own = { settings: null };

describe('names', () => {
  scenario(
    '[P103] [P104] [P110] every spelling of a Hub image is one entry, and no ns goes upstream',
    async (stage) => {
      const { hub, server } = await three(stage);
      const { top } = hub.image('library/alpine', '3');
      for (const path of [
        '/v2/library/alpine/manifests/3?ns=docker.io',
        '/v2/library/alpine/manifests/3?ns=index.docker.io',
        '/v2/library/alpine/manifests/3?ns=registry-1.docker.io',
        '/v2/alpine/manifests/3?ns=docker.io',
        '/v2/library/alpine/manifests/3',
        '/v2/alpine/manifests/3',
        '/v2/docker.io/alpine/manifests/3',
        '/v2/docker.io/library/alpine/manifests/3',
        '/v2/docker.io/library/alpine/manifests/3?ns=docker.io',
      ]) {
        expect(await (await server.get(path)).sha256(), path).toBe(top.digest);
      }
      expect(hub.hits('GET manifest')).toBe(1);
      expect(hub.requests.filter(({ url }) => url.includes('ns='))).toEqual([]);
    },
    own,
  );

  scenario(
    '[P105] [P109] another registry by ns and by path, with OCI-Namespace',
    async (stage) => {
      const { hub, quay, server } = await three(stage);
      const { top } = quay.image('org/x', '1');
      const byNs = await server.get('/v2/org/x/manifests/1?ns=quay.io');
      expect([await byNs.sha256(), byNs.headers['oci-namespace']]).toEqual([top.digest, 'quay.io']);
      const byPath = await server.get('/v2/quay.io/org/x/manifests/1');
      expect([await byPath.sha256(), byPath.headers['oci-namespace']]).toEqual([top.digest, undefined]);
      expect(await (await server.get('/v2/quay.io/org/x/tags/list')).json()).toEqual({ name: 'quay.io/org/x', tags: ['1'] });
      expect(hub.requests).toEqual([]);
    },
    own,
  );

  scenario(
    '[P106] a registry with a port, encoded or not',
    async (stage) => {
      const { local, server } = await three(stage);
      const { top } = local.image('a', '1');
      for (const ns of ['127.0.0.1%3A5902', '127.0.0.1:5902', 'reg.local:5000']) {
        expect(await (await server.get(`/v2/a/manifests/1?ns=${ns}`)).sha256()).toBe(top.digest);
      }
    },
    own,
  );

  scenario(
    '[P107] a registry that nobody configured is 404, and nothing is dialled',
    async (stage) => {
      const { hub, quay, server } = await three(stage);
      expect(await refusalOf(await server.get('/v2/a/manifests/1?ns=unknown.example'))).toBe('404 NAME_UNKNOWN');
      expect([...hub.requests, ...quay.requests]).toEqual([]);
    },
    own,
  );

  scenario(
    '[P108] a namespace that is no registry is refused',
    async (stage) => {
      const { hub, quay, local, server } = await three(stage);
      for (const ns of ['http://x', 'a/b', 'u@h', '169.254.169.254', '%00', '..', '[::1', 'x%0d%0ay']) {
        const reply = await server.get(`/v2/a/manifests/1?ns=${ns}`);
        expect([400, 404], ns).toContain(reply.status);
        await refusalOf(reply);
      }
      expect([...hub.requests, ...quay.requests, ...local.requests]).toEqual([]);
    },
    own,
  );

  scenario(
    '[P111] [P112] a path that agrees with ns is stripped once, one that does not is a name',
    async (stage) => {
      const { hub, quay, server } = await three(stage);
      const dotted = hub.image('quay.io/x/y', '1', { label: 'at the hub' });
      const other = quay.image('x/y', '1', { label: 'at quay' });
      const plain = hub.image('library/x', '1');
      expect(await (await server.get('/v2/docker.io/library/x/manifests/1?ns=docker.io')).sha256()).toBe(plain.top.digest);
      expect(await (await server.get('/v2/quay.io/x/y/manifests/1?ns=docker.io')).sha256()).toBe(dotted.top.digest);
      expect(await (await server.get('/v2/quay.io/x/y/manifests/1')).sha256()).toBe(other.top.digest);
    },
    own,
  );

  scenario(
    '[P113] a prefix',
    async (stage) => {
      const { quay, server } = await three(stage, { names: { prefixes: { mirror: 'quay.io' } } });
      const { top } = quay.image('org/x', '1');
      for (const tag of ['2', '3']) quay.image('org/x', tag);
      expect(await (await server.get('/v2/mirror/org/x/manifests/1')).sha256()).toBe(top.digest);
      const list = await server.get('/v2/mirror/org/x/tags/list?n=1');
      expect(list.headers.link).toMatch(/^<\/v2\/mirror\/org\/x\/tags\/list\?/);
      expect(await (await server.get('/mirror/v2/org/x/manifests/1')).sha256()).toBe(top.digest);
      const before = await server.get('/mirror/v2/org/x/tags/list?n=1');
      expect(before.headers.link).toMatch(/^<\/mirror\/v2\/org\/x\/tags\/list\?/);
    },
    own,
  );

  scenario(
    'denied names are 403 for all, and nobody is asked',
    async (stage) => {
      const server = await stage.start({
        upstreams: { hub: { url: stage.upstream.url } },
        routes: [
          { match: 'docker.io/evil/**', deny: true },
          { match: 'docker.io/**', upstreams: ['hub'] },
        ],
      });
      expect(await refusalOf(await server.get('/v2/docker.io/evil/x/manifests/1'))).toBe('403 DENIED');
      expect(stage.upstream.requests).toEqual([]);
    },
    own,
  );

  scenario(
    'a registry by Host',
    async (stage) => {
      const { quay, server } = await three(stage, { names: { hosts: { 'quay.mirror.test': 'quay.io' } } });
      const { top } = quay.image('org/x', '1');
      const reply = await server.get('/v2/org/x/manifests/1', { headers: { host: 'quay.mirror.test' } });
      expect(await reply.sha256()).toBe(top.digest);
    },
    own,
  );
});

describe('sign-in upstream', () => {
  const blob = randomBlob(2000);
  const path = `/v2/docker.io/library/a/blobs/${blob.digest}`;

  scenario("[P114] a client's credentials stay here", async ({ upstream, server }) => {
    upstream.blob('library/a', blob);
    const authorization = 'Basic c2VjcmV0OnNlY3JldA==';
    expect(await (await server.get(path, { headers: { authorization } })).sha256()).toBe(blob.digest);
    expect(upstream.requests.map(({ headers }) => headers.authorization)).toEqual(upstream.requests.map(() => undefined));
    await server.logged('request');
    expect(JSON.stringify(server.records)).not.toContain('c2VjcmV0OnNlY3JldA');
  });

  for (const [title, auth] of [
    ['only token', { field: 'token' }],
    ['only access_token', { field: 'access_token' }],
    ['no expires_in', { saysLife: false }],
    ['a life of five seconds', { lifeSeconds: 5 }],
    ['no service', { service: null }],
    ['400 for a token that ran out', { expiredStatus: 400 }],
    ['POST is not there', { methods: ['GET'] }],
  ] as const) {
    scenario(`[P116] tokens: ${title}`, async ({ upstream, server }) => {
      upstream.auth.set({ scheme: 'bearer', ...auth });
      upstream.blob('library/a', blob);
      expect(await (await server.get(path)).sha256()).toBe(blob.digest);
      expect(upstream.hits('token')).toBe(1);
    });
  }

  scenario(
    '[P116] our own credentials buy the token of what anybody may read',
    async (stage) => {
      const { upstream } = stage;
      upstream.auth.set({ scheme: 'bearer', username: 'u', password: 'p' });
      upstream.blob('library/a', blob);
      const server = await stage.start(withAccount(upstream.url));
      expect(await (await server.get(path)).sha256()).toBe(blob.digest);
      const known = `Basic ${Buffer.from('u:p').toString('base64')}`;
      expect(upstream.seen('200 token').some(({ headers }) => headers.authorization === known)).toBe(true);
      expect(upstream.seen('200 GET blob')[0]!.headers.authorization).toMatch(/^Bearer /);
    },
    own,
  );

  for (const scheme of ['basic', 'bearer'] as const) {
    scenario(
      `[P116] and unlock nothing (${scheme}): who asks here has no account there`,
      async (stage) => {
        const { upstream } = stage;
        upstream.auth.set({ scheme, username: 'u', password: 'p', ...(scheme === 'bearer' ? { anonymous: false } : {}) });
        upstream.blob('library/a', blob);
        const server = await stage.start(withAccount(upstream.url));
        expect(await refusalOf(await server.get(path))).toBe('404 NAME_UNKNOWN');
        expect(upstream.hits('200 GET blob')).toBe(0);
      },
      own,
    );
  }

  function withAccount(url: string): Settings {
    return {
      upstreams: { hub: { url, username: 'u', password: 'p' } },
      routes: [{ match: 'docker.io/**', upstreams: ['hub'] }],
    };
  }

  scenario(
    '[P116] [CVE-2020-15157] [CVE-2026-33540] [GHSA-3p65-76g6-3w7r] [GHSA-78h6-3wp8-2542] a realm elsewhere gets no credentials',
    async (stage) => {
      const thief = await stage.addUpstream();
      stage.upstream.auth.set({ scheme: 'bearer', realm: `http://localhost:${new URL(thief.url).port}/token` });
      stage.upstream.blob('library/a', blob);
      const server = await stage.start({
        upstreams: { hub: { url: stage.upstream.url, username: 'u', password: 'hidden' } },
        routes: [{ match: 'docker.io/**', upstreams: ['hub'] }],
      });
      await (await server.get(path)).bytes();
      for (const { headers, body, url } of thief.requests) {
        expect(`${headers.authorization} ${body} ${url}`).not.toMatch(/hidden|Basic/);
      }
    },
    own,
  );

  scenario('[P117] a hundred requests, one token', async ({ upstream, server }) => {
    upstream.auth.set({ scheme: 'bearer' });
    const blobs = Array.from({ length: 100 }, (_, at) => randomBlob(100, at + 10));
    for (const one of blobs) upstream.blob('library/a', one);
    const replies = await Promise.all(blobs.map((one) => server.get(`/v2/docker.io/library/a/blobs/${one.digest}`)));
    for (const [at, reply] of replies.entries()) expect(await reply.sha256()).toBe(blobs[at]!.digest);
    expect(upstream.hits('token')).toBe(1);
  });
});
