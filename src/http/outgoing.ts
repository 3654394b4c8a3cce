import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** The part of Node's response that the edge uses, the same under both versions of HTTP. */
export interface Outgoing {
  /** A body must be as long as its Content-Length says; otherwise `write` and `end` throw. */
  strictContentLength: boolean;
  /** Whether the connection may carry another answer; HTTP/1 alone. */
  shouldKeepAlive: boolean;
  readonly statusCode: number;
  readonly headersSent: boolean;
  /** All of the answer has left. */
  readonly writableFinished: boolean;
  writeHead(status: number, headers: OutgoingHttpHeaders): unknown;
  writeContinue(): unknown;
  /** `done` when the kernel has taken all of it. */
  write(bytes: Uint8Array, done: (error?: Error | null) => void): unknown;
  end(done: () => void): unknown;
  end(bytes: Uint8Array, done: () => void): unknown;
  /** Closes the connection, under HTTP/1; under HTTP/2 {@link reset} stands for it. */
  destroy(): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  once(event: 'close' | 'finish' | 'socket', listener: () => void): unknown;
  /** `null` while other answers have the connection (HTTP/1). */
  readonly socket: ServerResponse['socket'];
  /** What asked for it. */
  readonly req: { readonly httpVersion: string };
  /** Of HTTP/2 alone: ends its stream with an error. */
  reset?(): void;
}
