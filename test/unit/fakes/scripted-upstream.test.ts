import { afterEach, describe, expect, test } from 'vitest';
import { createFaultyLink } from '../../fakes/faulty-link.ts';
import { createHttpClient } from '../../fakes/http-client.ts';
import { blobOf, randomBlob } from '../../fakes/images.ts';
import { createGate } from '../../fakes/scripted-behaviour.ts';
import { createScriptedUpstream, type ScriptedUpstream, type ScriptedUpstreamOptions } from '../../fakes/scripted-upstream.ts';

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of opened.splice(0).toReversed()) await thing.close();
});

async function start(options?: ScriptedUpstreamOptions) {
  const upstream = await createScriptedUpstream(options);
  const client = createHttpClient(upstream.url);
  opened.push(upstream, client);
  return { upstream, client };
}

const blob = randomBlob(5000);
const path = `/v2/a/b/blobs/${blob.digest}`;

describe('well-behaved', () => {
  test('serves an image by tag and by digest, and counts', async () => {
    const { upstream, client } = await start();
    const image = upstream.image('library/alpine', '3', { layers: [100, 2000], platforms: ['linux/amd64', 'linux/arm64/v8'] });
    const reply = await client.get('/v2/library/alpine/manifests/3');
    expect(await reply.sha256()).toBe(image.top.digest);
    expect(reply.headers['docker-content-digest']).toBe(image.top.digest);
    expect(image.manifests).toHaveLength(2);
    for (const layer of image.layers) {
      const body = await client.get(`/v2/library/alpine/blobs/${layer.digest}`);
      expect(await body.sha256()).toBe(layer.digest);
    }
    expect([upstream.hits('GET manifest'), upstream.hits('GET blob'), upstream.hits('HEAD')]).toEqual([1, 2, 0]);
    expect((await client.get('/v2/library/alpine/manifests/4')).status).toBe(404);
  });

  test('answers ranges', async () => {
    const { upstream, client } = await start();
    upstream.blob('a/b', blob);
    const reply = await client.get(path, { headers: { range: 'bytes=100-199' } });
    expect([reply.status, reply.headers['content-range']]).toEqual([206, 'bytes 100-199/5000']);
    expect(await reply.bytes()).toEqual(blob.bytes.subarray(100, 200));
    expect((await client.get(path, { headers: { range: 'bytes=5000-' } })).status).toBe(416);
    expect(upstream.requests[0]!.range).toEqual({ from: 100, to: 200 });
  });

  test('pages its tags', async () => {
    const { upstream, client } = await start({ lists: { pageSize: 2, link: 'absolute' } });
    for (const tag of ['1', '2', '3']) upstream.image('a', tag);
    const reply = await client.get('/v2/a/tags/list');
    expect(await reply.json()).toEqual({ name: 'a', tags: ['1', '2'] });
    expect(reply.headers.link).toBe(`<${upstream.url}/v2/a/tags/list?last=2&n=2>; rel="next"`);
  });

  test('comes back at the same address', async () => {
    const { upstream, client } = await start();
    await upstream.down();
    await expect(client.get('/v2/')).rejects.toThrow('ECONNREFUSED');
    await upstream.up();
    expect((await client.get('/v2/')).status).toBe(200);
  });
});

