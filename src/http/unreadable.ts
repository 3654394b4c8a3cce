import type { Socket } from 'node:net';
import { RegistryError, type ErrorCode } from '../oci/errors.ts';
import type { Connection } from './connection.ts';
import { errorBody } from './errors.ts';
import type { Report } from './events.ts';

export interface UnreadableOptions {
  readonly report: Report;
  readonly newId: () => string;
}

interface Refusal {
  readonly status: number;
  readonly phrase: string;
  readonly code: ErrorCode;
  readonly message: string;
}

const BAD_REQUEST: Refusal = {
  status: 400,
  phrase: 'Bad Request',
  code: 'UNSUPPORTED',
  message: 'this is no HTTP/1.1 request',
};

const REFUSALS: ReadonlyMap<string, Refusal> = new Map([
  [
    'HPE_HEADER_OVERFLOW',
    { status: 431, phrase: 'Request Header Fields Too Large', code: 'UNSUPPORTED', message: 'the header is too large' },
  ],
  [
    'HPE_CHUNK_EXTENSIONS_OVERFLOW',
    { status: 413, phrase: 'Payload Too Large', code: 'SIZE_INVALID', message: 'the chunk extensions are too large' },
  ],
  [
    'ERR_HTTP_REQUEST_TIMEOUT',
    { status: 408, phrase: 'Request Timeout', code: 'UNSUPPORTED', message: 'the request did not arrive in time' },
  ],
]);

/**
 * Bytes that Node could not read as a request: answered by hand, since there is no response object, and closed, since what
 * follows them may be anything (S19). While another answer is on its way nothing is written, which would become part of
 * that answer's body: the connection ends, and with it the answer, visibly.
 */
export function answerUnreadable(
  error: NodeJS.ErrnoException,
  socket: Socket,
  connection: Pick<Connection, 'live'>,
  options: UnreadableOptions,
): void {
  if (connection.live > 0 || !socket.writable || error.code === 'ECONNRESET' || error.code === 'EPIPE') {
    socket.destroy();
    return;
  }
  const refusal = REFUSALS.get(error.code ?? '') ?? BAD_REQUEST;
  // A connection on which nothing was ever said times out too: there is nobody to tell.
  const silent = refusal.status === 408 && socket.bytesRead === 0;
  if (!silent) socket.write(toMessage(refusal, options.newId()));
  socket.destroySoon();
  if (silent) return;
  const client = socket.remoteAddress ?? 'unix';
  options.report({ kind: 'unreadable', client, status: refusal.status, reason: error.code ?? error.message });
}

function toMessage({ status, phrase, code, message }: Refusal, requestId: string): string {
  const body = errorBody(new RegistryError(code, message), requestId);
  const head = [
    `HTTP/1.1 ${status} ${phrase}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    'X-Content-Type-Options: nosniff',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
