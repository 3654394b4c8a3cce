import { describe, expect, test } from 'vitest';

import { digestOf } from '../../../src/oci/digest.ts';
import {
  answer,
  challenge,
  expectFound,
  json,
  layer,
  MANIFEST_TYPE,
  manifest,
  manifestDigest,
  never,
  notFound,
  readAll,
  sendBlob,
  sendManifest,
  serve,
  upstreamOf,
  wantBlob,
  wantManifest,
  type Handler,
} from './servers.ts';

const HEAD = { method: 'HEAD' } as const;

/** Answers HEAD by `head` and everything else as a registry does. */
function headIs(head: Handler): Handler {
  return (request, response, body) => {
    if (request.method === 'HEAD') return head(request, response, body);
    return request.url?.includes('/blobs/') ? sendBlob(request, response) : sendManifest(response);
  };
}

describe('HEAD of a manifest', () => {
  test('is enough where it says digest, size and type', async () => {
    const server = await serve((_request, response) => sendManifest(response));
    const found = expectFound(await upstreamOf(server).ask(wantManifest(HEAD), never));
    expect(found).toMatchObject({
      digest: manifestDigest,
      size: manifest.byteLength,
      mediaType: MANIFEST_TYPE,
      body: undefined,
    });
    expect(server.seen.map(({ line }) => line.split(' ')[0])).toEqual(['HEAD']);
  });

  test.each<[string, Handler]>([
    ['405', (_request, response) => answer(response, 405)],
    ['403', (_request, response) => answer(response, 403)],
    ['401 after a token', (_request, response) => challenge(response, 'Basic realm="x"')],
    ['404 that no registry wrote', (_request, response) => answer(response, 404, { 'content-type': 'text/html' })],
    [
      'no length',
      (_request, response) =>
        void response
          .writeHead(200, {
            'content-type': MANIFEST_TYPE,
            'docker-content-digest': manifestDigest,
            'transfer-encoding': 'chunked',
          })
          .end(),
    ],
    [
      'no digest',
      (_request, response) =>
        void response.writeHead(200, { 'content-type': MANIFEST_TYPE, 'content-length': String(manifest.byteLength) }).end(),
    ],
    [
      'a digest that is none',
      (_request, response) =>
        void response.writeHead(200, { 'docker-content-digest': 'sha256:abc', 'content-length': '9' }).end(),
    ],
  ])('[P31] mishandled (%s): by GET', async (_what, head) => {
    const server = await serve(headIs(head));
    const found = expectFound(await upstreamOf(server).ask(wantManifest(HEAD), never));
    expect(found).toMatchObject({
      digest: manifestDigest,
      size: manifest.byteLength,
      mediaType: MANIFEST_TYPE,
      body: undefined,
    });
    expect(server.hits('GET /v2/')).toBe(1);
  });

  test('[P30] no digest anywhere: found from the bytes, by the algorithm that was asked with', async () => {
    const server = await serve((_request, response) => answer(response, 200, { 'content-type': 'text/plain' }, manifest));
    const upstream = upstreamOf(server);
    expect(await upstream.ask(wantManifest(HEAD), never)).toMatchObject({ digest: manifestDigest, size: manifest.byteLength });
    const reference = digestOf(manifest, 'sha512');
    expect(await upstream.ask(wantManifest({ ...HEAD, reference }), never)).toMatchObject({ digest: reference });
  });

  test('a manifest without end is not read to it', async () => {
    const server = await serve((request, response) => {
      response.writeHead(200, { 'content-type': MANIFEST_TYPE });
      if (request.method === 'HEAD') return void response.end();
      const pump = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on('drain', pump);
      pump();
    });
    await expect(upstreamOf(server).ask(wantManifest(HEAD), never)).rejects.toMatchObject({ reason: 'verify' });
  });

  test('a 404 of a registry is taken at its word; a refusal of GET too is absent', async () => {
    const missing = await serve((_request, response) => notFound(response));
    expect(await upstreamOf(missing).ask(wantManifest(HEAD), never)).toEqual({ kind: 'absent' });
    expect(missing.seen.length).toBe(1);
    const refusing = await serve((request, response) =>
      request.url?.startsWith('/token')
        ? json(response, 200, { token: 't' })
        : challenge(response, `Bearer realm="${refusing.origin}/token",service="s"`),
    );
    expect(await upstreamOf(refusing).ask(wantManifest(HEAD), never)).toMatchObject({
      kind: 'absent',
      hint: expect.any(String),
    });
  });
});