describe('misbehaved', () => {
  test.each(['fin', 'rst'] as const)('cuts in mid-body (%s), and only as often as told', async (how) => {
    const { upstream, client } = await start();
    upstream.blob('a/b', blob).cutAfter(1234, how).once();
    const { bytes, broken } = await (await client.get(path)).untilBroken();
    expect(broken).toBe(true);
    expect(bytes.length).toBe(how === 'fin' ? 1234 : bytes.length);
    expect(await (await client.get(path)).sha256()).toBe(blob.digest);
    expect(upstream.requests.map((request) => request.sent)).toEqual([1234, 5000]);
  });

  test('ends a body without length early and cleanly', async () => {
    const { upstream, client } = await start();
    upstream.blob('a/b', blob).noLength('close').endAfter(99);
    const reply = await client.get(path);
    expect(reply.headers['content-length']).toBeUndefined();
    expect((await reply.bytes()).length).toBe(99);
  });

  test('lies about length, digest, type, range and bytes', async () => {
    const { upstream, client } = await start();
    const script = upstream
      .blob('a/b', blob)
      .wrongLength(1)
      .digestHeader('sha256:00')
      .mediaType('text/plain')
      .contentEncoding('gzip');
    const { headers } = await client.head(path);
    expect(headers).toMatchObject({
      'content-length': '5001',
      'docker-content-digest': 'sha256:00',
      'content-type': 'text/plain',
      'content-encoding': 'gzip',
    });
    script.clear().flipByte(-1);
    const wrong = await (await client.get(path)).bytes();
    expect(Buffer.compare(wrong.subarray(0, 4999), blob.bytes.subarray(0, 4999))).toBe(0);
    expect(wrong[4999]).toBe(blob.bytes[4999]! ^ 1);
    script.clear().wrongRange({ start: 1, total: 7 });
    const ranged = await client.get(path, { headers: { range: 'bytes=0-9' } });
    expect(ranged.headers['content-range']).toBe('bytes 1-9/5007');
    script.clear().ignoreRange();
    expect((await client.get(path, { headers: { range: 'bytes=0-9' } })).status).toBe(200);
  });

  test('holds a body at a gate', async () => {
    const { upstream, client } = await start();
    const gate = createGate();
    upstream.blob('a/b', blob).holdAfter(1000, gate);
    const reply = await client.get(path);
    await gate.reached;
    expect(upstream.requests[0]!.sent).toBe(1000);
    gate.open();
    expect(await reply.sha256()).toBe(blob.digest);
  });

  test('stalls, and answers nothing at all', async () => {
    const { upstream, client } = await start();
    upstream.blob('a/b', blob).stallAfter(10);
    const reply = await client.get(path);
    expect((await reply.next())!.length).toBe(10);
    reply.abort();
    upstream.all.blackHole();
    const leaving = new AbortController();
    const silent = client.get(path, { signal: leaving.signal });
    await upstream.received('GET', 2);
    leaving.abort();
    await expect(silent).rejects.toThrow('abort');
  });

  test('refuses HEAD, redirects, and answers by pattern', async () => {
    const { upstream, client } = await start();
    upstream.blob('a/b', blob).refuseHead(403);
    expect((await client.head(path)).status).toBe(403);
    expect((await client.get(path)).status).toBe(200);
    upstream.on('GET blob').redirectTo((asked) => `http://127.0.0.1:1${asked}`, 302);
    const reply = await client.get(path);
    expect([reply.status, reply.headers.location]).toEqual([302, `http://127.0.0.1:1${path}`]);
    upstream.on('tags').status(429, { 'retry-after': '7' });
    expect((await client.get('/v2/a/b/tags/list')).headers['retry-after']).toBe('7');
  });
});

describe('sign-in', () => {
  const auth = { scheme: 'bearer', username: 'u', password: 'p', privateRepositories: ['a/b'] } as const;

  async function tokenFrom(upstream: ScriptedUpstream, headers: Record<string, string> = {}) {
    const client = createHttpClient(upstream.url);
    opened.push(client);
    const reply = await client.get('/token?service=registry.test&scope=repository:a/b:pull', { headers });
    return { status: reply.status, body: await reply.json<{ token?: string; expires_in?: number }>() };
  }

  test('a bearer token opens what its scope names, for as long as it lives', async () => {
    const { upstream, client } = await start({ auth });
    upstream.blob('a/b', blob);
    const refused = await client.get(path);
    expect(refused.status).toBe(401);
    const realm = `Bearer realm="${upstream.url}/token",service="registry.test",scope="repository:a/b:pull"`;
    expect(refused.headers['www-authenticate']).toBe(realm);
    const anonymous = await tokenFrom(upstream);
    expect((await client.get(path, { headers: { authorization: `Bearer ${anonymous.body.token}` } })).status).toBe(401);
    const known = await tokenFrom(upstream, { authorization: `Basic ${Buffer.from('u:p').toString('base64')}` });
    const headers = { authorization: `Bearer ${known.body.token}` };
    expect((await client.get(path, { headers })).status).toBe(200);
    upstream.auth.expireTokens();
    expect((await client.get(path, { headers })).status).toBe(401);
    expect(upstream.hits('token')).toBe(2);
    expect((await tokenFrom(upstream, { authorization: 'Basic eDp5' })).status).toBe(401);
  });

  test('basic', async () => {
    const { client } = await start({ auth: { scheme: 'basic', username: 'u', password: 'p' } });
    expect((await client.get('/v2/')).status).toBe(401);
    const headers = { authorization: `Basic ${Buffer.from('u:p').toString('base64')}` };
    expect((await client.get('/v2/', { headers })).status).toBe(200);
  });
});

describe('a faulty link', () => {
  test('cuts, splits and doubles', async () => {
    const { upstream } = await start();
    upstream.blob('a/b', blob);
    const link = await createFaultyLink(Number(new URL(upstream.url).port));
    const client = createHttpClient(link.url);
    opened.push(link, client);
    link.faults.splitBytes = true;
    expect(await (await client.get(path)).sha256()).toBe(blob.digest);
    delete link.faults.splitBytes;
    link.faults.cut = { after: 2000, how: 'fin' };
    expect((await (await client.get(path)).untilBroken()).broken).toBe(true);
    delete link.faults.cut;
    link.faults.duplicateAt = 1000;
    await expect(client.get(path).then((reply) => reply.sha256())).resolves.not.toBe(blob.digest);
    expect(link.accepted()).toBe(3);
  });
});

test('sha512 names bytes too', () => {
  expect(blobOf(Buffer.from('x'), 'sha512').digest).toMatch(/^sha512:[0-9a-f]{128}$/);
});
