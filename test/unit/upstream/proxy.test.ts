import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as forward } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { proxyFor } from '../../../src/upstream/proxy.ts';
import { freePort } from '../../fakes/free-port.ts';
import {
  atEnd,
  challenge,
  json,
  layer,
  never,
  readAll,
  sendBlob,
  sendManifest,
  serve,
  upstreamOf,
  wantBlob,
  wantManifest,
  type TestServer,
} from './servers.ts';

describe('NO_PROXY and its kin', () => {
  const env = (list: string) => ({ HTTPS_PROXY: 'http://proxy.test:3128', HTTP_PROXY: 'proxy.test:8080', NO_PROXY: list });
  const isProxied = (list: string, url: string): boolean => proxyFor('environment', env(list), new URL(url)) !== undefined;

  test.each([
    ['', 'https://registry.test', true],
    ['*', 'https://registry.test', false],
    ['registry.test', 'https://registry.test', false],
    ['registry.test', 'https://a.registry.test', false],
    ['.registry.test', 'https://a.registry.test', false],
    ['*.registry.test', 'https://a.registry.test', false],
    ['registry.test', 'https://notregistry.test', true],
    ['REGISTRY.test.', 'https://registry.test', false],
    ['registry.test:5000', 'https://registry.test:5000', false],
    ['registry.test:5000', 'https://registry.test', true],
    ['registry.test:443', 'https://registry.test', false],
    ['10.0.0.0/8', 'http://10.1.2.3:5000', false],
    ['10.0.0.0/8', 'http://11.1.2.3:5000', true],
    ['fd00::/8', 'http://[fd00::1]:5000', false],
    ['10.1.2.3', 'http://10.1.2.3:5000', false],
    ['a.test, b.test  c.test', 'https://c.test', false],
  ])('%j, %s: through the proxy %s', (list, url, expected) => {
    expect(isProxied(list, url)).toBe(expected);
  });

  test('by scheme, lower case first, a bare host is http, none and a URL of its own', () => {
    const target = new URL('https://registry.test');
    expect(proxyFor('environment', env(''), target)?.href).toBe('http://proxy.test:3128/');
    expect(proxyFor('environment', env(''), new URL('http://registry.test'))?.href).toBe('http://proxy.test:8080/');
    expect(proxyFor('environment', { ...env(''), https_proxy: 'http://other.test' }, target)?.host).toBe('other.test');
    expect(
      proxyFor('environment', { HTTP_PROXY: 'x.test', REQUEST_METHOD: 'GET' }, new URL('http://registry.test')),
    ).toBeUndefined();
    expect(proxyFor('none', env(''), target)).toBeUndefined();
    expect(proxyFor(new URL('http://mine.test:1'), env('*'), target)?.host).toBe('mine.test:1');
    expect(proxyFor('environment', {}, target)).toBeUndefined();
  });
});

const pem = (name: string): string => readFileSync(new URL(`tls/${name}.pem`, import.meta.url), 'utf8');

async function serveTls(handler: Parameters<typeof serve>[0]): Promise<TestServer> {
  return await serve(handler, (listener) => createTlsServer({ key: pem('server-key'), cert: pem('server') }, listener));
}

interface ScriptedProxy {
  readonly url: URL;
  readonly lines: string[];
  readonly authorizations: (string | undefined)[];
}

/** A forward proxy that notes what passes; every name is this machine to it. `status` refuses everything. */
async function scriptedProxy(status?: number): Promise<ScriptedProxy> {
  const lines: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    lines.push(`${request.method} ${request.url}`);
    authorizations.push(request.headers['proxy-authorization']);
    if (status !== undefined) return void response.writeHead(status).end();
    const target = new URL(request.url ?? '');
    const onward = forward(
      {
        host: '127.0.0.1',
        port: target.port,
        path: target.pathname + target.search,
        method: request.method,
        headers: request.headers,
      },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    request.pipe(onward);
  });
  server.on('connect', (request, socket) => {
    lines.push(`CONNECT ${request.url}`);
    authorizations.push(request.headers['proxy-authorization']);
    if (status !== undefined) return void socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
    const onward = connect(Number(request.url?.split(':').at(-1)), '127.0.0.1', () =>
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n'),
    );
    socket.pipe(onward).pipe(socket);
    socket.on('error', () => onward.destroy());
    onward.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  });
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), lines, authorizations };
}

