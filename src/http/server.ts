import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { formatAddress, parseListenAddress } from './address.ts';
import { createAddressCaps } from './address-caps.ts';
import type { ClientAddresses } from './client-address.ts';
import { shownBy } from './client-certificate.ts';
import { Connection } from './connection.ts';
import { createDrain, sayFarewell, type Drain } from './drain.ts';
import type { Report } from './events.ts';
import type { Handler } from './handler.ts';
import type { Repeats } from './repeats.ts';
import { createHttp2, type Http2 } from './http2.ts';
import type { EdgeClock } from './ports.ts';
import { tap } from './tap.ts';
import { asksOtherwise, toNode, type TlsOptions } from './tls-options.ts';
import { listenOnUnixSocket } from './unix-socket.ts';
import { answerUnreadable } from './unreadable.ts';

export interface ListenerOptions {
  /** `:5000`, `127.0.0.1:0`, `[::1]:5000`, or the path of a socket. */
  readonly addr: string;
  readonly net?: 'tcp' | 'unix';
  /** Absent: plain HTTP. */
  readonly tls?: TlsOptions;
  /** HTTP/2 is offered besides; over TLS alone. */
  readonly http2?: boolean;
  readonly handle: Handler;
  /** Answers what came before byte for byte (repeats.ts); default: nothing is. */
  readonly again?: Repeats['answer'];
  readonly addresses: ClientAddresses;
  readonly clock: EdgeClock;
  readonly report: Report;
  readonly newId: () => string;
  /** Removes a file; false when there was none. For the socket that a killed process left behind. */
  readonly unlinkSocket: (path: string) => Promise<boolean>;
  readonly limits?: Partial<Limits>;
}

export interface Limits {
  /** All connections; more are closed at once. */
  readonly connectionsMax: number;
  /** Connections from one address that is no trusted proxy; more are closed at once. */
  readonly connectionsPerAddressMax: number;
  /** For a request's head to arrive whole. */
  readonly headersTimeoutMs: number;
  /** For an idle connection: above the 90 s after which Go's clients close it themselves (protocol.md 3.12). */
  readonly keepAliveTimeoutMs: number;
  /** How often the above are looked at. */
  readonly checkingIntervalMs: number;
}

/** Said with every answer. */
export const KEEP_ALIVE_MS = 95_000;

const DEFAULT_LIMITS: Limits = {
  connectionsMax: 20_000,
  connectionsPerAddressMax: 1000,
  headersTimeoutMs: 15_000,
  keepAliveTimeoutMs: KEEP_ALIVE_MS,
  checkingIntervalMs: 5000,
};

/** Tokens stand in headers, and some are several KiB; Node's own limit is 16. */
const HEADER_BYTES_MAX = 64 * 1024;

export interface Listener {
  /** As it was bound: `127.0.0.1:40123`, `[::]:5000`, or a path. */
  readonly address: string;
  /** See {@link Drain}. */
  readonly drain: Drain;
  /** Connections now. */
  connections(): number;
  /** Bytes of the buffers that connections own. */
  buffersBytes(): number;
  /**
   * For connections from now on; where clients are judged otherwise, those that there are end behind what they carry. Throws,
   * and changes nothing, where certificate and key do not fit. Whether clients are asked for certificates at all stays as it is.
   */
  setTls(tls: TlsOptions): void;
}

/** Binds and serves. Rejects with Node's error (`EADDRINUSE` …) when it cannot. */
export async function createListener(options: ListenerOptions): Promise<Listener> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const server = createAnyServer(options, limits);
  const http2 = createHttp2({
    handle: options.handle,
    clock: options.clock,
    report: options.report,
    trusts: options.addresses.trusts,
    limits: {
      streamsMax: limits.connectionsMax,
      streamsPerAddressMax: limits.connectionsPerAddressMax,
      firstMs: limits.headersTimeoutMs,
      idleMs: limits.keepAliveTimeoutMs,
    },
  });
  const connections = trackConnections(server, options, limits);
  let { tls } = options;
  if (isSecure(server)) admitSecure(server, () => tls, http2, connections);
  serve(server, options, connections);
  await listen(server, options);
  const drain = createDrain({
    server,
    clock: options.clock,
    connections: () => connections.all,
    sockets: () => connections.sockets,
  });
  return {
    address: formatAddress(server.address()),
    drain,
    connections: () => connections.all.size,
    buffersBytes: () => [...connections.all, ...http2.streams()].reduce((sum, { bufferBytes }) => sum + bufferBytes, 0),
    setTls(next) {
      if (!isSecure(server)) return;
      server.setSecureContext(toNode(next));
      const previous = tls;
      tls = next;
      if (previous !== undefined && asksOtherwise(previous, next)) sayFarewell(connections.all);
    },
  };
}

