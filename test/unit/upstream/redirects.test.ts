import { describe, expect, test } from 'vitest';

import {
  answer,
  challenge,
  expectFound,
  json,
  layer,
  layerDigest,
  manifest,
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

function redirect(to: () => string, status = 307): Handler {
  return (_request, response) => void response.writeHead(status, { location: to() }).end();
}

describe('redirects', () => {
  test.each([301, 302, 303, 307, 308])(
    '[P71] [S02] %i to another host: bytes come, nothing of ours goes there, Range does',
    async (status) => {
      const cdn = await serve((request, response) => {
        const { authorization, cookie } = request.headers;
        if (authorization !== undefined || cookie !== undefined || request.headers['x-api-key'] !== undefined)
          return answer(response, 400, {}, 'Only one auth mechanism allowed');
        return sendBlob(request, response);
      });
      const server = await serve((request, response) => {
        if (request.url?.startsWith('/token')) return json(response, 200, { token: 't' });
        if (request.headers.authorization === undefined)
          return challenge(response, `Bearer realm="${server.origin}/token",service="s"`);
        return void response.writeHead(status, { location: `${cdn.origin}/signed?X-Amz=1`, 'set-cookie': 'a=b' }).end();
      });
      const upstream = upstreamOf(server, { headers: { 'x-api-key': 'k', cookie: 'c=d' }, userAgent: 'entrepot/1' });
      const found = expectFound(await upstream.ask(wantBlob({ range: { from: 2, to: 7 } }), never));
      expect(await readAll(found)).toBe('layer');
      expect(found.status).toBe(206);
      expect(server.seen[0]?.headers['x-api-key']).toBe('k');
      expect(cdn.seen).toMatchObject([
        {
          line: 'GET /signed?X-Amz=1',
          headers: { range: 'bytes=2-6', 'accept-encoding': 'identity', 'user-agent': 'entrepot/1' },
        },
      ]);
    },
  );

  test('[P72] a relative Location stays on the server, with everything', async () => {
    const server = await serve((request, response) => {
      if (request.url?.startsWith('/token')) return json(response, 200, { token: 't' });
      if (request.headers.authorization === undefined)
        return challenge(response, `Bearer realm="${server.origin}/token",service="s"`);
      return request.url?.startsWith('/artifacts-downloads/')
        ? sendBlob(request, response)
        : redirect(() => '/artifacts-downloads/x')(request, response, '');
    });
    expect(await readAll(await upstreamOf(server).ask(wantBlob(), never))).toBe(layer.toString());
    expect(server.seen.at(-1)).toMatchObject({ line: 'GET /artifacts-downloads/x', headers: { authorization: 'Bearer t' } });
  });

  test('[P45] manifests are followed too, HEAD stays HEAD, and no ns is added', async () => {
    const regional = await serve((_request, response) => sendManifest(response));
    const server = await serve((request, response) =>
      redirect(() => `${regional.origin}${new URL(request.url ?? '', server.url).pathname}`)(request, response, ''),
    );
    const upstream = upstreamOf(server, { ns: true });
    expect(await readAll(await upstream.ask(wantManifest(), never))).toBe(manifest.toString());
    expect(expectFound(await upstream.ask(wantManifest({ method: 'HEAD' }), never)).body).toBeUndefined();
    expect(regional.seen.map(({ line }) => line)).toEqual([
      'GET /v2/library/alpine/manifests/3.20',
      'HEAD /v2/library/alpine/manifests/3.20',
    ]);
  });

  test('the registry that it leads to may ask for a token of its own', async () => {
    const regional = await serve((request, response) => {
      if (request.url?.startsWith('/v2/token')) return json(response, 200, { token: 'r' });
      return request.headers.authorization === 'Bearer r'
        ? sendManifest(response)
        : challenge(response, `Bearer realm="${regional.origin}/v2/token"`);
    });
    const server = await serve((request, response) =>
      redirect(() => `${regional.origin}${request.url}`)(request, response, ''),
    );
    const upstream = upstreamOf(server, {
      credentials: async () => ({ kind: 'password', username: 'u', password: 'canary' }),
      use: 'all',
    });
    expect(expectFound(await upstream.ask(wantManifest(), never)).anonymous).toBe(true);
    expect(regional.seen.some(({ headers }) => headers.authorization?.startsWith('Basic'))).toBe(false);
  });

  test('what our credentials led to is not anonymous, though an anonymous token was enough at its end', async () => {
    const regional = await serve((request, response) => {
      if (request.url?.startsWith('/v2/token')) return json(response, 200, { token: 'r' });
      if (request.headers.authorization === 'Bearer r') return sendManifest(response);
      return challenge(response, `Bearer realm="${regional.origin}/v2/token"`);
    });
    const server = await serve((request, response) => {
      if (request.url?.startsWith('/token')) return json(response, 200, { token: 't' });
      if (request.headers.authorization === 'Bearer t')
        return redirect(() => `${regional.origin}${request.url}`)(request, response, '');
      return challenge(response, `Bearer realm="${server.origin}/token",service="s"`);
    });
    const credentials = async () => ({ kind: 'password', username: 'u', password: 'canary' }) as const;
    const upstream = upstreamOf(server, { credentials, use: 'all' });
    await readAll(await upstream.ask(wantManifest(), never));
    // Now the token is at hand, and the redirect is the first answer.
    expect(expectFound(await upstream.ask(wantManifest(), never)).anonymous).toBe(false);
    expect(JSON.stringify(regional.seen)).not.toMatch(/canary|Basic/);
  });

  test('five hops, and no more; no circle; no other scheme; no user name; no missing Location', async () => {
    const server = await serve((request, response) => {
      const hop = Number(/^\/hop\/(\d+)/.exec(request.url ?? '')?.[1]);
      if (hop === 0) return sendBlob(request, response);
      if (hop > 0) return redirect(() => `/hop/${hop - 1}`)(request, response, '');
      const how: Record<string, string> = {
        five: '/hop/4',
        six: '/hop/5',
        circle: request.url ?? '',
        scheme: 'file:///etc/passwd',
        user: 'http://a:b@127.0.0.1/',
      };
      const to = how[/\/v2\/(\w+)\//.exec(request.url ?? '')?.[1] ?? ''];
      return void response.writeHead(307, to === undefined ? {} : { location: to }).end();
    });
    const upstream = upstreamOf(server);
    expect(await readAll(await upstream.ask(wantBlob({ repository: 'five' }), never))).toBe(layer.toString());
    for (const repository of ['six', 'circle', 'scheme', 'user', 'nowhere']) {
      await expect(upstream.ask(wantBlob({ repository }), never)).rejects.toMatchObject({ reason: 'status' });
    }
    expect(server.hits('GET /v2/circle')).toBe(1);
  });

  test.each([401, 403, 410])('[P73] a signed URL that ran out (%i) is asked for again, once', async (status) => {
    let good = 2;
    const cdn = await serve((request, response) =>
      request.url === `/signed/${good}` ? sendBlob(request, response) : answer(response, status),
    );
    let signed = 0;
    const server = await serve(redirect(() => `${cdn.origin}/signed/${++signed}`));
    const upstream = upstreamOf(server);
    expect(await readAll(await upstream.ask(wantBlob({ range: { from: 2, to: 7 } }), never))).toBe('layer');
    expect(cdn.seen.map(({ headers }) => headers.range)).toEqual(['bytes=2-6', 'bytes=2-6']);
    good = 0;
    await expect(upstream.ask(wantBlob(), never)).rejects.toMatchObject({ reason: 'status', status });
    expect(server.seen.length).toBe(4);
  });

  test('a 404 of a content network is a fault; that of a registry further on is an absence', async () => {
    const there = await serve((_request, response) => notFound(response));
    const server = await serve((request, response) =>
      redirect(() => `${there.origin}${request.url?.includes('/blobs/') ? '/bucket/x' : request.url}`)(request, response, ''),
    );
    const upstream = upstreamOf(server);
    await expect(upstream.ask(wantBlob(), never)).rejects.toMatchObject({ reason: 'status', status: 404 });
    expect(await upstream.ask(wantManifest(), never)).toEqual({ kind: 'absent' });
  });

  test('[P97] referrers that lead to a web page are absent; those that lead to referrers are followed', async () => {
    const web = await serve((_request, response) => answer(response, 429, {}, 'a web page'));
    const page = await serve(redirect(() => `${web.origin}/acme/tool`, 303));
    const request = {
      kind: 'referrers',
      method: 'GET',
      registry: 'ghcr.io',
      repository: 'acme/tool',
      reference: layerDigest,
    } as const;
    expect(await upstreamOf(page).ask(request, never)).toEqual({ kind: 'absent' });
    expect(web.seen.length).toBe(0);

    const list = await serve((_request, response) =>
      json(response, 200, { manifests: [] }, { 'oci-filters-applied': 'artifactType' }),
    );
    const moved = await serve((asked, response) => redirect(() => `${list.origin}${asked.url}`)(asked, response, ''));
    expect(await upstreamOf(moved).ask(request, never)).toMatchObject({ kind: 'found', filtersApplied: 'artifactType' });
  });
});
