import type { IncomingMessage } from 'node:http';
import { RegistryError } from '../oci/errors.ts';

const TARGET_LENGTH_MAX = 8 * 1024;
const HEADER_COUNT_MAX = 200;

/**
 * What is refused before anybody looks at the route: requests that two parsers could read differently (S19), and sizes
 * that no client needs. `undefined`: nothing to object to.
 */
export function objection(incoming: IncomingMessage): RegistryError | undefined {
  const { rawHeaders, httpVersion } = incoming;
  if (rawHeaders.length / 2 > HEADER_COUNT_MAX) {
    return new RegistryError('UNSUPPORTED', `more than ${HEADER_COUNT_MAX} header fields`, { status: 431 });
  }
  if ((incoming.url ?? '').length > TARGET_LENGTH_MAX) {
    return new RegistryError('NAME_INVALID', `the request target is longer than ${TARGET_LENGTH_MAX} bytes`, { status: 414 });
  }
  if (isForeignPage(incoming)) return new RegistryError('DENIED', 'no page of another site may write here', { status: 403 });
  const hosts = countHosts(rawHeaders);
  // Node takes the first of several; a proxy before us may have taken the last.
  if (hosts > 1) return new RegistryError('UNSUPPORTED', 'the request has more than one Host', { status: 400 });
  if (hosts === 0 && httpVersion !== '1.0') {
    return new RegistryError('UNSUPPORTED', 'the request has no Host (RFC 9112 3.2)', { status: 400 });
  }
  return undefined;
}

/**
 * A browser may hold a client's certificate, and shows it to whatever page has it send a form here, plain text and all. It says whose
 * page that is (Fetch Metadata); programs that push say nothing of the kind. Of methods other than POST it asks first, by OPTIONS.
 */
function isForeignPage({ method, headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site'];
  return method === 'POST' && site !== undefined && site !== 'same-origin' && site !== 'none';
}

function countHosts(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() === 'host') count += 1;
  }
  return count;
}

/** The client's own X-Request-Id if it is short and plain, else `undefined`: it goes into headers, logs and messages. */
export function requestIdOf(incoming: IncomingMessage): string | undefined {
  const given = incoming.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:+/=-]{1,128}$/.test(given) ? given : undefined;
}

/** Whether bytes of a body follow the head, which nobody here reads. */
export function announcesBody(incoming: IncomingMessage): boolean {
  const length = incoming.headers['content-length'];
  return incoming.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}
