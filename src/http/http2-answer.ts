import { EventEmitter } from 'node:events';
import type { OutgoingHttpHeaders } from 'node:http';
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Outgoing } from './outgoing.ts';

/** A client that takes less than this within `http.stalltimeout` is one that stopped: no smaller step can be seen. */
const SLICE_BYTES = 64 * 1024;

/** They are about a connection of HTTP/1 (RFC 9113 8.2.2). */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

const BODYLESS: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * An answer on a stream of HTTP/2. Not Node's own response: that one calls half an answer finished when its stream was
 * reset, and knows no strict lengths.
 */
export class Http2Answer extends EventEmitter implements Outgoing {
  strictContentLength = false;
  shouldKeepAlive = true;
  statusCode = 200;
  headersSent = false;
  /** We broke it, and not the client. */
  wasCut = false;
  readonly req = { httpVersion: '2.0' };
  readonly socket: TLSSocket;
  readonly #stream: ServerHttp2Stream;
  readonly #method: string | undefined;
  #whole = false;
  #promised: number | undefined;
  #sent = 0;
  #unsent = 0;

  constructor(stream: ServerHttp2Stream, socket: TLSSocket, method: string | undefined) {
    super();
    this.socket = socket;
    this.#stream = stream;
    this.#method = method;
    stream.once('close', () => this.emit('close'));
  }

  get writableFinished(): boolean {
    return this.#whole;
  }

  /** Bytes of the running write that the client has not taken, in steps of 64 KiB. */
  get unsent(): number {
    return this.#unsent;
  }

  writeHead(status: number, headers: OutgoingHttpHeaders): void {
    this.statusCode = status;
    const length = headers['content-length'];
    const bodyless = this.#method === 'HEAD' || BODYLESS.has(status);
    this.#promised = bodyless || length === undefined ? undefined : Number(length);
    const fields = Object.entries(headers).filter(([name]) => !CONNECTION_FIELDS.has(name.toLowerCase()));
    this.#stream.respond({ ...Object.fromEntries(fields), ':status': status });
    this.headersSent = true;
  }

  writeContinue(): void {
    if (!this.headersSent && !this.#stream.closed)
      this.#stream.additionalHeaders({ ':status': constants.HTTP_STATUS_CONTINUE });
  }

  write(bytes: Uint8Array, done: (error?: Error | null) => void): void {
    this.#check(this.#sent + bytes.byteLength, false);
    this.#sent += bytes.byteLength;
    this.#unsent = bytes.byteLength;
    const writeFrom = (from: number): void => {
      const slice = bytes.subarray(from, from + SLICE_BYTES);
      this.#stream.write(slice, (error) => {
        this.#unsent -= slice.byteLength;
        const next = from + slice.byteLength;
        if (error || next >= bytes.byteLength) done(error);
        else writeFrom(next);
      });
    };
    writeFrom(0);
  }

  end(done: () => void): void;
  end(bytes: Uint8Array, done: (error?: Error | null) => void): void;
  end(first: Uint8Array | (() => void), then?: (error?: Error | null) => void): void {
    if (typeof first === 'function') {
      this.#check(this.#sent, true);
      return this.#finish(first);
    }
    const done = then ?? ((): void => undefined);
    this.#check(this.#sent + first.byteLength, true);
    if (first.byteLength === 0) return this.#finish(done);
    return this.write(first, (error) => (error ? done(error) : this.#finish(done)));
  }

  /**
   * Not `stream.close(code)`: that ends the writable side first, and the end leaves before the error does. The error given
   * is what makes it one to the client (RST_STREAM with INTERNAL_ERROR).
   */
  reset(): void {
    this.wasCut = true;
    this.#stream.destroy(new Error('the answer was cut'));
  }

  destroy(): void {
    this.reset();
  }

  #check(sent: number, last: boolean): void {
    if (!this.strictContentLength || this.#promised === undefined) return;
    if (sent > this.#promised || (last && sent < this.#promised)) {
      throw new Error(`the body is ${sent} bytes long, and ${this.#promised} were promised`);
    }
  }

  #finish(done: () => void): void {
    const stream = this.#stream;
    const finished = (): void => {
      this.#whole = true;
      this.emit('finish');
      done();
    };
    // Node ends answers without a body by itself.
    if (stream.writableFinished) return queueMicrotask(finished);
    stream.once('finish', finished);
    if (!stream.writableEnded) stream.end();
    return undefined;
  }
}
