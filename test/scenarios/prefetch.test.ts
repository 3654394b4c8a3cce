import { describe, expect } from 'vitest';
import { descriptorOf, manifestBlob, MEDIA_TYPE, randomBlob, type Image, type ImageOptions } from '../fakes/images.ts';
import { createGate } from '../fakes/scripted-behaviour.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { until } from './acceptance.ts';
import { scenario, times } from './harness.ts';
import { ALPINE, blobPath, manifestPath } from './paths.ts';
import { chainTo, routesTo, type Settings } from './settings.ts';

const layers = { prefetch: 'layers' };
const ahead = { settings: (upstream: { readonly url: string }) => routesTo(upstream, layers) };
const own = { settings: null };

/** Resolves when the upstream has been asked for all blobs of the image, and nothing runs any more. */
async function filled(
  upstream: ScriptedUpstream,
  server: { settled(): Promise<void>; metrics(): Promise<{ sum(name: string, labels?: Record<string, string>): number }> },
  image: Pick<Image, 'layers' | 'config'>,
): Promise<void> {
  const blobs = [...image.layers, image.config];
  for (const { digest } of blobs) await upstream.received(`GET ${digest}`);
  await until(
    async () => (await server.metrics()).sum('entrepot_fills_total', { outcome: 'done' }),
    (done) => done >= blobs.length,
  );
  await server.settled();
}

function imageOf(upstream: ScriptedUpstream, options: ImageOptions = {}): Image {
  return upstream.image(ALPINE, '3', { layers: [3000, 300_000, 4000], ...options });
}

