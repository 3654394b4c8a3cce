import { describe, expect, test } from 'vitest';

import {
  answer,
  expectFound,
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
} from './servers.ts';

describe('what is asked', () => {
  test('[P27] a manifest is asked for with every type in one Accept, identity coding and our own name', async () => {
    const server = await serve((_request, response) => sendManifest(response));
    const found = expectFound(await upstreamOf(server, { userAgent: 'entrepot/1.2.3' }).ask(wantManifest(), never));
    expect(found).toMatchObject({
      status: 200,
      mediaType: MANIFEST_TYPE,
      digest: manifestDigest,
      size: manifest.byteLength,
      from: 0,
      anonymous: true,
    });
    expect(await readAll(found)).toBe(manifest.toString());
    const { headers } = server.seen[0]!;
    expect(headers['accept-encoding']).toBe('identity');
    expect(headers['user-agent']).toBe('entrepot/1.2.3');
    expect(headers.accept).toContain('application/vnd.oci.image.index.v1+json');
    expect(headers.authorization).toBeUndefined();
    expect(server.seen[0]!.line).toBe('GET /v2/library/alpine/manifests/3.20');
  });

  test('[P103] ns is sent only where it is asked for', async () => {
    const server = await serve((_request, response) => sendManifest(response));
    expectFound(await upstreamOf(server, { ns: true }).ask(wantManifest(), never)).body?.close();
    expect(server.seen[0]!.line).toBe('GET /v2/library/alpine/manifests/3.20?ns=docker.io');
  });

  test('[P113] a path stands before the repository, and one in the URL before /v2/', async () => {
    const server = await serve((_request, response) => sendManifest(response));
    const url = new URL('/mirror/', server.url);
    expectFound(await upstreamOf({ url }, { path: 'hub-proxy' }).ask(wantManifest(), never)).body?.close();
    expect(server.seen[0]!.line).toBe('GET /mirror/v2/hub-proxy/library/alpine/manifests/3.20');
  });

  test('a range is asked for, and told apart from the whole', async () => {
    const server = await serve((request, response) => sendBlob(request, response));
    const upstream = upstreamOf(server);
    const part = expectFound(await upstream.ask(wantBlob({ range: { from: 2, to: 7 } }), never));
    expect(part).toMatchObject({ status: 206, from: 2, size: layer.byteLength });
    expect(await readAll(part)).toBe('layer');
    expect(server.seen[0]!.headers.range).toBe('bytes=2-6');
    const rest = expectFound(await upstream.ask(wantBlob({ range: { from: 50 } }), never));
    expect(await readAll(rest)).toBe(layer.subarray(50).toString());
    expect(server.seen[1]!.headers.range).toBe('bytes=50-');
  });
});

describe('what an answer becomes', () => {
  test('404 is absent', async () => {
    const server = await serve((_request, response) => notFound(response));
    expect(await upstreamOf(server).ask(wantManifest(), never)).toEqual({ kind: 'absent' });
    expect(server.seen.length).toBe(1);
  });

  test.each([
    ['17', 17],
    ['Wed, 21 Oct 2026 07:28:30 GMT', 30],
    ['99999999999', 60],
    ['soon', 1],
  ])('429 is limited, until it may be asked again; Retry-After %s', async (value, seconds) => {
    const server = await serve((_request, response) =>
      answer(response, 429, { 'retry-after': value, date: 'Wed, 21 Oct 2026 07:28:00 GMT' }),
    );
    expect(await upstreamOf(server).ask(wantManifest(), never)).toEqual({ kind: 'limited', retryAfterSeconds: seconds });
  });

  test.each([
    201, 202, 203, 204, 205, 206, 300, 301, 304, 305, 307, 400, 402, 405, 406, 410, 418, 451, 500, 502, 503, 504, 599,
  ])('[R64] %i is a fault, never an absence', async (status) => {
    const server = await serve((_request, response) => void response.writeHead(status).end());
    await expect(upstreamOf(server).ask(wantManifest(), never)).rejects.toMatchObject({
      name: 'UpstreamError',
      reason: 'status',
    });
  });

  test('[R64] every status from 200 to 999, with or without a body, is an answer of the table or a fault', async () => {
    const server = await serve((request, response) => {
      const [, status, body] = /\/manifests\/v(\d+)-(\w+)$/.exec(request.url ?? '') ?? [];
      answer(response, Number(status ?? 401), { 'content-type': 'text/plain' }, body === 'full' ? 'some text' : '');
    });
    // One after the other they would open the breaker.
    const kindOf = async (reference: string): Promise<string> => {
      try {
        const found = await upstreamOf(server).ask(wantManifest({ reference }), never);
        if (found.kind === 'found') found.body?.close();
        return found.kind;
      } catch (error) {
        return `${(error as Error).name} ${(error as { reason?: string }).reason}`;
      }
    };
    const EXPECTED: Readonly<Record<number, string>> = {
      200: 'found',
      401: 'UpstreamError auth',
      403: 'absent',
      404: 'absent',
      429: 'limited',
    };
    const wrong: string[] = [];
    const look = async (status: number, body: string): Promise<void> => {
      const kind = await kindOf(`v${status}-${body}`);
      if (kind !== (EXPECTED[status] ?? 'UpstreamError status')) wrong.push(`${status} ${body}: ${kind}`);
    };
    for (let first = 200; first < 1000; first += 50) {
      const statuses = Array.from({ length: 50 }, (_, at) => first + at);
      await Promise.all(statuses.map((status) => look(status, status % 3 === 0 ? 'empty' : 'full')));
    }
    expect(wrong).toEqual([]);
  });

  test('[R64] interim answers are waited through, for GET and HEAD', async () => {
    const server = await serve((request, response) => {
      request.socket.write('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n');
      response.writeEarlyHints({ link: '</x>; rel=preload' }, () => sendManifest(response));
    });
    const upstream = upstreamOf(server);
    expect(await readAll(await upstream.ask(wantManifest(), never))).toBe(manifest.toString());
    expect(await upstream.ask(wantManifest({ method: 'HEAD' }), never)).toMatchObject({ kind: 'found', size: manifest.length });
  });

  test.each(['100 Continue', '101 Switching Protocols'])(
    '[R64] %s that nobody asked for is named by the fault',
    async (line) => {
      const server = await serve((request, response) => {
        const more = line.startsWith('101') ? 'upgrade: x\r\nconnection: upgrade\r\n' : '';
        request.socket.write(`HTTP/1.1 ${line}\r\n${more}\r\n`);
        sendManifest(response);
      });
      const asking = upstreamOf(server).ask(wantManifest(), never);
      await expect(asking).rejects.toMatchObject({ name: 'UpstreamError', reason: 'headers' });
      await expect(asking).rejects.toThrow(`sent ${line}, which nobody asked for`);
    },
  );
});
