import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

import { describe, expect, test } from 'vitest';

import {
  expectFound,
  never,
  sendBlob,
  sendManifest,
  serve,
  upstreamOf,
  wantBlob,
  wantManifest,
  type Handler,
  type TestServer,
} from './servers.ts';

const pem = (name: string): string => readFileSync(new URL(`tls/${name}.pem`, import.meta.url), 'utf8');
const CA = pem('ca');

/** Certified by a CA that nobody knows; `presented` notes the client certificate of each request. */
async function serveTls(handler: Handler, presented: (string | undefined)[] = []): Promise<TestServer> {
  const secure = { key: pem('server-key'), cert: pem('server'), ca: CA, requestCert: true, rejectUnauthorized: false };
  return await serve(
    (request, response, body) => {
      const { subject } = (
        request.socket as unknown as { getPeerCertificate(): { subject?: { CN?: string } } }
      ).getPeerCertificate();
      presented.push(subject?.CN);
      handler(request, response, body);
    },
    (listener) => createServer(secure, listener),
  );
}

const HEAD = { method: 'HEAD' } as const;

describe('[S07] TLS', () => {
  test('[GHSA-98x5-jw98-6c97] an unknown CA is refused, and nothing is asked over http', async () => {
    const server = await serveTls((_request, response) => sendManifest(response));
    await expect(upstreamOf(server).ask(wantManifest(HEAD), never)).rejects.toMatchObject({ reason: 'tls' });
    expect(server.seen.length).toBe(0);
  });

  test('a private CA is trusted beside the public ones; the host must match', async () => {
    const server = await serveTls((_request, response) => sendManifest(response));
    expect(await upstreamOf(server, { tls: { ca: CA } }).ask(wantManifest(HEAD), never)).toMatchObject({ kind: 'found' });
    const url = new URL(`https://other.test:${server.url.port}`);
    const resolve = async () => [{ address: '127.0.0.1', family: 4 as const }];
    await expect(upstreamOf({ url }, { tls: { ca: CA } }, { resolve }).ask(wantManifest(HEAD), never)).rejects.toMatchObject({
      reason: 'tls',
    });
  });

  test('a client certificate is shown to the upstream, and not where it leads; it opens doors', async () => {
    const there: (string | undefined)[] = [];
    const cdn = await serveTls((request, response) => sendBlob(request, response), there);
    const here: (string | undefined)[] = [];
    const server = await serveTls(
      (_request, response) => void response.writeHead(307, { location: `https://cdn.test:${cdn.url.port}/x` }).end(),
      here,
    );
    const resolve = async () => [{ address: '127.0.0.1', family: 4 as const }];
    const tls = { ca: CA, certificate: pem('client'), key: pem('client-key') };
    const found = expectFound(await upstreamOf(server, { tls }, { resolve }).ask(wantBlob(HEAD), never));
    expect(found.anonymous).toBe(false);
    expect([here, there]).toEqual([['client'], [undefined]]);
  });

  test('skipverify takes any certificate of its own host, and of no other', async () => {
    const cdn = await serveTls((request, response) => sendBlob(request, response));
    const server = await serveTls((request, response) =>
      request.url?.includes('/blobs/')
        ? void response.writeHead(307, { location: `https://cdn.test:${cdn.url.port}/x` }).end()
        : sendManifest(response),
    );
    const resolve = async () => [{ address: '127.0.0.1', family: 4 as const }];
    const upstream = upstreamOf(server, { tls: { skipverify: true } }, { resolve });
    expect(await upstream.ask(wantManifest(HEAD), never)).toMatchObject({ kind: 'found' });
    await expect(upstream.ask(wantBlob(), never)).rejects.toMatchObject({ reason: 'tls' });
    expect(cdn.seen.length).toBe(0);
  });

  test('[S02] [GHSA-mcvp-rpgg-9273] https never leads to http', async () => {
    const plain = await serve((request, response) => sendBlob(request, response));
    const server = await serveTls(
      (_request, response) => void response.writeHead(307, { location: `${plain.origin}/x` }).end(),
    );
    await expect(upstreamOf(server, { tls: { ca: CA } }).ask(wantBlob(), never)).rejects.toMatchObject({
      reason: 'status',
      message: expect.stringContaining('https to http'),
    });
    expect(plain.seen.length).toBe(0);
  });

  test('[S01] the realm of an https upstream is https', async () => {
    const plain = await serve((_request, response) => sendManifest(response));
    const server = await serveTls(
      (_request, response) =>
        void response.writeHead(401, { 'www-authenticate': `Bearer realm="${plain.origin}/token",service="s"` }).end(),
    );
    await expect(upstreamOf(server, { tls: { ca: CA } }).ask(wantBlob(), never)).rejects.toMatchObject({ reason: 'auth' });
    expect(plain.seen.length).toBe(0);
  });
});
