import { AssertionError } from 'node:assert';
import { request as openTunnel } from 'node:http';
import { request as openTunnelOverTls } from 'node:https';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { rootCertificates } from 'node:tls';

import buildConnector from 'undici/lib/core/connect.js';

import type { Clock } from '../system/clock.ts';
import { normalHost, type Address, type Guard } from './guard.ts';
import { proxyAuthorization } from './proxy.ts';
import { createReadMemory } from './read-memory.ts';
import { untilAborted } from './waiting.ts';

export interface TlsOptions {
  /** PEM, beside the system's own roots. */
  readonly ca?: string;
  /** PEM of the client certificate and its key, shown to the upstream's own host alone. */
  readonly certificate?: string;
  readonly key?: string;
  /** Takes any certificate of the upstream's own host. */
  readonly skipverify?: boolean;
}

export interface ConnectOptions {
  readonly clock: Clock;
  readonly guard: Guard;
  /** Name, TCP, tunnel and TLS together. */
  readonly connectMs: number;
  readonly tls: TlsOptions;
  /** To whom client certificate and `skipverify` apply. */
  readonly ownHost: string;
  readonly proxyFor: (target: URL) => URL | undefined;
}

/** The proxy could not be reached, or refused. */
export class ProxyFailure extends Error {
  override readonly name = 'ProxyFailure';
}

/** The time limit for connecting ran out. */
export class ConnectTimeout extends Error {
  override readonly name = 'ConnectTimeout';
}

/** Bytes that a socket had read when it failed: more than none means that it had served an answer before. */
export const bytesReadAtFailure = new WeakMap<Error, number>();

/** How undici opens a connection for us: guarded, through the proxy where there is one, within one time limit. */
export function createConnector(options: ConnectOptions): buildConnector.connector {
  return (target, callback) => {
    const attempt = new AbortController();
    const timer = options.clock.after(options.connectMs, () =>
      attempt.abort(new ConnectTimeout(`no connection to ${target.host ?? target.hostname} within ${options.connectMs} ms`)),
    );
    connect(options, target, attempt.signal)
      .then(
        (socket) => callback(null, watch(socket)),
        (error: unknown) => callback(error as Error, null as never),
      )
      .finally(() => timer.cancel());
  };
}

/** For requests that a proxy takes in absolute form: the connection to the proxy itself, which no guard judges. */
export function createProxyConnector(options: Pick<ConnectOptions, 'clock' | 'connectMs'>): buildConnector.connector {
  return (target, callback) => {
    const attempt = new AbortController();
    const timer = options.clock.after(options.connectMs, () =>
      attempt.abort(new ConnectTimeout('no connection within the limit')),
    );
    dial(FAMILIES, target, attempt.signal)
      .then(
        (socket) => callback(null, watch(socket)),
        (error: unknown) =>
          callback(new ProxyFailure(`the proxy ${target.hostname} cannot be reached`, { cause: error }), null as never),
      )
      .finally(() => timer.cancel());
  };
}

/** What may wait to be parsed before a socket is read no further: several reads for one look whether there are more. */
const READING = { highWaterMark: 256 * 1024 } as const;

const FAMILIES = { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 250 } as const;

async function connect(options: ConnectOptions, target: buildConnector.Options, signal: AbortSignal): Promise<Socket> {
  const hostname = normalHost(target.hostname);
  const port = target.port || (target.protocol === 'https:' ? '443' : '80');
  const url = new URL(`${target.protocol}//${isIP(hostname) === 6 ? `[${hostname}]` : hostname}:${port}`);
  const proxy = options.proxyFor(url);
  if (proxy !== undefined) {
    options.guard.judgeName(hostname);
    const tunnel = await throughProxy(proxy, `${url.hostname}:${port}`, signal);
    return dial(tlsFor(options, hostname), { ...target, hostname, httpSocket: tunnel }, signal);
  }
  const addresses = await untilAborted(options.guard.resolve(hostname), signal);
  const how = { ...FAMILIES, lookup: yielding(addresses), ...tlsFor(options, hostname) };
  return dial(how, { ...target, hostname }, signal);
}

