import { writeFile } from 'node:fs/promises';
import { createServer, request as forward, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../fakes/free-port.ts';
import { createHttpClient } from '../fakes/http-client.ts';
import type { Blob, Image, ManifestBlob } from '../fakes/images.ts';
import { fits } from '../fakes/scripted-behaviour.ts';
import { readPath } from '../fakes/scripted-request.ts';
import { startDaemon, type Daemon } from './program.ts';

/** The official registry (Debian's `docker-registry`), behind a proxy that counts what it is asked. */
export interface OfficialRegistry {
  /** Through the counting proxy. */
  readonly url: string;
  push(repository: string, tag: string, image: Image): Promise<void>;
  /** As the scripted upstream's: `GET blob`, `HEAD manifest`. Pushes do not count. */
  hits(pattern: string): number;
  /** Neither it nor the proxy answers any more. */
  stop(): Promise<void>;
}

/** The official registry by a configuration file of its own, without anything in front of it. */
export async function startOfficialFrom(file: string, port: number): Promise<Daemon> {
  return startDaemon('docker-registry', ['serve', file], () => accepts(port));
}

export async function startOfficialRegistry(directory: string, name = 'registry'): Promise<OfficialRegistry> {
  const port = await freePort();
  const daemon = await startDaemon('docker-registry', ['serve', await configFile(directory, name, port)], () => accepts(port));
  const seen: { method: string; url: string }[] = [];
  const proxy = await countingProxy(port, seen);
  const direct = `http://127.0.0.1:${port}`;
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    push: (repository, tag, image) => pushImage(direct, repository, tag, image),
    hits(pattern) {
      return seen.filter((one) => fits(pattern, { ...one, ...readPath(one.url.split('?')[0]!), status: undefined })).length;
    },
    stop: () => stopBoth(proxy, daemon),
  };
}

async function configFile(directory: string, name: string, port: number): Promise<string> {
  const file = join(directory, `${name}.yml`);
  const config = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(directory, name) } },
    http: { addr: `127.0.0.1:${port}` },
  };
  await writeFile(file, JSON.stringify(config));
  return file;
}

async function countingProxy(port: number, seen: { method: string; url: string }[]): Promise<Server> {
  const server = createServer((incoming, outgoing) => {
    const { method = 'GET', url = '/', headers } = incoming;
    seen.push({ method, url });
    const asked = forward({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    asked.on('error', () => outgoing.destroy());
    incoming.pipe(asked);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

async function stopBoth(proxy: Server, daemon: Daemon): Promise<void> {
  proxy.closeAllConnections();
  if (proxy.listening) await new Promise((resolve) => proxy.close(resolve));
  await daemon.stop();
}

/** OCI distribution-spec, "Pushing blobs" (POST then PUT) and "Pushing manifests". */
export async function pushImage(base: string, repository: string, tag: string, image: Image): Promise<void> {
  for (const blob of [...image.layers, ...image.configs]) await pushBlob(base, repository, blob);
  for (const manifest of image.manifests) await pushManifest(base, repository, manifest.digest, manifest);
  await pushManifest(base, repository, tag, image.top);
}

async function pushBlob(base: string, repository: string, blob: Blob): Promise<void> {
  const client = createHttpClient(base);
  const started = await client.get(`/v2/${repository}/blobs/uploads/`, { method: 'POST' });
  const location = new URL(started.headers.location!, base);
  location.searchParams.set('digest', blob.digest);
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(blob.size) };
  const done = await client.get(location.pathname + location.search, { method: 'PUT', body: blob.bytes, headers });
  if (done.status !== 201) throw new Error(`a blob was not taken: ${done.status} ${await done.text()}`);
  client.close();
}

async function pushManifest(base: string, repository: string, reference: string, manifest: ManifestBlob): Promise<void> {
  const client = createHttpClient(base);
  const headers = { 'content-type': manifest.mediaType };
  const path = `/v2/${repository}/manifests/${reference}`;
  const done = await client.get(path, { method: 'PUT', body: manifest.bytes, headers });
  if (done.status !== 201) throw new Error(`a manifest was not taken: ${done.status} ${await done.text()}`);
  client.close();
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
