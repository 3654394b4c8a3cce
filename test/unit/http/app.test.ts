import { describe, expect, test } from 'vitest';
import { RegistryError } from '../../../src/oci/errors.ts';
import { ROUTES } from '../../../src/http/app.ts';
import { BLOB_PATH, DIGEST, jsonReply, request, startEdge } from './edge.ts';

describe('routes', () => {
  test('[P1] [P4] /v2/ is 200 {} without asking anybody', async () => {
    const edge = await startEdge({ pull: () => Promise.reject(new Error('asked')) });
    const reply = await edge.get('/v2/');
    expect(reply.status).toBe(200);
    expect(reply.headers.get('content-type')).toBe('application/json');
    expect(reply.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
    expect(reply.headers.get('x-request-id')).toBe('id-1');
    expect(reply.headers.get('x-content-type-options')).toBe('nosniff');
    expect(reply.headers.get('www-authenticate')).toBeNull();
    expect(await reply.text()).toBe('{}');
  });

  test.each(['/v2', '/ghcr.io/v2/', '/ghcr.io/v2'])('[P2] %s is 200 like /v2/', async (path) => {
    const edge = await startEdge();
    const reply = await edge.get(path);
    expect([reply.status, await reply.text()]).toEqual([200, '{}']);
  });

  test('[P3] HEAD /v2/ is 200 without a body', async () => {
    const edge = await startEdge();
    const text = await edge.raw(request('HEAD', '/v2/', ['Connection: close']));
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).toMatch(/content-length: 2\r\n/i);
    expect(text.endsWith('\r\n\r\n')).toBe(true);
  });

  test.each([
    ['/v2/a/b/c/d/manifests/T', 'manifest', 'a/b/c/d'],
    ['/v2/a/blobs/b/manifests/T', 'manifest', 'a/blobs/b'],
    ['/v2/x/manifests/manifests/T', 'manifest', 'x/manifests'],
    ['/ghcr.io/v2/a/manifests/T', 'manifest', 'a'],
    [`/v2/a/b/blobs/${DIGEST}`, 'blob', 'a/b'],
    [`/v2/a/b/blobs/${DIGEST.replace(':', '%3A')}`, 'blob', 'a/b'],
  ])('[P6] [P7] [P12] %s is the %s of %s', async (path, kind, repository) => {
    const seen: unknown[] = [];
    const edge = await startEdge({
      pull: ({ target }) => {
        seen.push([target.kind, target.name.repository]);
        return Promise.resolve(jsonReply({}));
      },
    });
    expect((await edge.get(path)).status).toBe(200);
    expect(seen).toEqual([
      [
        kind,
        repository === 'x/manifests' || repository.includes('/') || path.startsWith('/g')
          ? repository
          : `library/${repository}`,
      ],
    ]);
  });

  test('[P7] /v2/tags/list/tags/list is the tag list of tags/list', async () => {
    const seen: string[] = [];
    const edge = await startEdge({
      lists: {
        tags: (name, query) => {
          seen.push(`${name.repository} ${query.toString()}`);
          return Promise.resolve(jsonReply({}));
        },
      },
    });
    await edge.get('/v2/tags/list/tags/list?n=2');
    expect(seen).toEqual(['tags/list n=2']);
  });

  test('http.prefix stands before the registry, and the probes stay where they are', async () => {
    const edge = await startEdge({ app: { pathPrefix: '/registry' } });
    const statuses = await Promise.all(
      ['/registry/v2/', '/registry/readyz', '/readyz', '/registry/v1/_ping', '/v2/', '/v1/_ping'].map(
        async (path) => (await edge.get(path)).status,
      ),
    );
    expect(statuses).toEqual([200, 200, 200, 200, 404, 404]);
  });

  test('[P100] [P101] search and its ping answer docker search', async () => {
    const edge = await startEdge();
    const ping = await edge.get('/v1/_ping');
    expect([ping.status, ping.headers.get('x-docker-registry-standalone')]).toEqual([200, 'true']);
    expect(await (await edge.get('/v1/search?q=a')).json()).toEqual({ results: [] });
  });

  test('/client/KIND shows the address that the client used, never one that it claims', async () => {
    const edge = await startEdge();
    const reply = await edge.get('/client/docker', {
      headers: { 'x-forwarded-host': 'evil.test', 'x-forwarded-proto': 'https' },
    });
    expect(await reply.text()).toBe(`mirror http://127.0.0.1:${edge.port}`);
    expect((await edge.get('/client/none')).status).toBe(404);
  });

  test('[S29] a configured public address is shown whatever the Host', async () => {
    const edge = await startEdge({ app: { publicUrl: 'https://mirror.test/' }, trusted: ['127.0.0.1'] });
    const text = await edge.raw(
      'GET http://evil.test/client/docker HTTP/1.1\r\nHost: evil.test\r\nX-Forwarded-Host: evil.test\r\nConnection: close\r\n\r\n',
    );
    expect(text).toContain('mirror https://mirror.test');
    expect(text).not.toContain('evil');
  });

  test('a trusted proxy says by which name the client came', async () => {
    const edge = await startEdge({ trusted: ['127.0.0.0/8'] });
    const reply = await edge.get('/client/docker', {
      headers: { 'x-forwarded-host': 'mirror.test', 'x-forwarded-proto': 'https' },
    });
    expect(await reply.text()).toBe('mirror https://mirror.test');
  });

  test('every route is listed beside the access it needs', () => {
    expect(
      ROUTES.map((route) => `${route.access} ${'method' in route ? route.method : 'GET'} ${route.path}`),
    ).toMatchSnapshot();
  });

  test('/readyz says no more than its status; /livez lives while it drains', async () => {
    const edge = await startEdge({ app: { readiness: () => ({ ready: false, reason: 'draining', degraded: ['storage'] }) } });
    const reply = await edge.get('/readyz');
    expect([reply.status, await reply.text()]).toEqual([503, '']);
    expect((await edge.get('/livez')).status).toBe(200);
  });
});