describe('HEAD of a blob', () => {
  test.each<[string, Handler]>([
    ['401 (public.ecr.aws)', (_request, response) => challenge(response, 'Basic realm="x"')],
    [
      '403 of the content network',
      (request, response) =>
        request.url?.startsWith('/cdn') ? answer(response, 403) : void response.writeHead(307, { location: '/cdn' }).end(),
    ],
    ['405', (_request, response) => answer(response, 405)],
    ['no length', (_request, response) => void response.writeHead(200, { 'transfer-encoding': 'chunked' }).end()],
  ])('[P51] refused (%s): the size from one byte', async (_what, head) => {
    const server = await serve(headIs(head));
    const upstream = upstreamOf(server);
    expect(await upstream.ask(wantBlob(HEAD), never)).toMatchObject({
      kind: 'found',
      status: 200,
      from: 0,
      size: layer.byteLength,
      body: undefined,
    });
    expect(server.seen.at(-1)?.headers.range).toBe('bytes=0-0');
    expect(upstream.status().running).toBe(0);
  });

  test('[P51] refused by a content network elsewhere', async () => {
    const cdn = await serve((request, response) =>
      request.method === 'HEAD' ? answer(response, 403) : sendBlob(request, response),
    );
    const server = await serve(
      (_request, response) => void response.writeHead(307, { location: `${cdn.origin}/signed` }).end(),
    );
    expect(await upstreamOf(server).ask(wantBlob(HEAD), never)).toMatchObject({ kind: 'found', size: layer.byteLength });
    expect(cdn.seen.map(({ line }) => line)).toEqual(['HEAD /signed', 'GET /signed']);
  });

  test('a server that ignores the range says the length, and its body is ended', async () => {
    const server = await serve((request, response) => {
      if (request.method === 'HEAD') return answer(response, 405);
      response.writeHead(200, { 'content-length': '1000000000' });
      response.write('x');
      return undefined;
    });
    const upstream = upstreamOf(server);
    expect(await upstream.ask(wantBlob(HEAD), never)).toMatchObject({ size: 1_000_000_000, body: undefined });
    await expect.poll(() => server.sockets.size).toBe(0);
  });

  test('the empty blob has no first byte', async () => {
    const server = await serve((request, response) =>
      request.method === 'HEAD' ? answer(response, 405) : sendBlob(request, response, new Uint8Array()),
    );
    expect(await upstreamOf(server).ask(wantBlob(HEAD), never)).toMatchObject({ kind: 'found', size: 0 });
  });
});

describe('[S16] [P75] transformed bytes', () => {
  test.each(['gzip', 'br, gzip', Array(50).fill('gzip').join(', ')])(
    '[CVE-2026-22036] Content-Encoding %s is refused',
    async (encoding) => {
      const server = await serve((_request, response) => answer(response, 200, { 'content-encoding': encoding }, layer));
      const upstream = upstreamOf(server);
      await expect(upstream.ask(wantBlob(), never)).rejects.toMatchObject({ reason: 'verify' });
      await expect(upstream.ask(wantManifest(), never)).rejects.toMatchObject({ reason: 'verify' });
      expect(upstream.status().running).toBe(0);
    },
  );

  test('identity is none', async () => {
    const server = await serve((_request, response) => answer(response, 200, { 'content-encoding': 'identity' }, layer));
    expect(await readAll(await upstreamOf(server).ask(wantBlob(), never))).toBe(layer.toString());
  });
});

