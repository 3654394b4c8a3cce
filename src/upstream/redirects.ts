import type { ExchangeKind } from './events.ts';
import type { Transport, TransportResponse } from './transport.ts';
import { UpstreamError } from './upstream.ts';
import { parseUrl } from '../oci/url.ts';

/** One request that may be led elsewhere. */
export interface Journey {
  readonly what: ExchangeKind;
  readonly method: 'GET' | 'HEAD';
  readonly url: URL;
  /** Sent to every hop: Accept, Accept-Encoding, User-Agent, Range. */
  readonly headers: Readonly<Record<string, string>>;
  /** Sent to the first origin alone: Authorization and what the configuration adds (S02). */
  readonly ownHeaders: Readonly<Record<string, string>>;
  /** False: this target is not what was asked for, and the redirect counts as "not here". */
  readonly mayLeadTo?: (target: URL) => boolean;
}

export interface Arrival {
  readonly response: TransportResponse;
  /** True when the last hop was at another origin than the first. */
  readonly elsewhere: boolean;
}

const HOPS_MAX = 5;

/**
 * Follows redirects by our own rules: at most five, never from https to http, never round in a circle, nothing of ours to
 * another origin (it differs by port too), the method kept. What may be dialled at all is the guard's to say, at every hop.
 * `undefined`: it leads to something else ({@link Journey.mayLeadTo}).
 */
export async function follow(
  transport: Transport,
  upstream: string,
  journey: Journey,
  signal: AbortSignal,
): Promise<Arrival | undefined> {
  let url = journey.url;
  const visited = new Set<string>();
  for (let hop = 0; hop <= HOPS_MAX; hop++) {
    visited.add(url.href);
    const elsewhere = url.origin !== journey.url.origin;
    const headers = elsewhere ? journey.headers : { ...journey.headers, ...journey.ownHeaders };
    const response = await transport.send({ what: journey.what, method: journey.method, url, headers }, signal);
    if (!isRedirect(response.status)) return { response, elsewhere };
    response.body.discard();
    const target = targetOf(upstream, url, response);
    if (visited.has(target.href)) throw fault(upstream, response, 'redirects in a circle');
    if (journey.mayLeadTo?.(target) === false) return undefined;
    url = target;
  }
  throw new UpstreamError(upstream, 'status', `${upstream}: more than ${HOPS_MAX} redirects`);
}

/** RFC 9110 15.4; 300, 304, 305 and 306 lead nowhere that we could go. */
function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

function targetOf(upstream: string, from: URL, response: TransportResponse): URL {
  const location = response.header('location');
  const target = location === undefined ? undefined : parseUrl(location, from);
  if (target === undefined) throw fault(upstream, response, `answered ${response.status} without a usable Location`);
  target.hash = '';
  if (!/^https?:$/.test(target.protocol)) throw fault(upstream, response, `redirects to ${target.protocol}`);
  if (from.protocol === 'https:' && target.protocol === 'http:')
    throw fault(upstream, response, `redirects from https to http (${target.host})`);
  if (target.username !== '' || target.password !== '')
    throw fault(upstream, response, 'redirects to an address that carries a user name');
  return target;
}

function fault(upstream: string, response: TransportResponse, what: string): UpstreamError {
  return new UpstreamError(upstream, 'status', `${upstream} (${response.url.host}) ${what}`, { status: response.status });
}