describe('prefetch: layers', () => {
  scenario(
    'a manifest that is served brings its blobs, each asked for once, and what follows are hits',
    async ({ upstream, server }) => {
      const image = imageOf(upstream);
      await (await server.get(manifestPath('3'))).bytes();
      await filled(upstream, server, image);
      upstream.on('blob').status(500);
      for (const blob of [...image.layers, image.config]) {
        const reply = await server.get(blobPath(blob));
        expect([await reply.sha256(), reply.headers['cache-status']]).toEqual([blob.digest, 'entrepot; hit']);
        expect(upstream.hits(`GET ${blob.digest}`)).toBe(1);
      }
      // Served again, from here: nothing is missing, nobody is asked.
      upstream.forget();
      for (const reference of ['3', image.top.digest]) await (await server.get(manifestPath(reference))).bytes();
      await server.settled();
      expect(upstream.requests).toEqual([]);
    },
    ahead,
  );

  scenario(
    'a client that asks at the same time joins: each blob is asked for once, and it waits for nothing else',
    async ({ upstream, server }) => {
      const image = imageOf(upstream);
      const gate = createGate();
      const [small, large] = image.layers;
      upstream.blob(ALPINE, large!).holdAfter(100_000, gate);
      await (await server.get(manifestPath('3'))).bytes();
      await upstream.received(`GET ${large!.digest}`);
      const reading = server.get(blobPath(large!));
      for (const blob of [small!, image.layers[2]!, image.config]) {
        expect(await (await server.get(blobPath(blob))).sha256()).toBe(blob.digest);
      }
      gate.open();
      expect(await (await reading).sha256()).toBe(large!.digest);
      for (const { digest } of [...image.layers, image.config]) expect(upstream.hits(`GET ${digest}`)).toBe(1);
    },
    ahead,
  );

  scenario(
    'only what is not held',
    async ({ upstream, server }) => {
      const image = imageOf(upstream);
      await (await server.get(blobPath(image.layers[1]!))).bytes();
      await server.settled();
      await (await server.get(manifestPath(image.top.digest))).bytes();
      for (const { digest } of [image.layers[0]!, image.layers[2]!, image.config]) await upstream.received(`GET ${digest}`);
      await server.settled();
      expect(upstream.hits(image.layers[1]!.digest)).toBe(1);
    },
    ahead,
  );

  scenario(
    'at most four at once, and then the rest',
    async ({ upstream, server }) => {
      const image = imageOf(upstream, { layers: times(9, (at) => 2000 + at) });
      const gate = createGate();
      upstream.on('GET blob').holdAfter(10, gate);
      await (await server.get(manifestPath('3'))).bytes();
      await upstream.received('GET blob', 4);
      // A whole round through server and upstream: a fifth would have come.
      for (const _ of times(5, () => 0)) await (await server.get(manifestPath('none'))).bytes();
      expect(upstream.hits('GET blob')).toBe(4);
      gate.open();
      await filled(upstream, server, image);
      expect(upstream.hits('GET blob')).toBe(10);
    },
    ahead,
  );

  scenario(
    'a balance takes one turn for each blob',
    async (stage) => {
      const { upstream } = stage;
      const other = await stage.addUpstream();
      const image = imageOf(upstream, { layers: times(7, (at) => 2000 + at) });
      imageOf(other, { layers: times(7, (at) => 2000 + at) });
      const upstreams = { a: { url: upstream.url }, b: { url: other.url } };
      const server = await stage.start(chainTo(upstreams, { ...layers, balance: 'round-robin' }));
      await (await server.get(manifestPath('3'))).bytes();
      const done = async (): Promise<number> => (await server.metrics()).sum('entrepot_fills_total', { outcome: 'done' });
      await until(done, (count) => count === image.layers.length + 1);
      expect([upstream.hits('GET blob'), other.hits('GET blob')]).toEqual([4, 4]);
    },
    own,
  );

  for (const [what, policy, path] of [
    ['without the key', {}, (image: Image) => manifestPath(image.top.digest)],
    ['an index without platforms', layers, () => manifestPath('multi')],
  ] as const) {
    scenario(
      `${what}: nothing but what is asked for`,
      async (stage) => {
        const { upstream } = stage;
        const image = imageOf(upstream);
        upstream.image(ALPINE, 'multi', { platforms: ['linux/amd64'], label: 'm' });
        const server = await stage.start(routesTo(upstream, policy));
        await (await server.get(path(image))).bytes();
        for (const _ of times(5, () => 0)) await (await server.get(manifestPath('none'))).bytes();
        await server.settled();
        expect([upstream.hits('blob'), upstream.hits('GET manifest')]).toEqual([0, 2]);
      },
      own,
    );
  }

  scenario(
    'HEAD and 304 bring nothing',
    async ({ upstream, server }) => {
      const image = imageOf(upstream);
      expect((await server.head(manifestPath('3'))).status).toBe(200);
      const { digest } = image.top;
      const reply = await server.get(manifestPath('3'), { headers: { 'if-none-match': `"${digest}"` } });
      expect(reply.status).toBe(304);
      for (const _ of times(5, () => 0)) await (await server.get(manifestPath('none'))).bytes();
      expect(upstream.hits('blob')).toBe(0);
    },
    ahead,
  );

  scenario(
    'layers that name addresses of their own are left alone',
    async ({ upstream, server }) => {
      const [own, foreign, config] = [randomBlob(100, 1), randomBlob(200, 2), randomBlob(50, 3)];
      const manifest = manifestBlob(MEDIA_TYPE.dockerManifest, {
        config: descriptorOf(config, MEDIA_TYPE.dockerConfig),
        layers: [
          {
            ...descriptorOf(foreign, 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'),
            urls: ['http://127.0.0.1:1/x'],
          },
          descriptorOf(own, MEDIA_TYPE.dockerLayer),
        ],
      });
      for (const blob of [own, foreign, config]) upstream.blob(ALPINE, blob);
      upstream.manifest(ALPINE, '3', manifest);
      await (await server.get(manifestPath('3'))).bytes();
      await filled(upstream, server, { layers: [own], config });
      expect(upstream.hits(foreign.digest)).toBe(0);
    },
    ahead,
  );

  scenario(
    'what an upstream refuses costs the client that asks for it nothing but its own question',
    async ({ upstream, server }) => {
      const image = imageOf(upstream);
      const [missing] = image.layers;
      upstream.blob(ALPINE, missing!).status(404).once();
      await (await server.get(manifestPath('3'))).bytes();
      await upstream.received(`404 ${missing!.digest}`);
      for (const { digest } of [...image.layers.slice(1), image.config]) await upstream.received(`GET ${digest}`);
      await server.settled();
      expect(await (await server.get(blobPath(missing!))).sha256()).toBe(missing!.digest);
    },
    ahead,
  );
});

describe('platforms', () => {
  const platforms = ['linux/amd64', 'linux/arm64', 'linux/arm/v7', 'windows/amd64'];
  const cases: readonly (readonly [written: readonly string[], followed: readonly string[]])[] = [
    [
      ['linux/amd64', 'linux/arm64/v8'],
      ['linux/amd64', 'linux/arm64'],
    ],
    [['linux/arm'], ['linux/arm/v7']],
    [['linux/s390x'], []],
  ];
  for (const [written, followed] of cases) {
    scenario(
      `${written.join(', ')}: of an index only those are followed, and it is served as it is`,
      async (stage) => {
        const { upstream } = stage;
        const server = await stage.start(routesTo(upstream, { ...layers, platforms: written }));
        const image = imageOf(upstream, { platforms });
        expect(await (await server.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
        for (const platform of followed) {
          const at = platforms.indexOf(platform);
          await filled(upstream, server, { layers: image.layers, config: image.configs[at]! });
        }
        for (const _ of times(5, () => 0)) await (await server.get(manifestPath('none'))).bytes();
        await server.settled();
        const asked = (digest: string): number => upstream.hits(`GET ${digest}`);
        expect(image.manifests.map(({ digest }) => asked(digest))).toEqual(
          platforms.map((name) => Number(followed.includes(name))),
        );
        expect(image.configs.map(({ digest }) => asked(digest))).toEqual(
          platforms.map((name) => Number(followed.includes(name))),
        );
        for (const { digest } of image.layers) expect(asked(digest)).toBe(Math.min(1, followed.length));
        // The client asks for what it needs, whatever is fetched ahead.
        const other = image.manifests[3]!;
        expect(await (await server.get(manifestPath(other.digest))).sha256()).toBe(other.digest);
        for (const followedManifest of image.manifests.filter((_, at) => followed.includes(platforms[at]!))) {
          expect(await (await server.get(manifestPath(followedManifest.digest))).sha256()).toBe(followedManifest.digest);
          expect(asked(followedManifest.digest)).toBe(1);
        }
      },
      own,
    );
  }
});

describe('who waits comes first', () => {
  const narrow = (upstream: ScriptedUpstream, concurrency: number, policy: Settings = layers): Settings =>
    routesTo(upstream, policy, { concurrency });

  scenario(
    'an upstream with one transfer at a time: what nobody reads gives it to the client that asks for another blob',
    async (stage) => {
      const { upstream } = stage;
      const server = await stage.start(narrow(upstream, 1));
      const image = imageOf(upstream);
      const gate = createGate();
      stage.defer(() => gate.open());
      // Smaller than any of them: a body that is held at its very end would hold its connection too.
      for (const blob of [...image.layers, image.config]) upstream.blob(ALPINE, blob).holdAfter(10, gate).once();
      await (await server.get(manifestPath('3'))).bytes();
      await upstream.received('GET blob');
      const other = upstream.image(ALPINE, 'other', { label: 'other' });
      expect(await (await server.get(manifestPath('other'))).sha256()).toBe(other.top.digest);
      expect(await (await server.get(blobPath(other.config))).sha256()).toBe(other.config.digest);
      // What had begun goes on for whoever asks.
      gate.open();
      for (const blob of [...image.layers, image.config])
        expect(await (await server.get(blobPath(blob))).sha256()).toBe(blob.digest);
    },
    own,
  );

  scenario(
    'an upstream that is half in use is left alone',
    async (stage) => {
      const { upstream } = stage;
      const server = await stage.start(narrow(upstream, 2));
      const gate = createGate();
      stage.defer(() => gate.open());
      const blob = randomBlob(400_000, 7);
      upstream.blob(ALPINE, blob).holdAfter(1000, gate);
      const reading = server.get(blobPath(blob));
      await upstream.received('GET blob');
      imageOf(upstream);
      await (await server.get(manifestPath('3'))).bytes();
      for (const _ of times(5, () => 0)) await (await server.get(manifestPath('none'))).bytes();
      expect(upstream.hits('GET blob')).toBe(1);
      gate.open();
      expect(await (await reading).sha256()).toBe(blob.digest);
    },
    own,
  );

  scenario(
    'after a 429 nothing is asked ahead',
    async (stage) => {
      const { upstream } = stage;
      const image = imageOf(upstream);
      const other = upstream.image(ALPINE, 'other', { label: 'other' });
      const before = await stage.start(routesTo(upstream));
      await (await before.get(manifestPath('3'))).bytes();
      await before.stop();
      const server = await stage.start(routesTo(upstream, layers));
      upstream.manifest(ALPINE, 'other', other.top).status(429, { 'retry-after': '60' });
      expect((await server.get(manifestPath('other'))).status).toBe(429);
      expect(await (await server.get(manifestPath(image.top.digest))).sha256()).toBe(image.top.digest);
      for (const _ of times(5, () => 0)) await (await server.get(manifestPath('3'))).bytes();
      await server.settled();
      expect(upstream.hits('blob')).toBe(0);
      // Nothing is wrong with blobs: who asks for one gets it.
      expect(await (await server.get(blobPath(image.config))).sha256()).toBe(image.config.digest);
    },
    own,
  );
});

describe('it ends', () => {
  scenario(
    'with a reload: what runs for nobody is parked, what waits is forgotten, and a client takes up what there is',
    async (stage) => {
      const { upstream } = stage;
      const server = await stage.start(routesTo(upstream, layers));
      const image = imageOf(upstream, { layers: times(6, () => 400_000) });
      const gate = createGate();
      stage.defer(() => gate.open());
      for (const layer of image.layers) upstream.blob(ALPINE, layer).holdAfter(200_000, gate).once();
      await (await server.get(manifestPath('3'))).bytes();
      // The config came whole, and four layers are on their way.
      await upstream.received('GET blob', 5);
      await server.reload(routesTo(upstream));
      await server.settled();
      expect((await server.metrics()).sum('entrepot_fills_total', { outcome: 'parked' })).toBe(4);
      for (const _ of times(5, () => 0)) await (await server.get(manifestPath('none'))).bytes();
      expect(upstream.hits('GET blob')).toBe(5);
      gate.open();
      for (const blob of [...image.layers, image.config])
        expect(await (await server.get(blobPath(blob))).sha256()).toBe(blob.digest);
    },
    own,
  );

  scenario(
    'with SIGTERM: it does not keep the server from ending, and what it had is taken up by the next',
    async (stage) => {
      const { upstream } = stage;
      const server = await stage.start(routesTo(upstream, layers));
      const image = upstream.image(ALPINE, '3', { layers: [400_000] });
      const gate = createGate();
      stage.defer(() => gate.open());
      const [layer] = image.layers;
      upstream.blob(ALPINE, layer!).holdAfter(200_000, gate).once();
      await (await server.get(manifestPath('3'))).bytes();
      await upstream.received(`GET ${layer!.digest}`);
      await gate.reached;
      await server.stop();
      const next = await stage.start(routesTo(upstream, layers));
      expect(await (await next.get(blobPath(layer!))).sha256()).toBe(layer!.digest);
    },
    own,
  );
});
