import { readJsonObject } from '../oci/json.ts';
import type { Clock } from '../system/clock.ts';
import { readWhole } from './answer.ts';
import { bodyLimits } from './body.ts';
import { createGuard, isLoopbackName, normalHost, type Resolve } from './guard.ts';
import { proxyFor, type ProxyEnvironment } from './proxy.ts';
import { createResolve } from './resolve.ts';
import { createTransport, type Transport, type TransportResponse } from './transport.ts';
import { parseUrl } from '../oci/url.ts';

/** Documents of a server that the configuration names: whose keys sign its tokens. */
export interface FetchJson {
  /**
   * The JSON object at an address: https, or a loopback address. Redirects are followed at the same host alone. Rejects with
   * words that say what was wrong, and with the signal's reason.
   */
  readonly fetch: (url: string, signal: AbortSignal) => Promise<unknown>;
  close(): Promise<void>;
}

export interface FetchJsonOptions {
  readonly clock: Clock;
  readonly userAgent: string;
  /** Where HTTPS_PROXY and its like are looked for. */
  readonly env: ProxyEnvironment;
  /** PEM, beside the system's own roots. */
  readonly ca?: string;
  readonly resolve?: Resolve;
}

const BYTES_MAX = 1024 * 1024;
const MS_MAX = 10_000;
const REDIRECTS_MAX = 3;

export function createFetchJson({ clock, userAgent, env, ca, resolve }: FetchJsonOptions): FetchJson {
  const transport = createTransport({
    clock,
    // Whoever wrote the address knows where it is.
    guard: createGuard({ trusts: () => true, allow: [], resolve: createResolve(clock, resolve) }),
    connectMs: MS_MAX,
    headersMs: MS_MAX,
    body: bodyLimits(MS_MAX),
    tls: ca === undefined ? {} : { ca },
    ownHost: '',
    proxyFor: (target) => proxyFor('environment', env, target),
  });
  return {
    async fetch(url, signal) {
      const limit = new AbortController();
      const timer = clock.after(MS_MAX, () => limit.abort(new Error(`${hostOf(url)} did not answer within ${MS_MAX} ms`)));
      try {
        return await get(transport, url, userAgent, AbortSignal.any([signal, limit.signal]));
      } finally {
        timer.cancel();
      }
    },
    close: () => transport.close(),
  };
}

async function get(transport: Transport, text: string, userAgent: string, signal: AbortSignal): Promise<unknown> {
  let url = secureUrl(text);
  for (let hops = 0; ; hops += 1) {
    const headers = { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': userAgent };
    const response = await transport.send({ what: 'token', method: 'GET', url, headers }, signal);
    const next = redirectOf(response);
    if (next === undefined) return readAnswer(response);
    response.body.discard();
    if (hops === REDIRECTS_MAX) throw new Error(`${url.host} redirects too often`);
    if (next.origin !== url.origin) throw new Error(`${url.host} redirects to another host`);
    url = next;
  }
}

function secureUrl(text: string): URL {
  const url = parseUrl(text);
  const isSecure = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname));
  if (url === undefined || !isSecure) throw new Error(`${hostOf(text)} is not asked: its address is not https`);
  return url;
}

function isLoopback(hostname: string): boolean {
  const host = normalHost(hostname);
  return isLoopbackName(host) || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** `undefined`: it is none. */
function redirectOf({ status, url, header }: TransportResponse): URL | undefined {
  const location = header('location');
  if (status < 300 || status > 399 || location === undefined) return undefined;
  return parseUrl(location, url);
}

async function readAnswer(response: TransportResponse): Promise<unknown> {
  const { host } = response.url;
  if (response.status !== 200) {
    response.body.discard();
    throw new Error(`${host} answered ${response.status}`);
  }
  const body = await readWhole(response.body, BYTES_MAX);
  if (body === undefined) throw new Error(`${host} sent more than ${BYTES_MAX} bytes`);
  const read = readJsonObject(body);
  if (read.kind === 'fault') throw new Error(`${host} sent an unreadable document: ${read.reason}`);
  return read.value;
}

/** Without what else may stand in it. */
function hostOf(url: string): string {
  return parseUrl(url)?.host ?? 'the server';
}
