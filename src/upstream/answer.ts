import { parseDigest } from '../oci/digest.ts';
import { nextLink } from '../oci/link.ts';
import { mediaTypeOf } from '../oci/media-types.ts';
import type { ResponseBody } from './body.ts';
import type { TransportResponse } from './transport.ts';
import { UpstreamError, type UpstreamFound, type UpstreamRequest } from './upstream.ts';
import { parseUrl } from '../oci/url.ts';

/** A 200 or 206 that was taken: all of {@link UpstreamFound} but the body, which the client wraps. */
export interface Taken extends Omit<UpstreamFound, 'body' | 'anonymous'> {
  readonly response: TransportResponse;
}

/**
 * Takes a 200 or 206 by table (R64), or throws: for bytes that were transformed on the way (S16), for a range that was not
 * asked for, for a length that contradicts the range. The caller ends the body when this throws.
 */
export function take(upstream: string, request: UpstreamRequest, response: TransportResponse): Taken {
  const encoding = response.header('content-encoding');
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
    throw fault(upstream, response, 'verify', `sent Content-Encoding ${encoding.slice(0, 40)} though none may be used`);
  }
  const extent = response.status === 206 ? partOf(upstream, request, response) : { from: 0, size: lengthOf(response) };
  return {
    kind: 'found',
    status: response.status === 206 ? 206 : 200,
    mediaType: mediaTypeOf(response.header('content-type')),
    digest: parseDigest(response.header('docker-content-digest')?.trim() ?? ''),
    size: extent.size,
    from: extent.from,
    next: nextPage(upstream, request, response),
    filtersApplied: response.header('oci-filters-applied'),
    response,
  };
}

/** RFC 9110 14.4: `bytes 5-9/20`; the total may be `*`. */
function partOf(
  upstream: string,
  request: UpstreamRequest,
  response: TransportResponse,
): { from: number; size: number | undefined } {
  const wanted = request.range;
  const wrong = (): UpstreamError => fault(upstream, response, 'status', 'answered 206 with a range that was not asked for');
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i.exec(response.header('content-range')?.trim() ?? '');
  if (wanted === undefined || match === null) throw wrong();
  const [first, last] = [Number(match[1]), Number(match[2])];
  const total = match[3] === '*' ? undefined : Number(match[3]);
  if (first !== wanted.from || last < first || (wanted.to !== undefined && last >= wanted.to)) throw wrong();
  if (total !== undefined && last >= total) throw wrong();
  const length = lengthOf(response);
  if (request.method === 'GET' && length !== undefined && length !== last - first + 1) throw wrong();
  return { from: first, size: total };
}

/** A Content-Length that is not a plain number is not one (RFC 9110 8.6). */
export function lengthOf(response: TransportResponse): number | undefined {
  const value = response.header('content-length')?.trim() ?? '';
  return /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/** Of `bytes 0-0/123`, or of a 416, with a star for the range: the 123. */
export function totalOf(response: TransportResponse): number | undefined {
  const total = /^bytes [\d*-]+\/(\d{1,15})$/i.exec(response.header('content-range')?.trim() ?? '')?.[1];
  return total === undefined ? undefined : Number(total);
}

/**
 * The query of `Link: <…>; rel="next"` (RFC 8288). Only the query is ever used, and only of a link to this very list: where
 * it points to is not dialled (S03).
 */
function nextPage(
  upstream: string,
  request: UpstreamRequest,
  response: TransportResponse,
): Readonly<Record<string, string>> | undefined {
  if (request.kind !== 'tags' && request.kind !== 'referrers') return undefined;
  const target = nextLink(response.header('link'));
  if (target === undefined) return undefined;
  const url = parseUrl(target, response.url);
  if (url === undefined || url.hostname !== response.url.hostname || url.pathname !== response.url.pathname) {
    throw fault(upstream, response, 'status', 'links the next page of a list somewhere else');
  }
  const query = Object.fromEntries([...url.searchParams].filter(([name]) => name !== 'ns'));
  return Object.keys(query).length === 0 ? undefined : query;
}

export function fault(
  upstream: string,
  response: TransportResponse,
  reason: 'status' | 'verify' | 'auth',
  what: string,
): UpstreamError {
  return new UpstreamError(upstream, reason, `${upstream} (${response.url.host}) ${what}`, { status: response.status });
}

/** Reads a short body whole; `undefined`, and the transfer ended, when it is longer than `bytesMax`. */
export async function readWhole(body: ResponseBody, bytesMax: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (let chunk = await body.read(); chunk !== undefined; chunk = await body.read()) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) {
      body.close();
      return undefined;
    }
    chunks.push(new Uint8Array(chunk));
  }
  return Buffer.concat(chunks);
}
