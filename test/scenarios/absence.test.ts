import { describe, expect } from 'vitest';
import { randomBlob } from '../fakes/images.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { scenario, times, type Stage } from './harness.ts';
import { ALPINE, blobPath, manifestPath, refusalOf } from './paths.ts';
import { chainTo, routesTo, type Settings } from './settings.ts';

const own = { settings: null };
const tagsPath = `/v2/docker.io/${ALPINE}/tags/list`;

/** Three upstreams in a chain, and a server in front of them. */
async function three(stage: Stage, policy: Settings = {}) {
  const upstreams = [stage.upstream, await stage.addUpstream(), await stage.addUpstream()] as const;
  const [a, b, c] = upstreams;
  const settings = chainTo({ a: { url: a.url }, b: { url: b.url }, c: { url: c.url } }, policy);
  const hits = (pattern: string): number[] => upstreams.map((upstream) => upstream.hits(pattern));
  return { a, b, c, settings, hits, server: await stage.start(settings) };
}

describe('a 404 of one upstream goes on to the next', () => {
  scenario(
    'manifests, blobs and lists come from the last of three, each asked once',
    async (stage) => {
      const { c, server, hits } = await three(stage);
      const image = c.image(ALPINE, '3', { layers: [5000] });
      expect(await (await server.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
      expect(hits('GET manifest')).toEqual([1, 1, 1]);
      expect(await (await server.get(blobPath(image.layers[0]!))).sha256()).toBe(image.layers[0]!.digest);
      expect(hits('GET blob')).toEqual([1, 1, 1]);
      // An upstream that knows the repository's name but nothing in it has a list, and that is an answer.
      expect(await (await server.get(tagsPath)).json()).toMatchObject({ tags: ['3'] });
      expect(hits('tags')).toEqual([1, 1, 1]);
    },
    own,
  );

  scenario(
    'of all three is one, remembered for the route: hits are counted',
    async (stage) => {
      const { server, hits, settings } = await three(stage);
      const blob = randomBlob(100);
      for (const _ of times(3, () => 0)) {
        for (const path of [manifestPath('none'), blobPath(blob), tagsPath])
          expect(await refusalOf(await server.get(path))).toBe('404 NAME_UNKNOWN');
      }
      expect((await server.get(manifestPath('none'))).headers['cache-status']).toBe('entrepot; hit; detail=negative');
      expect((await server.head(manifestPath('none'))).status).toBe(404);
      expect([hits('manifest'), hits('blob'), hits('tags')]).toEqual(times(3, () => [1, 1, 1]));

      // Another chain may know more: what the old one said does not bind it.
      await server.reload(settings);
      expect((await server.get(manifestPath('none'))).status).toBe(404);
      expect(hits('manifest')).toEqual([2, 2, 2]);
    },
    own,
  );

  scenario(
    'a reload that adds an upstream is felt at once',
    async (stage) => {
      const { upstream } = stage;
      const late = await stage.addUpstream();
      const image = late.image(ALPINE, '3');
      const server = await stage.start(routesTo(upstream, { negativettl: '1h' }));
      expect((await server.get(manifestPath('3'))).status).toBe(404);
      await server.reload(chainTo({ hub: { url: upstream.url }, late: { url: late.url } }, { negativettl: '1h' }));
      expect(await (await server.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
    },
    own,
  );

  scenario(
    'negativettl 0s remembers nothing',
    async (stage) => {
      const { server, hits } = await three(stage, { negativettl: '0s' });
      for (const _ of times(2, () => 0)) expect((await server.get(manifestPath('none'))).status).toBe(404);
      expect(hits('manifest')).toEqual([2, 2, 2]);
    },
    own,
  );
});

describe('a 404 beside trouble is no absence', () => {
  const troubles: readonly [string, (upstream: ScriptedUpstream) => unknown, string][] = [
    ['a 503', (upstream) => upstream.all.status(503), '502 UNAVAILABLE'],
    ['a 429', (upstream) => upstream.all.status(429, { 'retry-after': '1' }), '429 TOOMANYREQUESTS'],
    [
      'an unreadable manifest',
      (upstream) => upstream.manifest(ALPINE, '3', { ...randomBlob(20), mediaType: 'text/html' }),
      '502 UNAVAILABLE',
    ],
    ['nobody there', (upstream) => upstream.down(), '502 UNAVAILABLE'],
  ];
  for (const [what, befall, refusal] of troubles) {
    for (const place of [0, 1, 2]) {
      scenario(
        `${what} at place ${place}: ${refusal}, and the next request asks again`,
        async (stage) => {
          const { a, b, c, server } = await three(stage);
          const troubled = [a, b, c][place]!;
          const others = [a, b, c].filter((upstream) => upstream !== troubled);
          await befall(troubled);
          expect(await refusalOf(await server.get(manifestPath('3')))).toBe(refusal);
          expect(others.map((upstream) => upstream.hits('GET manifest'))).toEqual([1, 1]);
          // What was not found out is not remembered: it is there now.
          const image = others[1]!.image(ALPINE, '3');
          expect(await (await server.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
        },
        own,
      );
    }
  }
});

describe('immutable tags are asked for once', () => {
  const policy = { immutable: ['v*'], tagttl: '1ms', negativettl: '0s' };

  scenario(
    'HEAD, then GET, then a restart: one HEAD and one GET upstream',
    async (stage) => {
      const { upstream } = stage;
      const image = upstream.image(ALPINE, 'v1');
      const before = await stage.start(routesTo(upstream, policy));
      expect((await before.head(manifestPath('v1'))).headers['docker-content-digest']).toBe(image.top.digest);
      const again = async (server: Pick<typeof before, 'get' | 'head'>): Promise<void> => {
        for (const _ of times(3, () => 0)) {
          const got = await server.get(manifestPath('v1'));
          expect([await got.sha256(), got.headers['cache-status']]).toEqual([image.top.digest, 'entrepot; hit']);
          expect((await server.head(manifestPath('v1'))).headers['docker-content-digest']).toBe(image.top.digest);
        }
      };
      expect(await (await before.get(manifestPath('v1'))).sha256()).toBe(image.top.digest);
      await again(before);
      await before.stop();
      // It moved all the same: nobody asks, so nobody knows.
      upstream.image(ALPINE, 'v1', { label: 'another' });
      await again(await stage.start(routesTo(upstream, policy)));
      expect([upstream.hits('HEAD manifest'), upstream.hits('GET manifest')]).toEqual([1, 1]);
    },
    own,
  );

  scenario(
    'a 404 of one is forgotten as any other',
    async (stage) => {
      const { upstream } = stage;
      const server = await stage.start(routesTo(upstream, policy));
      expect((await server.get(manifestPath('v1'))).status).toBe(404);
      const image = upstream.image(ALPINE, 'v1');
      expect(await (await server.get(manifestPath('v1'))).sha256()).toBe(image.top.digest);
    },
    own,
  );
});

describe('a tag that vanished upstream', () => {
  const gone = (ondelete: string): Settings => ({ tagttl: '0s', negativettl: '0s', ondelete });

  scenario(
    'ondelete keep: served stale, and says so',
    async (stage) => {
      const { a, server } = await three(stage, gone('keep'));
      const image = a.image(ALPINE, '3');
      await (await server.get(manifestPath('3'))).bytes();
      await (await server.get(tagsPath)).bytes();
      a.remove(ALPINE, '3');
      a.on('tags').status(404);
      for (const reply of [await server.get(manifestPath('3')), await server.head(manifestPath('3'))]) {
        expect([reply.status, reply.headers['warning']]).toEqual([200, '299 entrepot "the tag is gone upstream"']);
        expect(reply.headers['docker-content-digest']).toBe(image.top.digest);
      }
      const list = await server.get(tagsPath);
      expect(await list.json()).toMatchObject({ tags: ['3'] });
      expect(list.headers['warning']).toBe('299 entrepot "the list is gone upstream"');
    },
    own,
  );

  for (const method of ['get', 'head'] as const) {
    scenario(
      `ondelete drop, found by ${method}: 404, the tag is forgotten, what its digest names is not`,
      async (stage) => {
        const { a, b, c, server, hits, settings } = await three(stage, gone('drop'));
        const image = b.image(ALPINE, '3');
        await (await server.get(manifestPath('3'))).bytes();
        await (await server.get(tagsPath)).bytes();
        b.remove(ALPINE, '3');
        b.on('tags').status(404);
        expect((await server[method](manifestPath('3'))).status).toBe(404);
        expect((await server.get(tagsPath)).status).toBe(404);
        expect(await (await server.get(manifestPath(image.top.digest))).sha256()).toBe(image.top.digest);
        expect(hits(`GET ${image.top.digest}`)).toEqual([0, 0, 0]);
        // Forgotten for good: trouble does not bring it back.
        for (const upstream of [a, b, c]) await upstream.down();
        expect(await refusalOf(await server.get(manifestPath('3')))).toBe('502 UNAVAILABLE');
        expect(await refusalOf(await server.get(tagsPath))).toBe('502 UNAVAILABLE');
        await server.stop();
        const offline = await stage.start({ ...settings, offline: true });
        expect(await refusalOf(await offline.get(manifestPath('3')))).toBe('404 MANIFEST_UNKNOWN');
        expect(await (await offline.get(manifestPath(image.top.digest))).sha256()).toBe(image.top.digest);
      },
      own,
    );
  }

  const unsure: readonly [string, (upstream: ScriptedUpstream) => unknown][] = [
    ['fails', (upstream) => upstream.all.status(500)],
    ['is limited', (upstream) => upstream.all.status(429)],
    ['cannot be reached', (upstream) => upstream.down()],
    ['wants a sign-in for it', (upstream) => upstream.all.status(401)],
    ['refuses it', (upstream) => upstream.all.status(403)],
  ];
  for (const [what, befall] of unsure) {
    scenario(
      `ondelete drop, but one of the chain ${what}: kept`,
      async (stage) => {
        const { a, b, server } = await three(stage, { tagttl: '0s', retry: '0s', ondelete: 'drop' });
        const image = b.image(ALPINE, '3');
        await (await server.get(manifestPath('3'))).bytes();
        await (await server.get(tagsPath)).bytes();
        b.remove(ALPINE, '3');
        b.on('tags').status(404);
        await befall(a);
        for (const _ of times(2, () => 0)) {
          expect(await (await server.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
          expect(await (await server.get(tagsPath)).json()).toMatchObject({ tags: ['3'] });
        }
      },
      own,
    );
  }
});
