import type { IncomingMessage } from 'node:http';
import { Http2ServerRequest, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';

/**
 * A request of HTTP/2 as a gateway to HTTP/1.1 would hand it on: `:authority` is its Host, a body of unknown length is
 * `chunked` (RFC 9113 8.3.1, RFC 9112 7.1). A Host that says otherwise stands beside it, and guard.ts refuses the two.
 */
export function http2Request(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  socket: TLSSocket,
): IncomingMessage {
  const raw = [...rawHeaders];
  const authority = headers[':authority'];
  if (authority !== undefined && headers.host !== authority) {
    headers.host ??= authority;
    raw.push('host', authority);
  }
  if (!stream.endAfterHeaders && headers['content-length'] === undefined) headers['transfer-encoding'] = 'chunked';
  const request = new Http2ServerRequest(stream, headers, {}, raw);
  // Node's is a proxy that forgets the client's address when the stream ends.
  Object.defineProperty(request, 'socket', { value: socket });
  // Its end says the same.
  request.on('error', () => undefined);
  return request as unknown as IncomingMessage;
}
