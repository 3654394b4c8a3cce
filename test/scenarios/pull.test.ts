import { describe, expect } from 'vitest';
import { buildImage, descriptorOf, manifestBlob, MEDIA_TYPE, randomBlob } from '../fakes/images.ts';
import { createGate } from '../fakes/scripted-behaviour.ts';
import { scenario, times } from './harness.ts';
import { ALPINE, blobPath, manifestPath, refusalOf } from './paths.ts';
import { routesTo } from './settings.ts';

const layer = randomBlob(1_000_000);

describe('one download, many readers', () => {
  scenario('a whole image, cold and then with its upstream gone', async ({ upstream, server }) => {
    const image = upstream.image(ALPINE, '3', { layers: [100_000, 5000], platforms: ['linux/amd64', 'linux/arm64/v8'] });
    const pull = async (): Promise<void> => {
      expect(await (await server.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
      for (const manifest of image.manifests) {
        expect(await (await server.get(manifestPath(manifest.digest))).sha256()).toBe(manifest.digest);
      }
      for (const blob of [...image.layers, ...image.configs]) {
        expect(await (await server.get(blobPath(blob))).sha256()).toBe(blob.digest);
      }
    };
    await pull();
    const first = [upstream.hits('GET manifest'), upstream.hits('GET blob')];
    expect(first).toEqual([3, 4]);
    await upstream.down();
    await pull();
    expect([upstream.hits('GET manifest'), upstream.hits('GET blob')]).toEqual(first);
  });

  scenario('[P53] [CVE-2026-2581] twenty clients, one upstream request', async ({ upstream, server }) => {
    const gate = createGate();
    upstream.blob(ALPINE, layer).holdAfter(300_000, gate);
    const asked = times(20, () => server.get(blobPath(layer)));
    await gate.reached;
    const replies = await Promise.all(asked);
    gate.open();
    for (const reply of replies) expect(await reply.sha256()).toBe(layer.digest);
    expect(upstream.hits('GET blob')).toBe(1);
    expect(upstream.requests.reduce((sum, { sent }) => sum + sent, 0)).toBe(layer.size);
  });

  scenario('[P52] the first byte goes out while the upstream still sends', async ({ upstream, server }) => {
    const gate = createGate();
    upstream.blob(ALPINE, layer).holdAfter(200_000, gate);
    const reply = await server.get(blobPath(layer));
    expect(reply.headers['content-length']).toBe(String(layer.size));
    expect((await reply.next())!.length).toBeGreaterThan(0);
    gate.open();
    reply.abort();
  });

  scenario('[P53] [R04] a client that reads nothing holds nobody up', async ({ upstream, server }) => {
    const big = randomBlob(20_000_000);
    upstream.blob(ALPINE, big);
    const slow = await server.get(blobPath(big));
    const quick = await server.get(blobPath(big));
    expect(await quick.sha256()).toBe(big.digest);
    expect(await slow.sha256()).toBe(big.digest);
    expect(upstream.hits('GET blob')).toBe(1);
  });

  scenario('[P54] the client that started a fill leaves, and the fill goes on', async ({ upstream, server }) => {
    const gate = createGate();
    upstream.blob(ALPINE, layer).holdAfter(300_000, gate);
    const first = await server.get(blobPath(layer));
    await first.next();
    const second = await server.get(blobPath(layer));
    first.abort();
    gate.open();
    expect(await second.sha256()).toBe(layer.digest);
    expect(upstream.hits('GET blob')).toBe(1);
  });

  scenario('[P54] the only client leaves, and the blob is kept all the same', async ({ upstream, server }) => {
    const gate = createGate();
    upstream.blob(ALPINE, layer).holdAfter(300_000, gate);
    const only = await server.get(blobPath(layer));
    await only.next();
    only.abort();
    gate.open();
    const later = await server.get(blobPath(layer));
    expect(await later.sha256()).toBe(layer.digest);
    expect(upstream.hits('GET blob')).toBe(1);
  });

  scenario('[P64] a range of a running fill is a 206, without a second request', async ({ upstream, server }) => {
    const gate = createGate();
    upstream.blob(ALPINE, layer).holdAfter(500_000, gate);
    const first = await server.get(blobPath(layer));
    await gate.reached;
    const ranged = await server.get(blobPath(layer), { headers: { range: 'bytes=1000-1999' } });
    expect([ranged.status, ranged.headers['content-range']]).toEqual([206, `bytes 1000-1999/${layer.size}`]);
    expect(Buffer.compare(await ranged.bytes(), layer.bytes.subarray(1000, 2000))).toBe(0);
    gate.open();
    expect(await first.sha256()).toBe(layer.digest);
    expect(upstream.hits('GET blob')).toBe(1);
  });

  scenario('[P64] a range far ahead of a slow fill passes through, and the fill goes on', async ({ upstream, server }) => {
    const gate = createGate();
    upstream.blob(ALPINE, layer).holdAfter(100_000, gate).once();
    const first = await server.get(blobPath(layer));
    await gate.reached;
    const ranged = await server.get(blobPath(layer), { headers: { range: 'bytes=900000-900999' } });
    expect(ranged.status).toBe(206);
    expect(Buffer.compare(await ranged.bytes(), layer.bytes.subarray(900_000, 901_000))).toBe(0);
    expect(upstream.seen('GET blob')[1]!.range).toEqual({ from: 900_000, to: 901_000 });
    gate.open();
    expect(await first.sha256()).toBe(layer.digest);
  });

  scenario('[P42] fifty clients ask for one tag: one manifest, one token', async ({ upstream, server }) => {
    const image = upstream.image(ALPINE, '3');
    upstream.auth.set({ scheme: 'bearer' });
    const replies = await Promise.all(times(50, () => server.get(manifestPath('3'))));
    for (const reply of replies) expect(await reply.sha256()).toBe(image.top.digest);
    expect(upstream.hits('200 GET manifest') + upstream.hits('200 HEAD manifest')).toBeLessThanOrEqual(2);
    expect(upstream.hits('200 GET manifest')).toBe(1);
    expect(upstream.hits('token')).toBe(1);
  });
});

describe('a fill outlives trouble', () => {
  for (const how of ['fin', 'rst'] as const) {
    scenario(`[P68] every answer is cut at a random byte (${how}): nobody notices, nothing is fetched twice`, async (stage) => {
      const { upstream, server } = stage;
      const image = upstream.image(ALPINE, '3', { layers: [2_000_000] });
      const [big] = image.layers;
      upstream.on(`GET ${big!.digest}`).cutAfter('random', how).times(12);
      expect(await (await server.get(blobPath(big!))).sha256()).toBe(big!.digest);
      const asked = upstream.seen(`GET ${big!.digest}`);
      expect(asked.length).toBeGreaterThan(3);
      const starts = asked.map(({ range }) => range?.from ?? 0);
      expect(starts).toEqual(starts.toSorted((a, b) => a - b));
      const metrics = await server.metrics();
      expect(metrics.sum('entrepot_upstream_resumes_total', { upstream: 'hub' })).toBe(asked.length - 1);
      expect(metrics.sum('registry_proxy_pulled_bytes_total', { type: 'blob' })).toBe(big!.size);
    });
  }

  scenario('[P68] a cut without length is no end', async ({ upstream, server }) => {
    upstream.blob(ALPINE, layer).noLength('close').endAfter(400_000).once();
    const { bytes, broken } = await (await server.get(blobPath(layer))).untilBroken();
    if (!broken) expect(Buffer.compare(bytes, layer.bytes)).toBe(0);
    expect(await (await server.get(blobPath(layer))).sha256()).toBe(layer.digest);
  });

  scenario('[P74] the upstream answers 200 to the range that should go on', async ({ upstream, server }) => {
    upstream.blob(ALPINE, layer).cutAfter(600_000).once().ignoreRange();
    expect(await (await server.get(blobPath(layer))).sha256()).toBe(layer.digest);
    expect(upstream.hits('GET blob')).toBe(2);
  });

  for (const shift of [{ start: 7 }, { total: 7 }]) {
    scenario(
      `a range that is not the one asked for (${JSON.stringify(shift)}) is not spliced in`,
      async ({ upstream, server }) => {
        upstream.blob(ALPINE, layer).cutAfter(600_000).once().wrongRange(shift).once();
        const { bytes, broken } = await (await server.get(blobPath(layer))).untilBroken();
        if (!broken) expect(Buffer.compare(bytes, layer.bytes)).toBe(0);
        expect(await (await server.get(blobPath(layer))).sha256()).toBe(layer.digest);
      },
    );
  }

  scenario('[P117] the token runs out between a cut and its range', async ({ upstream, server }) => {
    upstream.auth.set({ scheme: 'bearer' });
    const gate = createGate();
    upstream.blob(ALPINE, layer).holdAfter(300_000, gate).once().cutAfter(600_000).once();
    const reply = await server.get(blobPath(layer));
    await reply.next();
    upstream.auth.expireTokens();
    gate.open();
    expect((await reply.untilBroken()).broken).toBe(false);
    expect(await (await server.get(blobPath(layer))).sha256()).toBe(layer.digest);
    expect(upstream.hits('token')).toBeLessThanOrEqual(2);
  });

  scenario(
    'the next upstream of the chain goes on where the first stopped',
    async (stage) => {
      const second = await stage.addUpstream();
      second.blob(ALPINE, layer);
      const { upstream } = stage;
      upstream.blob(ALPINE, layer).cutAfter(500_000).once().status(500).after(1);
      const settings = { a: { url: upstream.url }, b: { url: second.url } };
      const server = await stage.start({
        upstreams: settings,
        routes: [{ match: 'docker.io/**', upstreams: ['a', 'b'] }],
      });
      expect(await (await server.get(blobPath(layer))).sha256()).toBe(layer.digest);
      expect(second.seen('GET blob')[0]!.range?.from).toBeGreaterThan(0);
    },
    { settings: null },
  );
});

describe('verified or broken, never wrong', () => {
  const small = randomBlob(100_000, 7);
  for (const [what, blob, at] of [
    ['the first byte', layer, 0],
    ['a byte in the middle', layer, 500_000],
    ['the last byte', layer, -1],
    ['a byte of a small one', small, 70_000],
  ] as const) {
    scenario(
      `[P69] [GHSA-qxv7-p3mq-88fv] ${what} of a blob is wrong: never whole, never kept`,
      async ({ upstream, server }) => {
        upstream.blob(ALPINE, blob).flipByte(at).once();
        const reply = await server.get(blobPath(blob));
        const { bytes, broken } = reply.status === 200 ? await reply.untilBroken() : { bytes: Buffer.alloc(0), broken: true };
        // One that is small enough may have been asked for again before its first byte left.
        if (broken) expect(bytes.length).toBeLessThan(blob.size);
        else expect(Buffer.compare(bytes, blob.bytes)).toBe(0);
        expect((await server.metrics()).sum('entrepot_verify_failures_total', { upstream: 'hub' })).toBe(1);
        expect(await (await server.get(blobPath(blob))).sha256()).toBe(blob.digest);
        expect(upstream.hits('GET blob')).toBe(2);
      },
    );
  }

  scenario('[P69] ten followers of a wrong blob are all cut', async ({ upstream, server }) => {
    const gate = createGate();
    upstream.blob(ALPINE, layer).flipByte(-5).holdAfter(400_000, gate);
    const replies = times(10, () => server.get(blobPath(layer)));
    await gate.reached;
    gate.open();
    for (const reply of await Promise.all(replies)) {
      const { bytes, broken } = await reply.untilBroken();
      expect([broken, bytes.length < layer.size]).toEqual([true, true]);
    }
  });

  for (const by of [1, -1]) {
    scenario(`[P69] a body ${by > 0 ? 'shorter' : 'longer'} than its length is not kept`, async ({ upstream, server }) => {
      upstream.blob(ALPINE, layer).wrongLength(by).once();
      const { bytes, broken } = await (await server.get(blobPath(layer))).untilBroken();
      if (!broken) expect(bytes.length).not.toBe(0);
      expect(await (await server.get(blobPath(layer))).sha256()).toBe(layer.digest);
    });
  }

  scenario(
    '[S54] a body without length or end is given up at the size that the manifest says',
    async ({ upstream, server }) => {
      const [only] = upstream.image(ALPINE, '3', { layers: [400_000] }).layers;
      upstream.on(`GET ${only!.digest}`).otherBytes(Buffer.alloc(64_000_000, 1)).noLength();
      await (await server.get(manifestPath('3'))).bytes();
      const { bytes, broken } = await (await server.get(blobPath(only!))).untilBroken();
      expect([broken, bytes.length < only!.size]).toEqual([true, true]);
      await server.settled();
      expect((await server.metrics()).sum('entrepot_upstream_bytes_total')).toBeLessThan(16_000_000);
    },
  );

  scenario('[S54] a manifest that claims ten tebibytes: refused before a byte', async ({ upstream, server }) => {
    const top = manifestBlob(MEDIA_TYPE.ociManifest, {
      config: descriptorOf(layer, MEDIA_TYPE.ociConfig),
      layers: [{ ...descriptorOf(layer, MEDIA_TYPE.ociLayer), size: 10 * 2 ** 40 }],
    });
    upstream.manifest(ALPINE, '3', top);
    upstream.blob(ALPINE, layer);
    await (await server.get(manifestPath('3'))).bytes();
    expect(await refusalOf(await server.get(blobPath(layer)))).toBe('502 UNAVAILABLE');
  });

  scenario('[P23] [CVE-2024-6915] a manifest with a wrong byte is 502, and nothing is kept', async ({ upstream, server }) => {
    const image = buildImage();
    upstream.manifest(ALPINE, '3', image.top).flipByte(20).to('GET').once();
    const reply = await server.get(manifestPath(image.top.digest));
    expect(reply.status).toBe(502);
    expect((await server.metrics()).sum('entrepot_verify_failures_total')).toBe(1);
    expect(await (await server.get(manifestPath(image.top.digest))).sha256()).toBe(image.top.digest);
  });

  scenario(
    '[P23] a wrong manifest at the first upstream, a right one at the next',
    async (stage) => {
      const second = await stage.addUpstream();
      const image = second.image(ALPINE, '3');
      stage.upstream.manifest(ALPINE, '3', image.top).flipByte(20);
      const server = await stage.start({
        upstreams: { a: { url: stage.upstream.url }, b: { url: second.url } },
        routes: [{ match: 'docker.io/**', upstreams: ['a', 'b'] }],
      });
      expect(await (await server.get(manifestPath(image.top.digest))).sha256()).toBe(image.top.digest);
      expect(second.hits('GET manifest')).toBe(1);
    },
    { settings: null },
  );
});

describe('after a restart', () => {
  scenario(
    '[P22] what was kept is served without asking',
    async (stage) => {
      const { upstream } = stage;
      const image = upstream.image(ALPINE, '3', { layers: [400_000] });
      const before = await stage.start(routesTo(upstream), 'same');
      await (await before.get(manifestPath('3'))).bytes();
      await (await before.get(blobPath(image.layers[0]!))).bytes();
      await before.stop();
      await upstream.down();
      const after = await stage.start(routesTo(upstream), 'same');
      expect(await (await after.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
      expect(await (await after.get(blobPath(image.layers[0]!))).sha256()).toBe(image.layers[0]!.digest);
    },
    { settings: null },
  );
});
