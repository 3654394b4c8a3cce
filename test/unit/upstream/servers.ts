import { setMaxListeners } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, type Socket } from 'node:net';

import { onTestFinished } from 'vitest';

import type { UpstreamEvent } from '../../../src/upstream/events.ts';
import {
  createUpstream,
  type RegistryUpstream,
  type UpstreamDeps,
  type UpstreamOptions,
} from '../../../src/upstream/client.ts';
import type { UpstreamAnswer, UpstreamFound, UpstreamRequest } from '../../../src/upstream/upstream.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { systemClock } from '../../../src/system/clock.ts';

/** One request as a server saw it. */
export interface Seen {
  readonly line: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface TestServer {
  readonly url: URL;
  readonly origin: string;
  readonly host: string;
  readonly seen: Seen[];
  readonly sockets: Set<Socket>;
  /** Requests whose `METHOD /path?query` begins with this, or matches. */
  hits(start: string | RegExp): number;
  close(): Promise<void>;
}

/** At the end of the test that asks for it: the last that was asked for comes first. */
export function atEnd(cleanup: () => Promise<void> | void): void {
  onTestFinished(() => cleanup());
}

export type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** A server on a free port of 127.0.0.1 that notes what it is asked. */
export async function serve(handler: Handler, make: (listener: RequestListener) => Server = createServer): Promise<TestServer> {
  const seen: Seen[] = [];
  const sockets = new Set<Socket>();
  const server = make((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      seen.push({ line: `${request.method} ${request.url}`, headers: request.headers, body });
      handler(request, response, body);
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  atEnd(close);
  const secure = 'setSecureContext' in server;
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const origin = `${secure ? 'https' : 'http'}://${host}`;
  return {
    url: new URL(origin),
    origin,
    host,
    seen,
    sockets,
    hits: (start) => seen.filter(({ line }) => (typeof start === 'string' ? line.startsWith(start) : start.test(line))).length,
    close,
  };
}

export function answer(
  response: ServerResponse,
  status: number,
  headers: Record<string, string> = {},
  body: string | Uint8Array = '',
): void {
  response.writeHead(status, { 'content-length': String(Buffer.byteLength(body)), ...headers });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

export function json(response: ServerResponse, status: number, value: unknown, headers: Record<string, string> = {}): void {
  answer(response, status, { 'content-type': 'application/json', ...headers }, JSON.stringify(value));
}

export const layer = Buffer.from('a layer of some bytes, long enough to be cut into ranges');
export const layerDigest = digestOf(layer);
export const manifest = Buffer.from(
  JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', layers: [] }),
);
export const manifestDigest = digestOf(manifest);
export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

export function sendManifest(response: ServerResponse, headers: Record<string, string> = {}): void {
  answer(response, 200, { 'content-type': MANIFEST_TYPE, 'docker-content-digest': manifestDigest, ...headers }, manifest);
}

/** A blob as a registry sends it: whole, or the range that was asked for. */
export function sendBlob(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array = layer): void {
  const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  if (match === null) return answer(response, 200, { 'content-type': 'application/octet-stream' }, bytes);
  const first = Number(match[1]);
  if (first >= bytes.byteLength) return answer(response, 416, { 'content-range': `bytes */${bytes.byteLength}` });
  const last = Math.min(match[2] === '' ? bytes.byteLength - 1 : Number(match[2]), bytes.byteLength - 1);
  return answer(
    response,
    206,
    { 'content-range': `bytes ${first}-${last}/${bytes.byteLength}` },
    bytes.subarray(first, last + 1),
  );
}

export function notFound(response: ServerResponse, code = 'MANIFEST_UNKNOWN'): void {
  json(response, 404, { errors: [{ code, message: 'unknown' }] }, { 'docker-distribution-api-version': 'registry/2.0' });
}

export function challenge(response: ServerResponse, value: string): void {
  json(
    response,
    401,
    { errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] },
    { 'www-authenticate': value },
  );
}

/** An upstream over a server, closed at the test's end, and the events it reported. */
export function upstreamOf(
  server: { readonly url: URL },
  options: Partial<UpstreamOptions> = {},
  deps: Partial<UpstreamDeps> = {},
): RegistryUpstream & { readonly events: UpstreamEvent[] } {
  const events: UpstreamEvent[] = [];
  const upstream = createUpstream(
    { name: 'hub', url: server.url, ...options },
    { clock: systemClock, report: (event) => events.push(event), ...deps },
  );
  atEnd(() => upstream.close());
  return { ...upstream, events };
}

export const never = new AbortController().signal;
setMaxListeners(0, never);

export function wantManifest(more: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return { kind: 'manifest', method: 'GET', registry: 'docker.io', repository: 'library/alpine', reference: '3.20', ...more };
}

export function wantBlob(more: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return { kind: 'blob', method: 'GET', registry: 'docker.io', repository: 'library/alpine', reference: layerDigest, ...more };
}

export async function readAll(found: UpstreamAnswer): Promise<string> {
  const chunks: Uint8Array[] = [];
  const { body } = expectFound(found);
  for (let chunk = await body?.read(); chunk !== undefined; chunk = await body?.read()) chunks.push(Uint8Array.from(chunk));
  return Buffer.concat(chunks).toString();
}

export function expectFound(found: UpstreamAnswer): UpstreamFound {
  if (found.kind !== 'found') throw new Error(`expected found, got ${JSON.stringify(found)}`);
  return found;
}
