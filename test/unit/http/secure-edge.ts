import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Session, type SecureClientSessionOptions } from 'node:http2';
import { request, type RequestOptions } from 'node:https';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';
import type { TlsOptions } from '../../../src/http/tls-options.ts';
import { createAuthority, type Authority, type Pair } from '../../fakes/certificates.ts';
import { startEdge, type Edge, type EdgeOptions } from './edge.ts';

export interface SecureEdge extends Edge {
  readonly authority: Authority;
  readonly tls: TlsOptions;
  /** A connection whose handshake is done; rejects with what kept it from that. */
  handshake(options?: ConnectionOptions): Promise<TLSSocket>;
  /** Status and body of a GET on a connection of its own, over HTTP/1.1. */
  fetch(path: string, options?: RequestOptions): Promise<{ readonly status: number | undefined; readonly body: string }>;
  /** An HTTP/2 session, which ends with the test. */
  session(options?: SecureClientSessionOptions): ClientHttp2Session;
}

export interface SecureOptions extends EdgeOptions {
  readonly tls?: Partial<TlsOptions>;
  readonly http2?: boolean;
  readonly pair?: Pair;
}

const AUTHORITY = createAuthority('Test Authority');

/** The edge over TLS, with a certificate for 127.0.0.1. */
export async function startSecureEdge(options: SecureOptions = {}): Promise<SecureEdge> {
  const pair = options.pair ?? AUTHORITY.issue('localhost');
  const tls: TlsOptions = { ...pair, minimum: 'TLSv1.2', clientCas: [], ...options.tls };
  const { http2 = false } = options;
  const edge = await startEdge({ ...options, listener: { tls, http2, ...options.listener } });
  const trusting = { ca: AUTHORITY.certificate, host: '127.0.0.1', port: edge.port };
  return {
    ...edge,
    authority: AUTHORITY,
    tls,
    async handshake(more = {}) {
      const socket = connect({ ...trusting, ...more });
      onTestFinished(() => void socket.destroy());
      await once(socket, 'secureConnect');
      socket.on('error', () => undefined);
      return socket;
    },
    fetch: (path, more = {}) =>
      new Promise((resolve, reject) => {
        const sent = request({ ...trusting, path, agent: false, ...more }, (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
          incoming.on('error', reject);
          incoming.on('end', () => resolve({ status: incoming.statusCode, body: Buffer.concat(chunks).toString() }));
        });
        sent.on('error', reject);
        sent.end();
      }),
    session(more = {}) {
      const session = connectHttp2(`https://127.0.0.1:${edge.port}`, { ca: AUTHORITY.certificate, ...more });
      session.on('error', () => undefined);
      onTestFinished(() => session.destroy());
      return session;
    },
  };
}
