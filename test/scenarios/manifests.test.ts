import { describe, expect } from 'vitest';
import { blobOf, buildImage, manifestBlob, MEDIA_TYPE } from '../fakes/images.ts';
import { scenario, times } from './harness.ts';
import { ALPINE, manifestPath, refusalOf } from './paths.ts';
import { routesTo } from './settings.ts';

/** A tag is asked again each time. */
const ALWAYS_ASKED = { tagttl: '0s', retry: '0s', negativettl: '0s' };
/** Trouble is known soon. */
const IMPATIENT = { timeout: { connect: '500ms', headers: '300ms', stall: '300ms' } };
const asking = { settings: (upstream: { url: string }) => routesTo(upstream, ALWAYS_ASKED, IMPATIENT) };

describe('manifests', () => {
  scenario('[P19] [P20] [P43] GET and HEAD say the same of a tag', async ({ upstream, server }) => {
    const { top } = upstream.image(ALPINE, '3', { platforms: ['linux/amd64'] });
    const got = await server.get(manifestPath('3'));
    const head = await server.head(manifestPath('3'));
    for (const reply of [got, head]) {
      expect(reply.status).toBe(200);
      expect(reply.headers).toMatchObject({
        'content-type': MEDIA_TYPE.ociIndex,
        'docker-content-digest': top.digest,
        'content-length': String(top.size),
        etag: `"${top.digest}"`,
      });
    }
    expect(Buffer.compare(await got.bytes(), top.bytes)).toBe(0);
    expect((await head.bytes()).length).toBe(0);
  });

  scenario('[P21] HEAD of a tag that is not held costs no layer, and a second one nothing', async ({ upstream, server }) => {
    const { top } = upstream.image(ALPINE, '3', { platforms: ['linux/amd64'] });
    for (const _ of times(2, () => 0)) {
      const reply = await server.head(manifestPath('3'));
      expect([reply.status, reply.headers['docker-content-digest']]).toEqual([200, top.digest]);
    }
    expect(upstream.hits('blob')).toBe(0);
    expect(upstream.hits('manifest')).toBeLessThanOrEqual(2);
  });

  scenario(
    '[R20] a tag that moves while an answer is on its way is not served as it was for the whole of its ttl',
    async ({ upstream, server }) => {
      const was = buildImage({ label: 'was' }).top;
      upstream.manifest(ALPINE, '3', was).delay(1_300).once();
      expect(await (await server.get(manifestPath('3'))).sha256()).toBe(was.digest);
      const { top } = upstream.image(ALPINE, '3', { label: 'is' });
      const reply = await server.get(manifestPath('3'));
      expect([await reply.sha256(), reply.headers['cache-status']]).toEqual([
        top.digest,
        'entrepot; fwd=stale; fwd-status=200; detail=hub',
      ]);
    },
    { settings: (upstream: { url: string }) => routesTo(upstream, { tagttl: '1200ms' }) },
  );

  scenario('[P22] a digest that is held costs nothing', async ({ upstream, server }) => {
    const { top } = upstream.image(ALPINE, '3');
    await (await server.get(manifestPath('3'))).bytes();
    const before = upstream.requests.length;
    await upstream.down();
    // Out of memory, and the ordinary way.
    for (const headers of [{}, { 'if-none-match': '"another"' }]) {
      const reply = await server.get(manifestPath(top.digest), { headers });
      expect(await reply.sha256()).toBe(top.digest);
      expect(reply.headers['cache-status']).toMatch(/^entrepot; hit/);
    }
    expect(upstream.requests.length).toBe(before);
  });

  scenario('[P24] by sha512', async ({ upstream, server }) => {
    const { bytes, mediaType } = buildImage().top;
    const manifest = { ...blobOf(bytes, 'sha512'), mediaType };
    upstream.manifest(ALPINE, undefined, manifest).flipByte(20).once();
    expect(await refusalOf(await server.get(manifestPath(manifest.digest)))).toBe('502 UNAVAILABLE');
    const reply = await server.get(manifestPath(manifest.digest));
    expect([reply.status, reply.headers['docker-content-digest']]).toEqual([200, manifest.digest]);
    expect(Buffer.compare(await reply.bytes(), bytes)).toBe(0);
  });

  scenario('[P25] [P26] [P27] [S28] whatever Accept says, the same bytes', async ({ upstream, server }) => {
    const { top } = upstream.image(ALPINE, '3', { platforms: ['linux/amd64'] });
    const accepts: (string | string[] | undefined)[] = [
      MEDIA_TYPE.dockerManifest,
      Object.values(MEDIA_TYPE).join(', '),
      Object.values(MEDIA_TYPE),
      '*/*',
      'application/json',
      `${MEDIA_TYPE.dockerManifest};q=0.1`,
      undefined,
    ];
    for (const accept of accepts) {
      const reply = await server.get(manifestPath('3'), { headers: accept === undefined ? {} : { accept } });
      expect([reply.status, reply.headers['content-type'], await reply.sha256()]).toEqual([
        200,
        MEDIA_TYPE.ociIndex,
        top.digest,
      ]);
    }
    expect(upstream.hits('GET manifest')).toBe(1);
    for (const type of [MEDIA_TYPE.ociIndex, MEDIA_TYPE.ociManifest, MEDIA_TYPE.dockerList, MEDIA_TYPE.dockerManifest]) {
      expect(upstream.seen('manifest')[0]!.headers.accept).toContain(type);
    }
    expect(upstream.seen('manifest')[0]!.headers['accept-encoding']).toBe('identity');
  });

  scenario('[S28] no cache on the way keeps an error', async ({ server }) => {
    for (const path of [manifestPath('none'), manifestPath('-'), '/v2/unknown', '/v2/docker.io/a/blobs/none']) {
      const reply = await server.get(path);
      expect([reply.status >= 400, reply.headers['cache-control']], path).toEqual([true, 'no-store']);
    }
  });

  scenario('[P28] parameters of the type are dropped', async ({ upstream, server }) => {
    const { top } = buildImage();
    upstream.manifest(ALPINE, '3', top).mediaType(`${top.mediaType}; charset=utf-8`);
    expect((await server.get(manifestPath('3'))).headers['content-type']).toBe(top.mediaType);
  });

  for (const type of ['text/plain', null]) {
    scenario(`[P29] upstream says ${type ?? 'no type'}: the manifest itself knows`, async ({ upstream, server }) => {
      const { top } = buildImage();
      upstream.manifest(ALPINE, '3', top).mediaType(type);
      expect((await server.get(manifestPath('3'))).headers['content-type']).toBe(top.mediaType);
    });
  }

  scenario('[P30] no Docker-Content-Digest from upstream', async ({ upstream, server }) => {
    const { top } = buildImage();
    upstream.manifest(ALPINE, '3', top).noDigestHeader();
    expect((await server.head(manifestPath('3'))).headers['docker-content-digest']).toBe(top.digest);
    expect((await server.get(manifestPath('3'))).headers['docker-content-digest']).toBe(top.digest);
  });

  for (const status of [405, 401, 403]) {
    scenario(`[P31] HEAD refused with ${status}: GET instead`, async ({ upstream, server }) => {
      const { top } = buildImage();
      upstream.auth.set({ scheme: 'bearer' });
      const challenge = `Bearer realm="${upstream.url}/token",service="registry.test"`;
      upstream.manifest(ALPINE, '3', top).refuseHead(status).header('www-authenticate', challenge).to('HEAD');
      const reply = await server.head(manifestPath('3'));
      expect([reply.status, reply.headers['docker-content-digest']]).toEqual([200, top.digest]);
    });
  }

  scenario('[P31] HEAD refused with 401 and no challenge: GET instead', async ({ upstream, server }) => {
    const { top } = buildImage();
    upstream.manifest(ALPINE, '3', top).refuseHead(401);
    expect((await server.head(manifestPath('3'))).headers['docker-content-digest']).toBe(top.digest);
  });

  scenario('[P32] four mebibytes pass, sixteen do not', async ({ upstream, server }) => {
    for (const [size, status] of [
      [4 * 1024 * 1024, 200],
      [16 * 1024 * 1024, 502],
    ] as const) {
      const bare = manifestBlob(MEDIA_TYPE.ociManifest, { annotations: { filler: '' } });
      const big = manifestBlob(MEDIA_TYPE.ociManifest, { annotations: { filler: 'x'.repeat(size - bare.size) } });
      expect(big.size).toBe(size);
      upstream.manifest(ALPINE, `s${size}`, big);
      const reply = await server.get(manifestPath(`s${size}`));
      expect(reply.status).toBe(status);
      await reply.bytes();
    }
  });

  scenario('[P33] [P34] what is not there has the right code', async ({ upstream, server }) => {
    upstream.image(ALPINE, '3');
    expect(await refusalOf(await server.get(manifestPath('none')))).toBe('404 MANIFEST_UNKNOWN');
    expect(await refusalOf(await server.get(manifestPath('1', 'library/nobody')))).toBe('404 NAME_UNKNOWN');
    const before = upstream.requests.length;
    expect(await refusalOf(await server.get(manifestPath('none')))).toBe('404 MANIFEST_UNKNOWN');
    expect(upstream.requests.length).toBe(before);
  });

  scenario('[P35] 401 after a fresh token is 404, and nothing of its challenge', async ({ upstream, server }) => {
    upstream.image('library/secret', '1');
    upstream.auth.set({ scheme: 'bearer', privateRepositories: ['library/secret'] });
    const reply = await server.get(manifestPath('1', 'library/secret'));
    expect(reply.headers['www-authenticate']).toBeUndefined();
    expect(await refusalOf(reply)).toBe('404 NAME_UNKNOWN');
  });

  scenario(
    '[P36] [P38] [P40] a held tag outlives 429, 500, a black hole and refusal',
    async ({ upstream, server }) => {
      const { top } = upstream.image(ALPINE, '3');
      await (await server.get(manifestPath('3'))).bytes();
      for (const trouble of ['429', '500', 'black hole', 'down'] as const) {
        upstream.all.clear();
        if (trouble === '429') upstream.all.status(429, { 'retry-after': '60' });
        if (trouble === '500') upstream.all.status(500);
        if (trouble === 'black hole') upstream.all.blackHole();
        if (trouble === 'down') await upstream.down();
        const reply = await server.get(manifestPath('3'));
        expect([trouble, reply.status, await reply.sha256()]).toEqual([trouble, 200, top.digest]);
        expect(reply.headers['cache-status']).toMatch(/^entrepot; hit; ttl=-?\d+; detail=stale$/);
        expect(reply.headers.warning).toMatch(/^299 entrepot "/);
        expect(reply.headMs).toBeLessThan(5000);
      }
    },
    asking,
  );

  scenario('[P37] 429 and nothing held: 429 that says when', async ({ upstream, server }) => {
    upstream.all.status(429, { 'retry-after': '7' });
    const reply = await server.get(manifestPath('3'));
    expect(reply.headers['retry-after']).toMatch(/^\d+$/);
    expect(await refusalOf(reply)).toBe('429 TOOMANYREQUESTS');
  });

  scenario('[P39] the upstream refuses and nothing is held', async ({ upstream, server }) => {
    await upstream.down();
    expect(await refusalOf(await server.get(manifestPath('3')))).toBe('502 UNAVAILABLE');
  });

  scenario(
    '[P40] the upstream never answers and nothing is held',
    async ({ upstream, server }) => {
      upstream.all.blackHole();
      const reply = await server.get(manifestPath('3'));
      expect(reply.headMs).toBeLessThan(25_000);
      expect(await refusalOf(reply)).toBe('504 UNAVAILABLE');
    },
    { ...asking, timeoutMs: 30_000 },
  );

  scenario('[P17] the upstream breaks off before the first byte', async ({ upstream, server }) => {
    upstream.manifest(ALPINE, '3', buildImage().top).cutAfter(0);
    expect(await refusalOf(await server.get(manifestPath('3')))).toBe('502 UNAVAILABLE');
  });

  scenario(
    '[P41] a tag moves; the old digest stays',
    async ({ upstream, server }) => {
      const old = upstream.image(ALPINE, '3', { label: 'old' });
      expect(await (await server.get(manifestPath('3'))).sha256()).toBe(old.top.digest);
      const next = upstream.image(ALPINE, '3', { label: 'new' });
      expect(await (await server.get(manifestPath('3'))).sha256()).toBe(next.top.digest);
      upstream.remove(ALPINE, old.top.digest);
      expect(await (await server.get(manifestPath(old.top.digest))).sha256()).toBe(old.top.digest);
    },
    asking,
  );

  scenario(
    'an expired tag that has not moved is asked for by HEAD alone',
    async ({ upstream, server }) => {
      const { top } = upstream.image(ALPINE, '3');
      await (await server.get(manifestPath('3'))).bytes();
      upstream.forget();
      const reply = await server.get(manifestPath('3'));
      expect(await reply.sha256()).toBe(top.digest);
      expect([upstream.hits('HEAD manifest'), upstream.hits('GET manifest')]).toEqual([1, 0]);
      expect(reply.headers['cache-status']).toBe('entrepot; fwd=stale; fwd-status=200; detail=hub');
    },
    asking,
  );

  scenario('[P43] [P44] 304 for those who ask for it alone', async ({ upstream, server }) => {
    const { top } = upstream.image(ALPINE, '3');
    for (const match of [`"${top.digest}"`, top.digest, `W/"${top.digest}"`]) {
      const reply = await server.get(manifestPath('3'), { headers: { 'if-none-match': match } });
      expect([match, reply.status, await reply.text()]).toEqual([match, 304, '']);
      expect(reply.headers).toMatchObject({ etag: `"${top.digest}"`, 'docker-content-digest': top.digest });
    }
    const other = await server.get(manifestPath('3'), { headers: { 'if-none-match': `"sha256:${'0'.repeat(64)}"` } });
    expect([other.status, await other.sha256()]).toEqual([200, top.digest]);
  });

  scenario('[P45] [P46] a redirect is followed here', async (stage) => {
    const regional = await stage.addUpstream();
    const { top } = regional.image(ALPINE, '3');
    stage.upstream.all.redirectTo((path) => `${regional.url}${path}`);
    stage.upstream.image(ALPINE, '3');
    for (const method of ['GET', 'HEAD']) {
      const reply = await stage.server.get(manifestPath('3'), { method });
      expect([method, reply.status, reply.headers['docker-content-digest']]).toEqual([method, 200, top.digest]);
    }
  });

  scenario(
    '[P47] signatures that are not there are 404, briefly',
    async ({ upstream, server }) => {
      const { top } = upstream.image(ALPINE, '3');
      for (const suffix of ['', '.sig', '.att', '.sbom']) {
        const tag = `${top.digest.replace(':', '-')}${suffix}`;
        expect(await refusalOf(await server.get(manifestPath(tag)))).toBe('404 MANIFEST_UNKNOWN');
        upstream.manifest(ALPINE, tag, buildImage({ label: tag }).top);
        expect((await server.get(manifestPath(tag))).status).toBe(200);
      }
    },
    asking,
  );

  scenario('[P48] schema 1 is never made into something else', async ({ upstream, server }) => {
    const type = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 1, name: ALPINE, tag: '1', fsLayers: [], history: [] }));
    upstream.manifest(ALPINE, '1', { ...blobOf(bytes), mediaType: type });
    const reply = await server.get(manifestPath('1'));
    if (reply.status === 200) expect([reply.headers['content-type'], await reply.text()]).toEqual([type, bytes.toString()]);
    else expect(reply.status).toBe(404);
  });
});
