import type { Digest } from '../../src/oci/digest.ts';
import { RegistryError } from '../../src/oci/errors.ts';
import { BodyCut, type PushBody, type PushMethod, type PushTarget } from '../../src/push/push.ts';
import { newTrace } from '../../src/pull/trace.ts';
import type { Server } from './server.ts';

export interface PushAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The error's code, where it was refused. */
  readonly code: string | undefined;
  readonly why: unknown;
}

export interface PushAsk {
  readonly method: PushMethod;
  /** With its query. */
  readonly path: string;
  readonly body?: PushBody | undefined;
  readonly contentType?: string | undefined;
  readonly contentRange?: string | undefined;
}

/** What the edge does with a request that changes something. Rejects never. */
export async function ask(server: Server, asked: PushAsk, signal: AbortSignal): Promise<PushAnswer> {
  const { method, path, body = bytesBody(new Uint8Array(), 1), contentType, contentRange } = asked;
  const url = new URL(path, 'http://x');
  const parse = server.chains().parseName;
  try {
    const reply = await server.pushing.push({
      method,
      target: parse(url.pathname, undefined) as PushTarget,
      query: url.searchParams,
      contentType,
      contentRange,
      body: untilGone(body, signal),
      nameOf(text) {
        const target = parse(`/v2/${text}/tags/list`, undefined);
        return target.kind === 'tags' ? target.name : undefined;
      },
      mayPull: () => true,
      requester: { id: '1', addr: '127.0.0.1', host: 'x', method, useragent: undefined },
      by: 'address:127.0.0.1',
      address: undefined,
      signal,
      trace: newTrace('1'),
    });
    return { status: reply.status, headers: reply.headers, code: undefined, why: undefined };
  } catch (error) {
    if (error instanceof RegistryError) return { status: error.status, headers: {}, code: error.code, why: error };
    return { status: 500, headers: {}, code: undefined, why: error };
  }
}

/** The connection is broken off: no more of it comes. */
function untilGone(body: PushBody, signal: AbortSignal): PushBody {
  return {
    length: body.length,
    next: () => (signal.aborted ? Promise.reject(new BodyCut('the connection is gone')) : body.next()),
  };
}

/** In pieces of so many bytes. */
export function bytesBody(bytes: Uint8Array, piece: number, pause?: () => Promise<void>): PushBody {
  let at = 0;
  return {
    length: bytes.byteLength,
    async next() {
      if (at >= bytes.byteLength) return undefined;
      await pause?.();
      const next = bytes.subarray(at, at + piece);
      at += next.byteLength;
      return next;
    },
  };
}

/** The client leaves after so many bytes. */
export function brokenBody(bytes: Uint8Array, after: number): PushBody {
  let sent = false;
  return {
    length: bytes.byteLength,
    next() {
      if (sent || after === 0) return Promise.reject(new BodyCut('the client has gone'));
      sent = true;
      return Promise.resolve(bytes.subarray(0, after));
    },
  };
}

export const blobPath = (repository: string, digest: Digest): string => `/v2/${repository}/blobs/${digest}`;
export const manifestPath = (repository: string, reference: string): string => `/v2/${repository}/manifests/${reference}`;
export const uploadsPath = (repository: string, query = ''): string => `/v2/${repository}/blobs/uploads/${query}`;