/** A lookup that knows only the addresses that were judged. */
function yielding(addresses: readonly Address[]): LookupFunction {
  return (_hostname, lookupOptions, callback) => {
    if (lookupOptions.all) return callback(null, [...addresses]);
    const [first] = addresses;
    return callback(null, first?.address ?? '', first?.family);
  };
}

function tlsFor(options: ConnectOptions, hostname: string): buildConnector.BuildOptions {
  const { ca, certificate, key, skipverify } = options.tls;
  const own = hostname === options.ownHost;
  return {
    ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
    ...(own && certificate !== undefined && key !== undefined ? { cert: certificate, key } : {}),
    ...(own && skipverify ? { rejectUnauthorized: false } : {}),
  } as buildConnector.BuildOptions;
}

function dial(how: Partial<buildConnector.BuildOptions>, target: buildConnector.Options, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const onread = createReadMemory(() => opening);
    const connector = buildConnector({ timeout: 0, ...READING, ...how, onread } as buildConnector.BuildOptions);
    // The connector returns the socket that it is opening, though its type does not say so.
    const opening = (connector as unknown as (...args: Parameters<buildConnector.connector>) => Socket)(
      target,
      (error, socket) => {
        signal.removeEventListener('abort', giveUp);
        if (error !== null) return reject(signal.aborted ? (signal.reason as Error) : error);
        resolve(socket as Socket);
      },
    );
    const giveUp = (): void => {
      opening.destroy(signal.reason as Error);
    };
    signal.addEventListener('abort', giveUp, { once: true });
  });
}

/** RFC 9110 9.3.6: a tunnel to `authority` through the proxy. */
function throughProxy(proxy: URL, authority: string, signal: AbortSignal): Promise<Socket> {
  const authorization = proxyAuthorization(proxy);
  const open = proxy.protocol === 'https:' ? openTunnelOverTls : openTunnel;
  return new Promise((resolve, reject) => {
    const fail = (message: string, cause?: unknown): void =>
      reject(signal.aborted ? (signal.reason as Error) : new ProxyFailure(message, { cause }));
    const tunnel = open({
      host: normalHost(proxy.hostname),
      port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
      method: 'CONNECT',
      path: authority,
      agent: false,
      signal,
      headers: { host: authority, ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }) },
    });
    tunnel.once('connect', (answer, socket: Socket) => {
      if (answer.statusCode === 200) return resolve(socket);
      socket.destroy();
      return fail(`the proxy ${proxy.host} answered ${answer.statusCode} to CONNECT ${authority}`);
    });
    tunnel.once('response', (answer) => {
      answer.destroy();
      fail(`the proxy ${proxy.host} answered ${answer.statusCode} to CONNECT ${authority}`);
    });
    tunnel.once('error', (error) => fail(`the proxy ${proxy.host} cannot be reached`, error));
    tunnel.end();
  });
}

function watch(socket: Socket): Socket {
  socket.on('error', (error) => bytesReadAtFailure.set(error, socket.bytesRead));
  return contain(socket);
}

/**
 * undici asserts that its parser is not paused when a socket ends, though an upstream may well close behind a body that
 * waits for its reader. Thrown in a socket's event that assertion would end the process; here it ends the socket, whose
 * body is then gone on with like any other that broke.
 */
function contain(socket: Socket): Socket {
  const emit = socket.emit.bind(socket) as (event: string | symbol, ...values: unknown[]) => boolean;
  socket.emit = (event: string | symbol, ...values: unknown[]): boolean => {
    try {
      return emit(event, ...values);
    } catch (error) {
      if (!(error instanceof AssertionError)) throw error;
      socket.destroy(error);
      return true;
    }
  };
  return socket;
}