describe('[P74] ranges', () => {
  const range = { from: 2, to: 7 };
  test.each([
    ['another start', 'bytes 3-6/56', {}],
    ['an earlier start', 'bytes 0-4/56', {}],
    ['an end beyond what was asked', 'bytes 2-7/56', {}],
    ['an end beyond the total', 'bytes 2-6/5', {}],
    ['an end before its start', 'bytes 2-1/56', {}],
    ['no Content-Range', undefined, {}],
    ['several parts', undefined, { 'content-type': 'multipart/byteranges; boundary=x' }],
    ['a length that contradicts it', 'bytes 2-5/56', {}],
    ['nonsense', 'bytes a-b/c', {}],
  ])('206 with %s is a fault', async (what, contentRange: string | undefined, headers: Record<string, string>) => {
    const [, first, last] = /^bytes (\d+)-(\d+)/.exec(contentRange ?? '') ?? [];
    const bytes = what.startsWith('a length') ? 5 : Math.max(Number(last ?? 6) - Number(first ?? 2) + 1, 0);
    const server = await serve((_request, response) =>
      answer(
        response,
        206,
        { ...headers, ...(contentRange === undefined ? {} : { 'content-range': contentRange }) },
        Buffer.alloc(bytes),
      ),
    );
    await expect(upstreamOf(server).ask(wantBlob({ range }), never)).rejects.toMatchObject({ reason: 'status', status: 206 });
  });

  test('a server that ignores the range sends the whole, and says so', async () => {
    const server = await serve((_request, response) => answer(response, 200, {}, layer));
    expect(await upstreamOf(server).ask(wantBlob({ range }), never)).toMatchObject({
      status: 200,
      from: 0,
      size: layer.byteLength,
    });
  });

  test('a total that is not told is not known; 416 is a fault', async () => {
    const server = await serve((_request, response) => answer(response, 206, { 'content-range': 'bytes 2-6/*' }, 'layer'));
    expect(await upstreamOf(server).ask(wantBlob({ range }), never)).toMatchObject({ status: 206, from: 2, size: undefined });
    const beyond = await serve((request, response) => sendBlob(request, response));
    await expect(upstreamOf(beyond).ask(wantBlob({ range: { from: 5000 } }), never)).rejects.toMatchObject({
      reason: 'status',
      status: 416,
    });
  });
});

describe('[S03] the next page', () => {
  const list = {
    kind: 'tags',
    method: 'GET',
    registry: 'docker.io',
    repository: 'library/alpine',
    reference: '',
    query: { n: '2' },
  } as const;
  const linking = async (link: string) =>
    await serve((_request, response) => json(response, 200, { name: 'library/alpine', tags: ['a', 'b'] }, { link }));

  test.each(['</v2/library/alpine/tags/list?last=b&n=2>; rel="next"', '<?n=2&last=b>; rel=next'])(
    '%s is its query',
    async (link) => {
      const server = await linking(link);
      expect(await upstreamOf(server).ask(list, never)).toMatchObject({ next: { last: 'b', n: '2' } });
      expect(server.seen[0]?.line).toBe('GET /v2/library/alpine/tags/list?n=2');
    },
  );

  test("the upstream's own ns stays out of it; no Link is the last page", async () => {
    const server = await linking('</v2/library/alpine/tags/list?last=b&ns=x>; rel="next"');
    expect(expectFound(await upstreamOf(server).ask(list, never)).next).toEqual({ last: 'b' });
    const last = await linking('</v2/library/alpine/tags/list?last=b>; rel="prev"');
    expect(expectFound(await upstreamOf(last).ask(list, never)).next).toBeUndefined();
  });

  test.each(['<http://evil.test/v2/library/alpine/tags/list?last=b>; rel="next"', '</v2/other/tags/list?last=b>; rel="next"'])(
    '%s is a fault',
    async (link) => {
      await expect(upstreamOf(await linking(link)).ask(list, never)).rejects.toMatchObject({ reason: 'status' });
    },
  );
});
