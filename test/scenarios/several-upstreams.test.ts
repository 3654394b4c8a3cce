import { describe, expect } from 'vitest';
import { buildImage, randomBlob } from '../fakes/images.ts';
import { scenario, times } from './harness.ts';
import { ALPINE, blobPath, manifestPath, refusalOf } from './paths.ts';
import { chainTo, routesTo } from './settings.ts';

const own = { settings: null };

describe('[R24] a mirror behind a mirror', () => {
  for (const [how, options] of [
    ['by path', { path: 'docker.io' }],
    ['by ns', { ns: true }],
  ] as const) {
    scenario(
      `${how}: pulled cold, whole and in parts, and asked once`,
      async (stage) => {
        const { upstream } = stage;
        const near = await stage.start(routesTo(upstream), 'near');
        const far = await stage.start(routesTo(near, {}, options), 'far');
        const image = upstream.image(ALPINE, '3', { layers: [300_000, 5000], platforms: ['linux/amd64'] });
        const [large, small] = image.layers;

        const head = await far.head(blobPath(large!));
        expect([head.status, head.headers['content-length']]).toEqual([200, String(large!.size)]);
        const part = await far.get(blobPath(small!), { headers: { range: 'bytes=100-199' } });
        expect([part.status, part.headers['content-range']]).toEqual([206, `bytes 100-199/${small!.size}`]);
        expect(Buffer.compare(await part.bytes(), small!.bytes.subarray(100, 200))).toBe(0);
        for (const manifest of [image.top, ...image.manifests]) {
          expect((await far.head(manifestPath(manifest.digest))).headers['content-type']).toBe(manifest.mediaType);
          expect(await (await far.get(manifestPath(manifest.digest))).sha256()).toBe(manifest.digest);
        }
        expect(await (await far.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
        for (const blob of [...image.layers, image.config]) {
          expect(await (await far.get(blobPath(blob))).sha256()).toBe(blob.digest);
          expect(upstream.hits(`GET ${blob.digest}`)).toBe(1);
        }
        expect(await (await far.get(`/v2/docker.io/${ALPINE}/tags/list`)).json()).toMatchObject({ tags: ['3'] });
        expect(await refusalOf(await far.get(manifestPath('none')))).toBe('404 MANIFEST_UNKNOWN');
        expect(await refusalOf(await far.get(blobPath(randomBlob(9))))).toBe('404 BLOB_UNKNOWN');
      },
      own,
    );
  }
});

describe('[R25] two upstreams that disagree about a tag', () => {
  scenario(
    'the answer stays the same within its ttl, and what one lacks comes from the other',
    async (stage) => {
      const [a, b] = [stage.upstream, await stage.addUpstream()];
      const server = await stage.start(chainTo({ a: { url: a.url }, b: { url: b.url } }));
      const image = a.image(ALPINE, 'latest', { layers: [40_000] });
      b.image(ALPINE, 'latest', { layers: [50_000] });
      b.blob(ALPINE, image.layers[0]!);
      a.remove(ALPINE, image.layers[0]!.digest);
      for (const _ of times(3, () => 0))
        expect(await (await server.get(manifestPath('latest'))).sha256()).toBe(image.top.digest);
      expect(await (await server.get(blobPath(image.layers[0]!))).sha256()).toBe(image.layers[0]!.digest);
      await a.down();
      expect(await (await server.get(manifestPath('latest'))).sha256()).toBe(image.top.digest);
      expect([a.hits('GET manifest'), b.hits('manifest')]).toEqual([1, 0]);
    },
    own,
  );

  scenario(
    'while the first comes and goes: whatever is answered is an image that can be pulled',
    async (stage) => {
      const [a, b] = [stage.upstream, await stage.addUpstream()];
      const server = await stage.start(chainTo({ a: { url: a.url }, b: { url: b.url } }, { tagttl: '1ms' }));
      const images = times(2, (at) => buildImage({ layers: [20_000 + at], label: `image ${at}` }));
      for (const upstream of [a, b]) {
        for (const image of images) {
          upstream.manifest(ALPINE, undefined, image.top);
          for (const blob of [...image.layers, image.config]) upstream.blob(ALPINE, blob);
        }
      }
      a.tag(ALPINE, 'latest', images[0]!.top.digest);
      b.tag(ALPINE, 'latest', images[1]!.top.digest);
      const seen = new Set<string>();
      for (const round of times(8, (at) => at)) {
        if (round > 0) await (round % 2 === 0 ? a.up() : a.down());
        const reply = await server.get(manifestPath('latest'));
        const image = images.find(({ top }) => top.digest === reply.headers['docker-content-digest'])!;
        seen.add(await reply.sha256());
        expect([...seen]).toContain(image.top.digest);
        for (const blob of [...image.layers, image.config]) {
          expect(await (await server.get(blobPath(blob))).sha256()).toBe(blob.digest);
        }
      }
      expect(seen.size).toBe(2);
    },
    own,
  );
});
