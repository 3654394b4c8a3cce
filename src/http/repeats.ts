import { validateHeaderValue, type OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { createRecent } from '../auth/recent.ts';
import type { NameParser, Target } from '../pull/name.ts';
import type { PullReady } from '../pull/pull.ts';
import type { Reply } from '../pull/reply.ts';
import type { Trace } from '../pull/trace.ts';
import type { ClientAddresses } from './client-address.ts';
import type { Connection } from './connection.ts';
import type { Report } from './events.ts';
import type { Exchange } from './exchange.ts';
import type { Limits } from './limits.ts';
import type { StallWatch } from './outlet.ts';
import type { EdgeClock } from './ports.ts';
import { publicAddress } from './public-address.ts';
import { isRepeatable } from './repeatable.ts';

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

interface Known {
  readonly method: 'GET' | 'HEAD';
  readonly target: Extract<Target, { kind: 'manifest' | 'blob' }>;
  readonly path: string;
  readonly host: string | undefined;
  readonly userAgent: string | undefined;
  readonly clientKind: string;
  readonly handler: string;
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
  const after = (): string =>
    `Date: ${options.date()}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=${options.keepAliveSeconds}\r\n\r\n`;

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
      const head = reply && headOf({ ...request.commonHeaders, 'x-request-id': trace.requestId, ...reply.headers });
      if (reply === undefined || head === undefined) return false;
      limits.count(client);
      send(options, { request, client, socket, connection, startedMs, trace }, `${head}${after()}`, reply);
      return true;
    },
    learn(text, exchange) {
      if (!isRepeatable(exchange)) return;
      const { method, path, userAgent, clientKind, handler = 'other', commonHeaders, incoming } = exchange;
      const { host } = incoming.headers;
      const target = options.parseName(exchange.target, host);
      if ((target.kind !== 'manifest' && target.kind !== 'blob') || (method !== 'GET' && method !== 'HEAD')) return;
      known.put(text, { method, target, path, host, userAgent, clientKind, handler, commonHeaders });
    },
  };
}

interface Answering {
  readonly request: Known;
  readonly client: string;
  readonly socket: Socket;
  readonly connection: Connection;
  readonly startedMs: number;
  readonly trace: Trace;
}

/** The status line and the fields, as Node writes them; `undefined` where one of them cannot be sent (reliability.md, S21). */
function headOf(headers: OutgoingHttpHeaders): string | undefined {
  let head = 'HTTP/1.1 200 OK\r\n';
  try {
    for (const name in headers) {
      const value = headers[name];
      for (const one of Array.isArray(value) ? value : [value]) {
        validateHeaderValue(name, String(one));
        head += `${name}: ${one}\r\n`;
      }
    }
    return head;
  } catch {
    return undefined;
  }
}

/** In one piece, so that it leaves with one call of the system. Most of the time the kernel has it all at once. */
function send({ clock, report, stalls, addresses }: RepeatsOptions, answering: Answering, head: string, reply: Reply): void {
  const { request, client, socket, connection, startedMs, trace } = answering;
  const body = reply.body.kind === 'bytes' ? reply.body.bytes : undefined;
  const bytes = Buffer.allocUnsafe(head.length + (body?.byteLength ?? 0));
  bytes.write(head, 'latin1');
  if (body !== undefined) bytes.set(body, head.length);
  let unwatch = (): void => undefined;
  let ended = false;
  const end = (error?: Error | null): void => {
    if (ended) return;
    ended = true;
    unwatch();
    connection.leave();
    const whole = !error && !connection.gone;
    report({
      kind: 'request',
      trace,
      handler: request.handler,
      method: request.method,
      path: request.path,
      status: reply.status,
      bytes: whole ? (body?.byteLength ?? 0) : 0,
      firstByteMs,
      ms: clock.monotonic() - startedMs,
      client,
      clientKind: request.clientKind,
      user: undefined,
      limited: undefined,
      userAgent: request.userAgent,
      host: request.host,
      publicAddress: () => publicAddress({ headers: { host: request.host }, socket }, undefined, addresses),
      aborted: !whole,
    });
  };
  report({ kind: 'request started', handler: request.handler });
  connection.enter();
  socket.write(bytes, end);
  const firstByteMs = clock.monotonic() - startedMs;
  if (socket.writableLength === 0) return end();
  unwatch = stalls.watch(connection, () => socket.destroy());
}
