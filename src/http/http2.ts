import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { createAddressCaps } from './address-caps.ts';
import { Connection, type Wire } from './connection.ts';
import type { Handler } from './handler.ts';
import { Http2Answer } from './http2-answer.ts';
import { http2Request } from './http2-request.ts';
import { openSession, type Session, type SessionOptions } from './http2-session.ts';

export interface Http2Options extends SessionOptions {
  readonly handle: Handler;
  /** Whether what this peer says of its client is believed: then its streams are those of many. */
  readonly trusts: (peer: string | undefined) => boolean;
  readonly limits: SessionOptions['limits'] & {
    /** Streams that are answered at once, of all connections; more are refused, and may be tried again. */
    readonly streamsMax: number;
    /** Likewise, of one address. */
    readonly streamsPerAddressMax: number;
  };
}

export interface Http2 {
  /** Answers all that comes on a connection on which HTTP/2 was agreed. What is yielded stands for the whole of it. */
  serve(socket: TLSSocket, certificate: string | undefined): Connection;
  /** Those of the streams that are being answered. */
  streams(): Iterable<Connection>;
}

/** HTTP/2: many answers on one connection, each on a stream that is a {@link Connection} of its own to the rest of the edge. */
export function createHttp2(options: Http2Options): Http2 {
  const { limits } = options;
  const streams = new Set<Connection>();
  const caps = createAddressCaps(limits.streamsPerAddressMax, options.trusts);

  function admit(stream: ServerHttp2Stream, { remoteAddress }: TLSSocket): boolean {
    if (streams.size >= limits.streamsMax) return false;
    return caps.admit({ remoteAddress, once: (event, listener) => stream.once(event, listener) });
  }

  function answer(of: Session, connection: Asking, { stream, headers, raw }: Asked): void {
    const { socket, certificate } = connection;
    // Its close says the same.
    stream.on('error', () => undefined);
    // Reset before we came to look at it.
    if (stream.destroyed) return of.impatient();
    if (!admit(stream, socket)) return stream.close(constants.NGHTTP2_REFUSED_STREAM);
    const outgoing = new Http2Answer(stream, socket, headers[':method']);
    const one = new Connection(streamWire(stream, outgoing), certificate);
    const release = of.hold();
    streams.add(one);
    stream.once('close', () => {
      streams.delete(one);
      release();
      if (!outgoing.writableFinished && !outgoing.wasCut) of.impatient();
    });
    options.handle(http2Request(stream, headers, raw, socket), outgoing, one);
  }

  return {
    streams: () => streams,
    serve(socket, certificate) {
      const of = openSession(socket, options);
      of.session.on('stream', (stream, headers, _flags, raw: readonly string[] = []) => {
        answer(of, { socket, certificate }, { stream, headers, raw });
      });
      return new Connection(of.wire, certificate);
    },
  };
}

interface Asking {
  readonly socket: TLSSocket;
  readonly certificate: string | undefined;
}

interface Asked {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly raw: readonly string[];
}

function streamWire(stream: ServerHttp2Stream, outgoing: Http2Answer): Wire {
  /** No end looks whole that is none; after a whole one the client may keep the rest of its body (RFC 9113 8.1). */
  const stop = (): void => {
    if (stream.writableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
    else outgoing.reset();
  };
  return {
    get destroyed() {
      // One whose answer is whole ends by itself.
      return (stream.destroyed || stream.closed) && !outgoing.writableFinished;
    },
    // At its reset, and not only at its close: in between Node ends the request's body as if it were whole.
    once: (event, listener) => stream.once('aborted', listener).once(event, listener),
    pause: () => undefined,
    resume: () => undefined,
    end: stop,
    destroySoon: stop,
    destroy: () => outgoing.reset(),
    get writableLength() {
      return outgoing.unsent;
    },
  };
}