describe('the way out through a proxy', () => {
  const unresolved = async (): Promise<never> =>
    await Promise.reject(new Error("names behind a proxy are the proxy's to resolve"));

  test('https by CONNECT: the registry, its token realm and its redirects alike, one tunnel a connection', async () => {
    const cdn = await serveTls((request, response) => sendBlob(request, response));
    const server = await serveTls((request, response) => {
      if (request.url?.startsWith('/token')) return json(response, 200, { token: 't' });
      if (request.headers.authorization === undefined)
        return challenge(response, `Bearer realm="https://registry.test:${server.url.port}/token",service="s"`);
      return void response.writeHead(307, { location: `https://cdn.test:${cdn.url.port}/x` }).end();
    });
    const proxy = await scriptedProxy();
    const url = new URL(`https://registry.test:${server.url.port}`);
    const upstream = upstreamOf(
      { url },
      { tls: { ca: pem('ca') }, publicOnly: true },
      { env: { HTTPS_PROXY: proxy.url.href }, resolve: unresolved },
    );
    expect(await readAll(await upstream.ask(wantBlob(), never))).toBe(layer.toString());
    expect(new Set(proxy.lines)).toEqual(
      new Set([`CONNECT registry.test:${server.url.port}`, `CONNECT cdn.test:${cdn.url.port}`]),
    );
  });

  test("http in absolute form, with the proxy's own password", async () => {
    const server = await serve((_request, response) => sendManifest(response));
    const proxy = await scriptedProxy();
    proxy.url.username = 'ann';
    proxy.url.password = 'p%40ss';
    const url = new URL(`http://registry.test:${server.url.port}`);
    await readAll(await upstreamOf({ url }, { proxy: proxy.url }, { resolve: unresolved }).ask(wantManifest(), never));
    expect(proxy.lines).toEqual([`GET http://registry.test:${server.url.port}/v2/library/alpine/manifests/3.20`]);
    expect(proxy.authorizations).toEqual([`Basic ${Buffer.from('ann:p@ss').toString('base64')}`]);
    expect(server.seen[0]?.headers.host).toBe(`registry.test:${server.url.port}`);
  });

  test('NO_PROXY, and proxy: none, go straight', async () => {
    const server = await serve((_request, response) => sendManifest(response));
    const proxy = await scriptedProxy();
    const env = { HTTP_PROXY: proxy.url.href };
    await readAll(await upstreamOf(server, {}, { env: { ...env, NO_PROXY: '127.0.0.0/8' } }).ask(wantManifest(), never));
    await readAll(await upstreamOf(server, { proxy: 'none' }, { env }).ask(wantManifest(), never));
    expect(proxy.lines).toEqual([]);
  });

  test.each(['http', 'https'])('a proxy that refuses or is not there is a fault of the proxy (%s)', async (scheme) => {
    const url = new URL(`${scheme}://registry.test:5000`);
    const refusing = await scriptedProxy(407);
    await expect(upstreamOf({ url }, { proxy: refusing.url }).ask(wantManifest(), never)).rejects.toMatchObject({
      reason: 'proxy',
    });
    const gone = await serve(() => undefined);
    await gone.close();
    await expect(upstreamOf({ url }, { proxy: gone.url }).ask(wantManifest(), never)).rejects.toMatchObject({
      reason: 'proxy',
    });
  });

  test('[S06] a public upstream leads to no private address through it, a listed one excepted', async () => {
    const inside = await serve((_request, response) => sendManifest(response));
    const outside = await serve(
      (_request, response) => void response.writeHead(307, { location: `${inside.origin}/v2/x` }).end(),
    );
    const proxy = (await scriptedProxy()).url;
    const url = new URL(`http://outside.test:${outside.url.port}`);
    await expect(upstreamOf({ url }, { proxy }).ask(wantManifest(), never)).rejects.toMatchObject({
      reason: 'connect',
      message: expect.stringContaining('127.0.0.1'),
    });
    expect(inside.sockets.size).toBe(0);
    await readAll(await upstreamOf({ url }, { proxy, redirectHosts: ['127.0.0.1'] }).ask(wantManifest(), never));
  });

  test('[S06] a private address is not asked of the proxy either', async () => {
    const proxy = await scriptedProxy();
    for (const origin of ['http://169.254.169.254', 'https://[::ffff:a9fe:a9fe]', 'http://localhost:1']) {
      await expect(
        upstreamOf({ url: new URL(origin) }, { publicOnly: true, proxy: proxy.url }).ask(wantManifest(), never),
      ).rejects.toMatchObject({ reason: 'connect' });
    }
    expect(proxy.lines).toEqual([]);
  });
});

const TINYPROXY = ['/usr/bin/tinyproxy', '/usr/sbin/tinyproxy'].find((path) => {
  try {
    execFileSync(path, ['-v'], { stdio: 'ignore' });
    return true;
  } catch {
    // Not installed there.
    return false;
  }
});

test.skipIf(TINYPROXY === undefined)('through a real forward proxy (needs the package tinyproxy)', async () => {
  const secure = await serveTls((_request, response) => sendManifest(response));
  const plain = await serve((_request, response) => sendManifest(response));
  const folder = mkdtempSync(join(tmpdir(), 'tinyproxy-'));
  const port = await freePort();
  writeFileSync(
    join(folder, 'conf'),
    [`Port ${port}`, 'Listen 127.0.0.1', 'Allow 127.0.0.1', 'Timeout 60', 'MaxClients 20', 'LogLevel Connect', ''].join('\n'),
  );
  const child = execFile(TINYPROXY!, ['-d', '-c', join(folder, 'conf')]);
  let log = '';
  child.stdout?.on('data', (chunk: string) => (log += chunk));
  atEnd(async () => {
    const ended = once(child, 'close');
    child.kill();
    await ended;
    rmSync(folder, { recursive: true });
  });
  await expect.poll(async () => await listens(port), { timeout: 5000 }).toBe(true);
  const proxy = new URL(`http://127.0.0.1:${port}`);
  await readAll(await upstreamOf(secure, { proxy, tls: { ca: pem('ca') } }).ask(wantManifest(), never));
  await readAll(await upstreamOf(plain, { proxy }).ask(wantManifest(), never));
  await expect.poll(() => log).toContain(`CONNECT ${secure.host}`);
  await expect.poll(() => log).toContain(`GET ${plain.origin}/v2/library/alpine/manifests/3.20`);
});

async function listens(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