function isSecure(server: Server | SecureServer): server is SecureServer {
  return 'setSecureContext' in server;
}

function createAnyServer({ tls, http2 }: ListenerOptions, limits: Limits): Server | SecureServer {
  const settings: ServerOptions = {
    headersTimeout: limits.headersTimeoutMs,
    // It would end a body that is long in coming (R51); request-body.ts has limits of its own.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: limits.checkingIntervalMs,
    maxHeaderSize: HEADER_BYTES_MAX,
    noDelay: true,
    // Missing ones are refused by guard.ts, in our own words.
    requireHostHeader: false,
  };
  const server =
    tls === undefined
      ? createServer(settings)
      : createSecureServer({
          ...settings,
          ...toNode(tls),
          requestCert: tls.clientAuth !== undefined,
          // Who may go on is decided in client-certificate.ts.
          rejectUnauthorized: false,
          handshakeTimeout: limits.headersTimeoutMs,
          ALPNProtocols: http2 === true ? ['h2', 'http/1.1'] : ['http/1.1'],
        });
  server.maxConnections = limits.connectionsMax;
  // Node drops surplus fields in silence, and a request is then not what it was; guard.ts refuses them instead.
  server.maxHeadersCount = 0;
  // A download may pause for longer than any limit: stalls are the outlet's concern.
  server.timeout = 0;
  return server;
}

interface Tracked {
  readonly all: Set<Connection>;
  /** Those of the handshakes under way besides: what Node has accepted. */
  readonly sockets: Set<Socket>;
  /** `undefined`: no connection came of it. */
  of(socket: Socket): Connection | undefined;
  add(connection: Connection, socket: Socket): void;
  /** Node reads HTTP/1.1 from it. */
  listenIn(connection: Connection, socket: Socket): void;
}

function trackConnections(server: Server, options: ListenerOptions, limits: Limits): Tracked {
  const all = new Set<Connection>();
  const sockets = new Set<Socket>();
  const bySocket = new WeakMap<Socket, Connection>();
  const caps = createAddressCaps(limits.connectionsPerAddressMax, options.addresses.trusts);
  const add = (connection: Connection, socket: Socket): void => {
    all.add(connection);
    bySocket.set(socket, connection);
    connection.onGone(() => all.delete(connection));
  };
  const listenIn = (connection: Connection, socket: Socket): void => {
    const { again } = options;
    if (again !== undefined) tap(socket, connection, (text) => again(text, socket, connection));
  };
  server.on('connection', (socket: Socket) => {
    if (!caps.admit(socket)) return socket.destroy();
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    if (options.tls !== undefined) return undefined;
    const connection = new Connection(socket);
    add(connection, socket);
    return listenIn(connection, socket);
  });
  return { all, sockets, of: (socket) => bySocket.get(socket), add, listenIn };
}

/** What becomes of a connection once its handshake is done: refused for its certificate, HTTP/2, or HTTP/1.1 as Node does it. */
function admitSecure(server: SecureServer, tls: () => TlsOptions | undefined, http2: Http2, connections: Tracked): void {
  const http1 = server.listeners('secureConnection') as ((this: SecureServer, socket: TLSSocket) => void)[];
  server.removeAllListeners('secureConnection');
  server.on('secureConnection', (socket) => {
    const { admitted, name } = shownBy(socket, tls()?.clientAuth);
    if (!admitted) return void socket.destroy();
    if (socket.alpnProtocol === 'h2') return connections.add(http2.serve(socket, name), socket);
    const connection = new Connection(socket, name);
    connections.add(connection, socket);
    for (const begin of http1) begin.call(server, socket);
    connections.listenIn(connection, socket);
    return undefined;
  });
}

function serve(server: Server, options: ListenerOptions, connections: Tracked): void {
  const answer = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const connection = connections.of(incoming.socket);
    if (connection === undefined) throw new Error('a request on a connection that never came in');
    options.handle(incoming, outgoing, connection);
  };
  server.on('request', answer);
  // 100 is sent by whoever wants the body, once it does (request-body.ts).
  server.on('checkContinue', answer);
  // RFC 9110 10.1.1 allows an unknown expectation to be ignored.
  server.on('checkExpectation', answer);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const connection = connections.of(socket);
    // A TLS handshake that failed: nobody to answer.
    if (connection === undefined) socket.destroy();
    else answerUnreadable(error, socket, connection, options);
  });
}

function listen(server: Server, { addr, net, unlinkSocket }: ListenerOptions): Promise<void> {
  if (net === 'unix') return listenOnUnixSocket(server, { path: addr, unlinkSocket }, 'shared');
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...parseListenAddress(addr), backlog: 1024 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
