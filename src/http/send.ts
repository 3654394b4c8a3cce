import type { ServerResponse } from 'node:http';
import type { EdgeClock } from './ports.ts';
import type { Exchange } from './exchange.ts';
import type { Outgoing } from './outgoing.ts';

/**
 * What handlers return to Hono: the answer has left, or is leaving, by `outgoing`. One constant native Response for all,
 * never touched: node-server knows it by this header and writes nothing.
 */
export const SENT: Response = new Response(null, { headers: { 'x-hono-already-sent': 'true' } });

/**
 * Writes the head of an answer: the only place that does. From here on nothing may throw to Hono; what fails is cut.
 * Throws, with nothing written, when a header cannot be sent (S21).
 *
 * Strict lengths: without them Node lets a body be shorter than its Content-Length, and the client takes the *next*
 * answer on the connection for the rest of this one (S18).
 */
export function begin(
  exchange: Exchange,
  clock: EdgeClock,
  status: number,
  headers: Readonly<Record<string, string | number>>,
): void {
  const { outgoing, connection } = exchange;
  outgoing.strictContentLength = true;
  // A request that was not understood may be followed by bytes that were not meant as one (S19).
  if (status === 400 || connection.closing) outgoing.shouldKeepAlive = false;
  outgoing.writeHead(status, { ...exchange.commonHeaders, ...headers });
  exchange.firstByteMs ??= clock.monotonic() - exchange.startedMs;
}

/**
 * Breaks the connection of an answer that must not look complete: the only place that does.
 *
 * HTTP/1: a FIN before the promised length, after which containerd resumes (R27). HTTP/2: an error on the stream, since
 * `destroy()` is a clean end there and curl exits 0 on half a body.
 */
export function cut(outgoing: Pick<Outgoing, 'destroy' | 'headersSent' | 'req' | 'reset' | 'socket'>): void {
  if (outgoing.reset !== undefined) return outgoing.reset();
  if (outgoing.headersSent && outgoing.req.httpVersion === '1.0') reset(outgoing);
  outgoing.destroy();
}

/** An answer to HTTP/1.0 may end with its connection and nothing else: only a reset tells half of it from the whole. */
function reset(outgoing: Pick<ServerResponse, 'socket'>): void {
  try {
    outgoing.socket?.resetAndDestroy();
  } catch {
    // TLS says the same by the missing close_notify; a unix socket knows no reset.
  }
}
