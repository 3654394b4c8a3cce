import { rm } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { blobOf, buildImage, randomBlob, type Blob } from '../fakes/images.ts';
import { scenario, times, type Stage } from './harness.ts';
import { ALPINE, blobPath, fileOf, manifestPath, refusalOf } from './paths.ts';
import { routesTo } from './settings.ts';

const blob = randomBlob(5000);
const layer = randomBlob(1_000_000, 2);

/** As most tests want it: held already. */
async function held({ upstream, server }: Stage, what: Blob = blob): Promise<void> {
  upstream.blob(ALPINE, what);
  await (await server.get(blobPath(what))).bytes();
  await server.settled();
  upstream.forget();
}

describe('blobs', () => {
  scenario('[P49] [P50] GET and HEAD of a held blob', async (stage) => {
    await held(stage);
    const got = await stage.server.get(blobPath(blob));
    const head = await stage.server.head(blobPath(blob));
    for (const reply of [got, head]) {
      expect(reply.status).toBe(200);
      expect(reply.headers).toMatchObject({
        'content-length': '5000',
        'content-type': 'application/octet-stream',
        'docker-content-digest': blob.digest,
        'accept-ranges': 'bytes',
        etag: `"${blob.digest}"`,
        'cache-status': expect.stringMatching(/^entrepot; hit/),
      });
      expect(reply.headers['content-encoding']).toBeUndefined();
    }
    expect(Buffer.compare(await got.bytes(), blob.bytes)).toBe(0);
    expect((await head.bytes()).length).toBe(0);
    expect(stage.upstream.requests).toEqual([]);
  });

  for (const status of [401, 403, 405]) {
    scenario(`[P51] HEAD of what is not held, refused with ${status} upstream`, async ({ upstream, server }) => {
      upstream.auth.set({ scheme: 'bearer' });
      const challenge = `Bearer realm="${upstream.url}/token",service="registry.test"`;
      upstream.blob(ALPINE, layer).refuseHead(status).header('www-authenticate', challenge).to('HEAD');
      const reply = await server.head(blobPath(layer));
      expect([reply.status, reply.headers['content-length']]).toEqual([200, String(layer.size)]);
      expect(upstream.requests.reduce((sum, { sent }) => sum + sent, 0)).toBeLessThan(1000);
    });
  }

  for (const [title, range, expected] of [
    ['[P55] a range', 'bytes=500-1499', [500, 1500]],
    ['[P56] from a byte on', 'bytes=500-', [500, 5000]],
    ['[P57] the last bytes', 'bytes=-500', [4500, 5000]],
    ['[P57] more last bytes than there are', 'bytes=-9000', [0, 5000]],
    ['[P58] an end beyond the end', 'bytes=2000-9000', [2000, 5000]],
    ['[P58] up to the size', 'bytes=4999-5000', [4999, 5000]],
    ['[P59] from beyond the end', 'bytes=5000-10000', 416],
    ['[P60] another unit', 'items=0-5', 200],
    ['[P60] no numbers', 'bytes=abc', 200],
    ['[P67] beyond 2^53', 'bytes=99999999999999999999-', 416],
  ] as const) {
    scenario(`${title}: ${range}`, async (stage) => {
      await held(stage);
      const reply = await stage.server.get(blobPath(blob), { headers: { range } });
      const bytes = await reply.bytes();
      if (expected === 200) {
        expect([reply.status, bytes.length]).toEqual([200, 5000]);
      } else if (expected === 416) {
        expect([reply.status, reply.headers['content-range']]).toEqual([416, 'bytes */5000']);
      } else {
        const [from, to] = expected;
        expect([reply.status, reply.headers['content-range']]).toEqual([206, `bytes ${from}-${to - 1}/5000`]);
        expect(reply.headers['docker-content-digest']).toBe(blob.digest);
        expect(reply.headers['content-length']).toBe(String(to - from));
        expect(Buffer.compare(bytes, blob.bytes.subarray(from, to))).toBe(0);
      }
      expect(stage.upstream.requests).toEqual([]);
    });
  }

  scenario('[P59] a range that ends before it begins', async (stage) => {
    await held(stage);
    const reply = await stage.server.get(blobPath(blob), { headers: { range: 'bytes=500-0' } });
    expect([200, 416]).toContain(reply.status);
  });

  scenario('[P61] several ranges: all of them or the whole', async (stage) => {
    await held(stage);
    const reply = await stage.server.get(blobPath(blob), { headers: { range: 'bytes=0-99,200-299' } });
    if (reply.status === 206) expect(reply.headers['content-type']).toMatch(/^multipart\/byteranges; boundary=[A-Za-z0-9:-]+$/);
    else expect([reply.status, await reply.sha256()]).toEqual([200, blob.digest]);
  });

  scenario('[P62] a thousand overlapping ranges are no amplifier', async (stage) => {
    await held(stage);
    const range = `bytes=${times(1000, () => '0-4999').join(',')}`;
    const reply = await stage.server.get(blobPath(blob), { headers: { range } });
    expect((await reply.bytes()).length).toBeLessThanOrEqual(5000);
  });

  scenario('[P63] If-Range', async (stage) => {
    await held(stage);
    const statusOf = async (ifRange: string): Promise<number> => {
      return (await stage.server.get(blobPath(blob), { headers: { range: 'bytes=0-9', 'if-range': ifRange } })).status;
    };
    expect(await statusOf(`"${blob.digest}"`)).toBe(206);
    expect(await statusOf('"another"')).toBe(200);
    expect(await statusOf(`W/"${blob.digest}"`)).toBe(200);
  });

  scenario('[P64] a range of what is not held is 206', async ({ upstream, server }) => {
    upstream.blob(ALPINE, layer);
    const reply = await server.get(blobPath(layer), { headers: { range: 'bytes=900000-900999' } });
    expect([reply.status, reply.headers['content-range']]).toEqual([206, 'bytes 900000-900999/1000000']);
    expect(Buffer.compare(await reply.bytes(), layer.bytes.subarray(900_000, 901_000))).toBe(0);
    expect(reply.headMs).toBeLessThan(3000);
  });

  scenario('[P65] HEAD with Range', async (stage) => {
    await held(stage);
    const reply = await stage.server.head(blobPath(blob), { headers: { range: 'bytes=0-9' } });
    expect([`${reply.status}`, reply.headers['content-length']]).toEqual(
      reply.status === 206 ? ['206', '10'] : ['200', '5000'],
    );
  });

  scenario('[P66] the empty blob', async (stage) => {
    const empty = blobOf(Buffer.alloc(0));
    await held(stage, empty);
    const reply = await stage.server.get(blobPath(empty));
    expect([reply.status, reply.headers['content-length'], await reply.text()]).toEqual([200, '0', '']);
    const ranged = await stage.server.get(blobPath(empty), { headers: { range: 'bytes=0-' } });
    expect(ranged.status).toBe(416);
  });

  scenario('[P69] a length that contradicts the manifest is refused before the first byte', async ({ upstream, server }) => {
    const image = upstream.image(ALPINE, '3', { layers: [50_000] });
    const [only] = image.layers;
    await (await server.get(manifestPath('3'))).bytes();
    upstream.on(`GET ${only!.digest}`).otherBytes(randomBlob(70_000, 9).bytes);
    const reply = await server.get(blobPath(only!));
    expect(await refusalOf(reply)).toBe('502 UNAVAILABLE');
  });

  scenario('[P70] without length upstream', async ({ upstream, server }) => {
    upstream.blob(ALPINE, layer).noLength();
    const reply = await server.get(blobPath(layer));
    expect(await reply.sha256()).toBe(layer.digest);
    await upstream.down();
    const again = await server.get(blobPath(layer));
    expect([again.headers['content-length'], await again.sha256()]).toEqual(['1000000', layer.digest]);
  });

  scenario('[P70] without length upstream, with one in the manifest', async ({ upstream, server }) => {
    const image = upstream.image(ALPINE, '3', { layers: [50_000] });
    const [only] = image.layers;
    upstream.on(`GET ${only!.digest}`).noLength();
    await (await server.get(manifestPath('3'))).bytes();
    const reply = await server.get(blobPath(only!));
    expect([reply.headers['content-length'], await reply.sha256()]).toEqual([String(only!.size), only!.digest]);
  });

  scenario('[P71] a redirect to another host: no credentials there, the range kept', async (stage) => {
    const cdn = await stage.addUpstream();
    const { upstream, server } = stage;
    upstream.auth.set({ scheme: 'bearer' });
    cdn.blob(ALPINE, layer).cutAfter(600_000).once();
    upstream.blob(ALPINE, layer).redirectTo((path) => `${cdn.url}${path}?signature=1`);
    expect(await (await server.get(blobPath(layer))).sha256()).toBe(layer.digest);
    expect(cdn.seen('GET').map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
    expect(cdn.seen('GET')[1]!.range?.from).toBeGreaterThan(0);
    expect(upstream.seen('200 GET blob').concat(upstream.seen('307 GET blob'))[0]!.headers.authorization).toMatch(/^Bearer /);
  });

  scenario('[P72] a redirect by path alone', async ({ upstream, server }) => {
    upstream.blob(ALPINE, layer).redirectTo(`/v2/elsewhere/blobs/${layer.digest}`, 302).once();
    upstream.blob('elsewhere', layer);
    expect(await (await server.get(blobPath(layer))).sha256()).toBe(layer.digest);
  });

  for (const status of [401, 403, 410]) {
    scenario(`[P73] a signed address that ran out (${status}) is asked for again`, async (stage) => {
      const cdn = await stage.addUpstream();
      cdn.file(`/data/${layer.digest}`, layer).cutAfter(600_000).once().status(status).after(1).once();
      stage.upstream.blob(ALPINE, layer).redirectTo(`${cdn.url}/data/${layer.digest}?signature=1`);
      expect(await (await stage.server.get(blobPath(layer))).sha256()).toBe(layer.digest);
      expect(cdn.seen('file').map((request) => request.status)).toEqual([200, status, 206]);
      expect(stage.upstream.hits('GET blob')).toBe(3);
    });
  }

  scenario('[P75] an encoding that was not asked for is an upstream fault', async ({ upstream, server }) => {
    upstream.blob(ALPINE, blob).contentEncoding('gzip').once();
    const reply = await server.get(blobPath(blob));
    expect(await refusalOf(reply)).toBe('502 UNAVAILABLE');
    expect(upstream.seen('blob')[0]!.headers['accept-encoding']).toBe('identity');
    expect(await (await server.get(blobPath(blob))).sha256()).toBe(blob.digest);
  });

  scenario('[P76] Accept-Encoding changes nothing', async (stage) => {
    await held(stage);
    for (const encoding of ['gzip', 'zstd;q=1.0, gzip;q=0.5']) {
      const reply = await stage.server.get(blobPath(blob), { headers: { 'accept-encoding': encoding } });
      expect([reply.headers['content-encoding'], await reply.sha256()]).toEqual([undefined, blob.digest]);
    }
  });

  scenario('[P77] [P83] what upstream does not have', async ({ upstream, server }) => {
    upstream.image(ALPINE, '3');
    expect(await refusalOf(await server.get(blobPath(blob)))).toBe('404 BLOB_UNKNOWN');
    const head = await server.head(blobPath(blob));
    expect([head.status, await head.text()]).toEqual([404, '']);
  });

  scenario('[P78] bytes of a private repository are not for another', async (stage) => {
    await held(stage);
    const { upstream, server } = stage;
    upstream.image('library/other', '1');
    expect(await refusalOf(await server.get(blobPath(blob, 'library/other')))).toBe('404 BLOB_UNKNOWN');
    upstream.forget();
    upstream.blob('library/other', blob);
    const third = randomBlob(300, 5);
    upstream.blob('library/third', third);
    upstream.blob('library/third', blob);
    expect(await (await server.get(blobPath(blob, 'library/third'))).sha256()).toBe(blob.digest);
    expect([upstream.hits('HEAD blob'), upstream.hits('GET blob')]).toEqual([1, 0]);
  });

  scenario('[P78] nor while they are being filled', async ({ upstream, server }) => {
    upstream.blob(ALPINE, layer).drip('64KiB', { everyMs: 20 });
    upstream.image('library/other', '1');
    const first = await server.get(blobPath(layer));
    expect(await refusalOf(await server.get(blobPath(layer, 'library/other')))).toBe('404 BLOB_UNKNOWN');
    expect(await first.sha256()).toBe(layer.digest);
  });

  scenario('[P49] a blob that went from upstream and is held is served', async (stage) => {
    await held(stage);
    stage.upstream.remove(ALPINE, blob.digest);
    expect(await (await stage.server.get(blobPath(blob))).sha256()).toBe(blob.digest);
  });

  scenario('[P82] a blob whose file goes between HEAD and GET is fetched again', async (stage) => {
    await held(stage);
    expect((await stage.server.head(blobPath(blob))).headers['cache-status']).toMatch(/^entrepot; hit/);
    await rm(fileOf(stage, blob));
    // And kept again.
    for (let nth = 1; nth <= 2; nth++) {
      const reply = await stage.server.get(blobPath(blob));
      expect([reply.status, await reply.sha256()]).toEqual([200, blob.digest]);
      expect(stage.upstream.hits('GET blob')).toBe(1);
    }
  });

  scenario('[P84] a manifest asked for as a blob', async ({ upstream, server }) => {
    const { top } = buildImage();
    upstream.manifest(ALPINE, '3', top);
    expect([200, 404]).toContain((await server.get(blobPath(top))).status);
  });

  scenario('[P24] a blob by sha512', async ({ upstream, server }) => {
    const long = blobOf(blob.bytes, 'sha512');
    upstream.blob(ALPINE, long).flipByte(1).once();
    const first = await server.get(blobPath(long));
    expect(first.status === 502 || (await first.untilBroken()).broken).toBe(true);
    expect(Buffer.compare(await (await server.get(blobPath(long))).bytes(), long.bytes)).toBe(0);
  });

  scenario(
    'a stalled body goes on elsewhere',
    async (stage) => {
      const second = await stage.addUpstream();
      second.blob(ALPINE, layer);
      stage.upstream.blob(ALPINE, layer).stallAfter(400_000);
      const impatient = { timeout: { stall: '200ms' } };
      const server = await stage.start({
        upstreams: { a: { url: stage.upstream.url, ...impatient }, b: { url: second.url } },
        routes: [{ match: 'docker.io/**', upstreams: ['a', 'b'] }],
      });
      expect(await (await server.get(blobPath(layer))).sha256()).toBe(layer.digest);
      expect(second.seen('GET blob')[0]!.range?.from).toBeGreaterThan(0);
    },
    { settings: null },
  );

  scenario(
    'through a link that splits every byte',
    async (stage) => {
      stage.upstream.blob(ALPINE, blob);
      const link = await stage.addLink(stage.upstream, { splitBytes: true });
      const server = await stage.start(routesTo(link));
      expect(await (await server.get(blobPath(blob))).sha256()).toBe(blob.digest);
    },
    { settings: null },
  );

  scenario(
    'through a link that doubles a byte: never whole',
    async (stage) => {
      stage.upstream.blob(ALPINE, layer);
      const link = await stage.addLink(stage.upstream, { duplicateAt: 5000 });
      const server = await stage.start(routesTo(link));
      const reply = await server.get(blobPath(layer));
      expect((await reply.untilBroken()).broken).toBe(true);
    },
    { settings: null },
  );
});
