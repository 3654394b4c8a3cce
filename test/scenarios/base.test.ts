import { describe, expect } from 'vitest';
import { randomBlob } from '../fakes/images.ts';
import { scenario, times } from './harness.ts';
import { ALPINE, blobPath, manifestPath, refusalOf } from './paths.ts';

describe('the base of the API', () => {
  scenario('[P1] [P4] [P5] /v2/ is 200 without asking anybody, upstream up or down', async ({ upstream, server }) => {
    for (const state of ['up', 'down']) {
      if (state === 'down') await upstream.down();
      const reply = await server.get('/v2/');
      expect([reply.status, await reply.text()]).toEqual([200, '{}']);
      expect(reply.headers).toMatchObject({
        'content-type': 'application/json',
        'docker-distribution-api-version': 'registry/2.0',
      });
      expect(reply.headers['www-authenticate']).toBeUndefined();
      expect(reply.headers['x-registry-supports-signatures']).toBeUndefined();
    }
    expect(upstream.requests).toEqual([]);
  });

  scenario('[P2] [P3] /v2 without its slash, and HEAD', async ({ server }) => {
    expect((await server.get('/v2')).status).toBe(200);
    const head = await server.head('/v2/');
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  scenario('[P6] [P7] names that look like endpoints', async ({ upstream, server }) => {
    for (const repository of ['a/b/c/d', 'a/blobs/b', 'x/manifests', 'tags/list']) {
      const image = upstream.image(repository, '1', { label: repository });
      const reply = await server.get(manifestPath('1', repository));
      expect([reply.status, await reply.sha256()]).toEqual([200, image.top.digest]);
    }
  });

  scenario('[P8] names outside the grammar reach no upstream', async ({ upstream, server }) => {
    const names = ['Upper/case', 'a/../b', 'a//b', '-a', 'a-', 'a/-b', 'a/.b', 'a'.repeat(256), 'a__-b', 'ä', 'a%00b'];
    for (const name of names) {
      const reply = await server.get(`/v2/docker.io/${encodeURI(name)}/manifests/1`);
      expect([400, 404], name).toContain(reply.status);
      await refusalOf(reply);
    }
    expect(upstream.requests).toEqual([]);
  });

  scenario('[P9] tags outside the grammar reach no upstream', async ({ upstream, server }) => {
    for (const tag of ['a'.repeat(129), '.a', '-a', 'a%2Fb', 'a b']) {
      const reply = await server.get(manifestPath(encodeURI(tag)));
      expect([400, 404], tag).toContain(reply.status);
      await refusalOf(reply);
    }
    expect(upstream.requests).toEqual([]);
  });

  scenario('[P10] [P11] what is no digest is refused', async ({ upstream, server }) => {
    expect(await refusalOf(await server.get(manifestPath('sha256:baddigeststring')))).toBe('400 DIGEST_INVALID');
    for (const reference of ['latest', 'sha256:abc', `sha256:${'A'.repeat(64)}`, `md5:${'a'.repeat(32)}`]) {
      expect(await refusalOf(await server.get(`/v2/docker.io/${ALPINE}/blobs/${reference}`))).toBe('400 DIGEST_INVALID');
    }
    expect(upstream.requests).toEqual([]);
  });

  scenario('[P12] a digest with %3A is the same digest', async ({ upstream, server }) => {
    const blob = randomBlob(100);
    upstream.blob(ALPINE, blob);
    expect(await (await server.get(blobPath(blob).replace('sha256:', 'sha256%3A'))).sha256()).toBe(blob.digest);
  });

  scenario('[P13] other methods are 405, and their bodies are not taken', async ({ upstream, server }) => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      for (const path of [manifestPath('1'), `/v2/docker.io/${ALPINE}/blobs/uploads/`]) {
        // Node frames no body of a DELETE by itself: what follows would be no request.
        const headers = { 'content-length': '1000' };
        const reply = await server.get(path, { method, headers, body: 'x'.repeat(1000) });
        expect(`${method} ${await refusalOf(reply)}`).toBe(`${method} 405 UNSUPPORTED`);
        expect(reply.headers.allow).toBe('GET, HEAD');
      }
    }
    expect(upstream.requests).toEqual([]);
  });

  scenario('[P14] [P15] an unknown endpoint is an error that clients can read', async ({ server }) => {
    const reply = await server.get(`/v2/docker.io/${ALPINE}/unknown/x`);
    expect(reply.status).toBe(404);
    await refusalOf(reply);
  });

  scenario('[P16] HEAD that fails has the status and not a byte', async ({ upstream, server }) => {
    upstream.image(ALPINE, '3');
    const raw = await server.raw();
    raw.write(
      `HEAD ${manifestPath('none')} HTTP/1.1\r\nHost: x\r\n\r\nHEAD /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    );
    const text = await raw.readUntil(() => false);
    const [first, second] = text.split(/(?=HTTP\/1\.1 )/);
    expect(first).toMatch(/^HTTP\/1\.1 404 /);
    expect(first!.toLowerCase()).not.toContain('transfer-encoding');
    expect(first!.endsWith('\r\n\r\n')).toBe(true);
    expect(second).toMatch(/^HTTP\/1\.1 200 /);
  });

  scenario('[P18] two requests in one packet are answered in order', async ({ upstream, server }) => {
    const blobs = times(2, (at) => randomBlob(300 + at, at + 1));
    for (const blob of blobs) upstream.blob(ALPINE, blob);
    const raw = await server.raw();
    raw.write(blobs.map((blob) => `GET ${blobPath(blob)} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''));
    const text = await raw.readUntil((so) => so.includes(blobs[1]!.bytes.toString('latin1')));
    expect(text.indexOf(blobs[0]!.bytes.toString('latin1'))).toBeGreaterThan(0);
    expect(text.match(/HTTP\/1\.1 200 /g)).toHaveLength(2);
    raw.close();
  });
});