describe('errors', () => {
  test('[P15] a refusal is the JSON of the specification, and its message ends with the request id', async () => {
    const edge = await startEdge({
      pull: () =>
        Promise.reject(
          new RegistryError('TOOMANYREQUESTS', 'hub has no pulls left', {
            detail: { tried: ['hub'] },
            headers: { 'retry-after': '60' },
          }),
        ),
    });
    const reply = await edge.get(BLOB_PATH, { headers: { 'x-request-id': 'mine' } });
    expect(reply.status).toBe(429);
    expect(reply.headers.get('retry-after')).toBe('60');
    expect(reply.headers.get('content-type')).toBe('application/json');
    expect(reply.headers.get('x-request-id')).toBe('mine');
    expect(await reply.json()).toEqual({
      errors: [{ code: 'TOOMANYREQUESTS', message: 'hub has no pulls left (request mine)', detail: { tried: ['hub'] } }],
    });
    expect(edge.faults()).toEqual([]);
  });

  test('[P16] a HEAD that fails has the status, no body and no Transfer-Encoding', async () => {
    const edge = await startEdge();
    const text = await edge.raw(request('HEAD', BLOB_PATH, ['Connection: close']));
    expect(text).toMatch(/^HTTP\/1\.1 404 /);
    expect(text).toMatch(/content-type: application\/json\r\n/i);
    expect(text).not.toMatch(/transfer-encoding/i);
    expect(text.endsWith('\r\n\r\n')).toBe(true);
  });

  test('[P17] what nobody expected is 500 as JSON, reported once, its text kept', async () => {
    const edge = await startEdge({ pull: () => Promise.reject(new Error('secret path')) });
    const reply = await edge.get(BLOB_PATH);
    const body = await reply.text();
    expect([reply.status, reply.headers.get('content-type')]).toEqual([500, 'application/json']);
    expect(JSON.parse(body)).toMatchObject({ errors: [{ code: 'UNKNOWN' }] });
    expect(body).not.toContain('secret');
    expect(edge.faults()).toEqual([new Error('secret path')]);
  });

  test('[S21] [CVE-2026-47675] a header that cannot be sent is a 500 and a report, and reflects nothing', async () => {
    const edge = await startEdge({
      pull: () => Promise.resolve({ status: 200, headers: { link: 'a\r\nevil: 1' }, body: { kind: 'none' } }),
    });
    const text = await edge.raw(request('GET', BLOB_PATH, ['Connection: close']));
    expect(text).toMatch(/^HTTP\/1\.1 500 /);
    expect(text).not.toContain('evil');
    expect(edge.faults()).toHaveLength(1);
  });

  test('a detail that JSON cannot hold is left out', async () => {
    const circular: { self?: unknown } = {};
    circular.self = circular;
    const edge = await startEdge({
      pull: () => Promise.reject(new RegistryError('UNAVAILABLE', 'gone', { detail: circular })),
    });
    expect(await (await edge.get(BLOB_PATH)).json()).toEqual({
      errors: [{ code: 'UNAVAILABLE', message: 'gone (request id-1)' }],
    });
  });

  test.each([
    ['/v2/UPPER/manifests/x', 400, 'NAME_INVALID'],
    ['/v2/a%2Fb/manifests/x', 400, 'NAME_INVALID'],
    ['/v2/a/manifests/sha256:bad', 400, 'DIGEST_INVALID'],
    ['/v2/a/blobs/latest', 400, 'DIGEST_INVALID'],
    ['/v2/a/manifests/.tag', 404, 'MANIFEST_UNKNOWN'],
    ['/v2/a/unknown/x', 404, 'NAME_UNKNOWN'],
    ['/v2/a/blobs/uploads/123', 404, 'BLOB_UPLOAD_UNKNOWN'],
    ['/nothing', 404, 'NAME_UNKNOWN'],
  ])('[P8] [P9] [P10] [P11] [P14] GET %s is %i %s and nobody is asked', async (path, status, code) => {
    const edge = await startEdge({ pull: () => Promise.reject(new Error('asked')) });
    const reply = await edge.get(path);
    expect(reply.status).toBe(status);
    expect(await reply.json()).toMatchObject({ errors: [{ code }] });
    expect(edge.faults()).toEqual([]);
  });

  test.each(['POST', 'PATCH', 'PUT', 'DELETE'])('[P13] %s under /v2/ is 405 with Allow', async (method) => {
    const edge = await startEdge();
    for (const path of ['/v2/a/blobs/uploads/', '/v2/a/manifests/x', BLOB_PATH, '/v2/a/tags/list', '/v2/']) {
      const reply = await edge.get(path, { method });
      expect([reply.status, reply.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
      expect(await reply.json()).toMatchObject({ errors: [{ code: 'UNSUPPORTED' }] });
    }
  });
});

describe('the record of a request', () => {
  test('is one, and says what left', async () => {
    const edge = await startEdge({ trusted: ['127.0.0.1'] });
    await (
      await edge.get(`${BLOB_PATH}?ns=docker.io`, { headers: { 'user-agent': 'curl/8', 'x-forwarded-for': '10.1.2.3' } })
    ).text();
    await edge.ended(1);
    const [record] = edge.records();
    expect(edge.records()).toHaveLength(1);
    expect(record).toMatchObject({
      handler: 'blob',
      method: 'GET',
      path: BLOB_PATH,
      status: 404,
      client: '10.1.2.3',
      userAgent: 'curl/8',
      aborted: false,
      firstByteMs: 0,
    });
    expect(record?.bytes).toBeGreaterThan(50);
    expect(record?.trace.requestId).toBe('id-1');
    expect(edge.events.map(({ kind }) => kind)).toEqual(['request started', 'request']);
  });

  test('[S47] a request id that could break a line is not taken', async () => {
    const edge = await startEdge();
    for (const given of ['a b', '<x>', 'x'.repeat(129), '{"a":1}']) {
      const reply = await edge.get('/v2/', { headers: { 'x-request-id': given } });
      expect(reply.headers.get('x-request-id')).toMatch(/^id-\d+$/);
    }
  });
});

test('[S20] a target that the router and the parser read differently is answered by neither', async () => {
  const edge = await startEdge({
    app: { parseName: () => ({ kind: 'catalog', base: '/v2/_catalog' }) },
    pull: () => Promise.reject(new Error('asked')),
  });
  const reply = await edge.get(BLOB_PATH);
  expect(reply.status).toBe(404);
  expect(edge.faults()).toEqual([]);
});
