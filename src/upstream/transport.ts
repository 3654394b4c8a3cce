import type { Dispatcher } from 'undici';
import Agent from 'undici/lib/dispatcher/agent.js';

import { createBody, type BodyFeed, type BodyLimits, type ResponseBody } from './body.ts';
import { bytesReadAtFailure, createConnector, createProxyConnector, ProxyFailure, type ConnectOptions } from './connect.ts';
import type { ExchangeKind } from './events.ts';
import { proxyAuthorization } from './proxy.ts';
import { lookedAt } from './read-memory.ts';

/** One upstream's connections: one HTTP exchange at a time, without redirects, tokens or opinions. */
export interface Transport {
  /** Resolves at the headers. A caller that does not read the body must `close` or `discard` it. */
  send(request: TransportRequest, signal: AbortSignal): Promise<TransportResponse>;
  /**
   * Keeps no connection any more; resolves when those in use have ended. Whoever was working with it goes on: a reload must
   * not fail a request between its token and its answer, nor a fill that has to go on by `Range`.
   */
  close(): Promise<void>;
}

export interface TransportRequest {
  /** What it is for, as metrics count it. */
  readonly what: ExchangeKind;
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly url: URL;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface TransportResponse {
  readonly url: URL;
  readonly status: number;
  /** By lower-case name; several lines of one name joined by `, ` (RFC 9110 5.3). */
  header(name: string): string | undefined;
  readonly body: ResponseBody;
}

export interface TransportOptions extends ConnectOptions {
  /** From the request to the headers of its answer. */
  readonly headersMs: number;
  readonly body: BodyLimits;
}

/** No headers within the limit. */
export class HeadersTimeout extends Error {
  override readonly name = 'HeadersTimeout';
}

const AGENT_OPTIONS = {
  // S17: a second answer on a connection must never find a second request waiting for it.
  pipelining: 1,
  keepAliveTimeout: 30_000,
  // Our own limits, on our own clock.
  headersTimeout: 0,
  bodyTimeout: 0,
  // A token may be several KiB, and signed Locations are long.
  maxHeaderSize: 64 * 1024,
} as const;

export function createTransport(options: TransportOptions): Transport {
  const kept = createAgents(options);
  let closed = false;

  const once = (request: TransportRequest, signal: AbortSignal): Promise<TransportResponse> => {
    const { direct, toProxy } = closed ? createAgents(options) : kept;
    const proxy = request.url.protocol === 'http:' ? options.proxyFor(request.url) : undefined;
    try {
      if (proxy === undefined)
        return exchange(direct, options, request, { origin: request.url.origin, path: pathOf(request.url) }, signal);
      options.guard.judgeName(request.url.hostname);
      return throughHttpProxy(toProxy, options, request, proxy, signal);
    } finally {
      // What is made after the end serves this one exchange, which is on its way by now.
      if (closed) closeAgents({ direct, toProxy }).catch(() => undefined); // The exchange itself tells how it ended.
    }
  };
  return {
    async send(request, signal) {
      try {
        return await once(request, signal);
      } catch (error) {
        // RFC 9110 9.2.2: a kept-alive connection may die as it is used again, and nothing was answered.
        if (request.method === 'POST' || signal.aborted || !diedReused(error)) throw error;
        return await once(request, signal);
      }
    },
    async close() {
      if (closed) return;
      closed = true;
      await closeAgents(kept);
    },
  };
}

interface Agents {
  readonly direct: Agent;
  readonly toProxy: Agent;
}

function createAgents(options: TransportOptions): Agents {
  return {
    direct: new Agent({ ...AGENT_OPTIONS, connect: createConnector(options) }),
    toProxy: new Agent({ ...AGENT_OPTIONS, connect: createProxyConnector(options) }),
  };
}

/** Each connection ends with the exchange that it is used for. */
async function closeAgents({ direct, toProxy }: Agents): Promise<void> {
  await Promise.all([direct.close(), toProxy.close()]);
}

/** RFC 9112 3.2.2: absolute form, the proxy's own credentials beside it. */
async function throughHttpProxy(
  agent: Agent,
  options: TransportOptions,
  request: TransportRequest,
  proxy: URL,
  signal: AbortSignal,
): Promise<TransportResponse> {
  const authorization = proxyAuthorization(proxy);
  const headers = {
    ...request.headers,
    host: request.url.host,
    ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }),
  };
  const target = { origin: proxy.origin, path: `${request.url.origin}${pathOf(request.url)}` };
  const response = await exchange(agent, options, { ...request, headers }, target, signal);
  if (response.status !== 407) return response;
  response.body.discard();
  throw new ProxyFailure(`the proxy ${proxy.host} wants other credentials (407)`);
}

function pathOf(url: URL): string {
  return `${url.pathname}${url.search}`;
}

function diedReused(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const socket = (error as { socket?: { bytesRead?: number } | null }).socket;
  return (socket?.bytesRead ?? bytesReadAtFailure.get(error) ?? 0) > 0;
}

/** Dispatches, and turns undici's callbacks into one promise and one body. */
function exchange(
  agent: Agent,
  options: TransportOptions,
  request: TransportRequest,
  target: { origin: string; path: string },
  signal: AbortSignal,
): Promise<TransportResponse> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    let controller: Dispatcher.DispatchController | undefined;
    let body: BodyFeed | undefined;
    let given: Error | undefined;

    const giveUp = (reason: Error): void => {
      given = reason;
      body?.fail(reason);
      controller?.abort(reason);
      settle();
      reject(reason);
    };
    const limitMs = options.connectMs + options.headersMs;
    // Stands in until the request is on its connection; then only the headers' own limit runs.
    let timer = options.clock.after(limitMs, () => giveUp(new HeadersTimeout(`no answer within ${limitMs} ms`)));
    const onAbort = (): void => giveUp(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    const settle = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
    };

    agent.dispatch(
      {
        origin: target.origin,
        path: target.path,
        method: request.method,
        headers: { ...request.headers },
        body: request.body ?? null,
        idempotent: request.method !== 'POST',
      },
      {
        onRequestStart(started) {
          controller = started;
          if (given !== undefined) return started.abort(given);
          timer.cancel();
          timer = options.clock.after(options.headersMs, () =>
            giveUp(new HeadersTimeout(`no answer within ${options.headersMs} ms`)),
          );
        },
        onResponseStart(answering, status, headers) {
          // RFC 9110 15.2: an interim answer is followed by the real one.
          if (status < 200 && status !== 101) return;
          timer.cancel();
          body = createBody(answering, options.clock, options.body, settle, lengthOf(headers['content-length']));
          resolve({ url: request.url, status, header: (name) => joined(headers[name]), body });
        },
        onResponseData(_answering, chunk) {
          body?.push(chunk);
          lookedAt(chunk);
        },
        onResponseEnd: () => body?.end(),
        onResponseError(_answering, error) {
          settle();
          if (body !== undefined) body.fail(error);
          else reject(error);
        },
      },
    );
  });
}

/** As the answer says it; undici cuts a body that is longer or shorter. */
function lengthOf(value: string | string[] | undefined): number | undefined {
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}
