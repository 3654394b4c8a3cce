import { constants, performServerHandshake, type ServerHttp2Session } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Wire } from './connection.ts';
import type { Report } from './events.ts';
import { createPatience } from './http2-patience.ts';
import type { EdgeClock } from './ports.ts';

export interface SessionOptions {
  readonly clock: EdgeClock;
  readonly report: Report;
  readonly limits: {
    /** For a fresh connection to ask for something. */
    readonly firstMs: number;
    /** For a connection that carries no stream. */
    readonly idleMs: number;
  };
}

/** One connection on which HTTP/2 was agreed, without what is asked on it. */
export interface Session {
  readonly session: ServerHttp2Session;
  readonly wire: Wire;
  /** A stream is being answered; what is yielded is called when it is not any more. */
  hold(): () => void;
  /** The client did what costs us more than it; one too many of it ends the session. */
  impatient(): void;
}

const STREAMS_MAX = 100;
/** What a client may send of a body before somebody wants it. */
const STREAM_WINDOW_BYTES = 256 * 1024;
const CONNECTION_WINDOW_BYTES = 1024 * 1024;
/** More than guard.ts lets through, so that it can say so. */
const HEADER_PAIRS_MAX = 256;
const HEADER_BYTES_MAX = 64 * 1024;
const INVALID_FRAMES_MAX = 100;
/** How long a client that was told goodbye may leave its side open. */
const LINGER_MS = 5000;

const SETTINGS = {
  maxHeaderListPairs: HEADER_PAIRS_MAX,
  maxSessionInvalidFrames: INVALID_FRAMES_MAX,
  settings: {
    maxConcurrentStreams: STREAMS_MAX,
    initialWindowSize: STREAM_WINDOW_BYTES,
    maxHeaderListSize: HEADER_BYTES_MAX,
  },
} as const;

export function openSession(socket: TLSSocket, { clock, report, limits }: SessionOptions): Session {
  const session = performServerHandshake(socket, SETTINGS);
  const lost = createPatience(clock);
  let streams = 0;
  // Not Node's: for that one a ping is as good as a request.
  let idle = clock.after(limits.firstMs, farewell);

  function farewell(): void {
    session.close();
    clock.after(LINGER_MS, () => socket.destroy());
  }

  function impatient(): void {
    if (!lost() || session.destroyed) return;
    report({ kind: 'unreadable', client: socket.remoteAddress ?? '', status: 429, reason: 'NGHTTP2_ENHANCE_YOUR_CALM' });
    session.destroy(new Error('a flood'), constants.NGHTTP2_ENHANCE_YOUR_CALM);
    // A client that does not read would keep us waiting for its end.
    clock.after(LINGER_MS, () => socket.destroy());
  }

  // Its close says the same.
  session.on('error', () => undefined);
  session.on('ping', impatient);
  session.on('remoteSettings', impatient);
  session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
  socket.once('close', () => idle.cancel());
  return {
    session,
    impatient,
    wire: wireOf(session, socket),
    hold() {
      idle.cancel();
      streams += 1;
      return () => {
        streams -= 1;
        if (streams === 0 && !socket.destroyed) idle = clock.after(limits.idleMs, farewell);
      };
    },
  };
}

/** Ended soon: GOAWAY, then the streams end, then it closes; asked again after that, it waits for the client no longer. */
function wireOf(session: ServerHttp2Session, socket: TLSSocket): Wire {
  return {
    get destroyed() {
      return socket.destroyed;
    },
    once: (event, listener) => socket.once(event, listener),
    pause: () => undefined,
    resume: () => undefined,
    end: () => session.close(),
    destroySoon: () => (session.destroyed ? socket.destroy() : session.close()),
    destroy: () => socket.destroy(),
    writableLength: 0,
  };
}
