import type { Exchange } from './exchange.ts';

/** Fields that say nothing of who asks or of what is asked for, beside the Host. Any other may. */
const PLAIN: ReadonlySet<string> = new Set([
  'host',
  'user-agent',
  'accept',
  'accept-encoding',
  'accept-language',
  'connection',
]);

/**
 * Whether a request that has ended was nobody's in particular, says nothing but what it wants, and was answered whole with what is
 * held: if it comes again, on any connection, it means the same.
 */
export function isRepeatable(exchange: Exchange): boolean {
  const { incoming, outgoing, identity, trace, certificate, commonHeaders } = exchange;
  return (
    trace.outcome === 'hit' &&
    exchange.whole &&
    outgoing.statusCode === 200 &&
    outgoing.shouldKeepAlive &&
    incoming.httpVersion === '1.1' &&
    identity.subject.kind === 'anyone' &&
    identity.credentials === undefined &&
    certificate === undefined &&
    commonHeaders['date'] === undefined &&
    hasPlainFields(incoming.rawHeaders) &&
    [undefined, 'keep-alive'].includes(incoming.headers.connection?.toLowerCase())
  );
}

/** Each of them once: of several, programs take the first or the last. */
function hasPlainFields(rawHeaders: readonly string[]): boolean {
  const seen = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? '';
    if (!PLAIN.has(name) || seen.has(name)) return false;
    seen.add(name);
  }
  return true;
}
