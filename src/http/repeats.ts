import type { OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { createRecent } from '../auth/recent.ts';
import type { NameParser, Target } from '../pull/name.ts';
import type { PullReady } from '../pull/pull.ts';
import type { Trace } from '../pull/trace.ts';
import type { ClientAddresses } from './client-address.ts';
import type { Connection } from './connection.ts';
import type { Report } from './events.ts';
import type { Exchange } from './exchange.ts';
import type { Limits } from './limits.ts';
import type { StallWatch } from './outlet.ts';
import type { EdgeClock } from './ports.ts';
import { isRepeatable } from './repeatable.ts';
import { createRepeatedAnswer, REQUEST_ID } from './repeated-answer.ts';

export interface RepeatsOptions {
  readonly clock: EdgeClock;
  /** The field `Date`, as it is now. */
  readonly date: () => string;
  /** Of the listener: Node says it with every answer. */
  readonly keepAliveSeconds: number;
  readonly report: Report;
  readonly addresses: ClientAddresses;
  readonly limits: Pick<Limits, 'isFree' | 'count'>;
  readonly stalls: Pick<StallWatch, 'watch'>;
  /** Calls back when all that has arrived until now has been looked at. */
  readonly soon: (work: () => void) => void;
  readonly newId: () => string;
  readonly newTrace: (requestId: string) => Trace;
  readonly parseName: NameParser;
  readonly ready: PullReady;
}

/**
 * Requests that were answered before and come again byte for byte: nobody's in particular, for a manifest or a small blob that was a
 * plain hit. What they ask for is known without parser, router and response of Node's; what they are answered with is asked of
 * `ready` each time, which reads the records anew. One configuration's own: with a reload it begins empty, so that who may pull
 * what was decided by the rules that hold now.
 *
 * What is sent, counted, limited and logged is what the ordinary way would, which answers whatever is not plainly the same. Saves
 * three quarters of what a hit costs there.
 */
export interface Repeats {
  /** Whether it was answered: then these bytes are nobody else's. The connection is at rest ({@link Connection.isResting}). */
  answer(text: string, socket: Socket, connection: Connection): boolean;
  /** A request has ended, whose bytes were `text`: where it can be answered so, it will be when it comes again. */
  learn(text: string, exchange: Exchange): void;
}

/** What is known of a request. */
export interface Known {
  readonly method: 'GET' | 'HEAD';
  readonly target: Extract<Target, { kind: 'manifest' | 'blob' }>;
  readonly path: string;
  readonly host: string | undefined;
  readonly userAgent: string | undefined;
  readonly clientKind: string;
  readonly handler: string;
  /** Without the request's id; frozen. */
  readonly commonHeaders: OutgoingHttpHeaders;
}

/** Some 8 MB, and 24 of the longest that tap.ts hands over. */
const KNOWN_MAX = 8192;

/** Nobody waits for anything here: a request is over before its client could go. */
const NEVER = new AbortController().signal;

export function createRepeats(options: RepeatsOptions): Repeats {
  const { clock, limits, addresses } = options;
  const known = createRecent<Known>(KNOWN_MAX);
  const clients = new WeakMap<Connection, string>();
  const send = createRepeatedAnswer(options);

  /** `undefined`: what the request itself says of its client may count, or a certificate does. */
  function clientOf(connection: Connection, socket: Socket): string | undefined {
    const told = clients.get(connection);
    if (told !== undefined) return told;
    if (connection.certificate !== undefined || addresses.trusts(socket.remoteAddress)) return undefined;
    const client = addresses.clientOf({ socket, rawHeaders: [] });
    clients.set(connection, client);
    return client;
  }

  return {
    answer(text, socket, connection) {
      const request = known.get(text);
      const client = request && clientOf(connection, socket);
      if (request === undefined || client === undefined || !limits.isFree(client)) return false;
      const startedMs = clock.monotonic();
      const trace = options.newTrace(options.newId());
      const reply = options.ready({ method: request.method, target: request.target, signal: NEVER, trace });
      if (reply === undefined || !send({ request, client, socket, connection, startedMs, trace }, reply)) return false;
      limits.count(client);
      return true;
    },
    learn(text, exchange) {
      if (!isRepeatable(exchange)) return;
      const { method, path, userAgent, clientKind, handler = 'other', incoming } = exchange;
      const { host } = incoming.headers;
      const target = options.parseName(exchange.target, host);
      if ((target.kind !== 'manifest' && target.kind !== 'blob') || (method !== 'GET' && method !== 'HEAD')) return;
      const commonHeaders = withoutId(exchange.commonHeaders);
      known.put(text, { method, target, path, host, userAgent, clientKind, handler, commonHeaders });
    },
  };
}

function withoutId(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return Object.freeze(Object.fromEntries(Object.entries(headers).filter(([name]) => name !== REQUEST_ID)));
}
