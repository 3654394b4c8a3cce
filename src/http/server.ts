import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { formatAddress, parseListenAddress } from './address.ts';
import { createAddressCaps } from './address-caps.ts';
import type { ClientAddresses } from './client-address.ts';
import { Connection } from './connection.ts';
import { createDrain, type Drain } from './drain.ts';
import type { Report } from './events.ts';
import type { Handler } from './handler.ts';
import type { EdgeClock } from './ports.ts';
import { listenOnUnixSocket } from './unix-socket.ts';
import { answerUnreadable } from './unreadable.ts';

export interface ListenerOptions {
  /** `:5000`, `127.0.0.1:0`, `[::1]:5000`, or the path of a socket. */
  readonly addr: string;
  readonly net?: 'tcp' | 'unix';
  /** Certificate and key, and what clients must show; absent: plain HTTP. */
  readonly tls?: TlsOptions;
  readonly handle: Handler;
  readonly addresses: ClientAddresses;
  readonly clock: EdgeClock;
  readonly report: Report;
  readonly newId: () => string;
  /** Removes a file; false when there was none. For the socket that a killed process left behind. */
  readonly unlinkSocket: (path: string) => Promise<boolean>;
  readonly limits?: Partial<Limits>;
}

export interface TlsOptions extends SecureContextOptions {
  /** Clients must show a certificate of one of `ca`. */
  readonly requestCert?: boolean;
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

const DEFAULT_LIMITS: Limits = {
  connectionsMax: 20_000,
  connectionsPerAddressMax: 1000,
  headersTimeoutMs: 15_000,
  keepAliveTimeoutMs: 95_000,
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
  /** New certificates, for connections from now on. */
  setTls(tls: TlsOptions): void;
}

/** Binds and serves. Rejects with Node's error (`EADDRINUSE` …) when it cannot. */
export async function createListener(options: ListenerOptions): Promise<Listener> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const server = createAnyServer(options, limits);
  const connections = trackConnections(server, options, limits);
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
    buffersBytes: () => [...connections.all].reduce((sum, { bufferBytes }) => sum + bufferBytes, 0),
    setTls(tls) {
      if ('setSecureContext' in server)
        (server as unknown as { setSecureContext(tls: TlsOptions): void }).setSecureContext(tls);
    },
  };
}

function createAnyServer({ tls }: ListenerOptions, limits: Limits): Server {
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
      : createSecureServer({ ...settings, ...tls, handshakeTimeout: limits.headersTimeoutMs });
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
  of(socket: Socket): Connection;
}

function trackConnections(server: Server, options: ListenerOptions, limits: Limits): Tracked {
  const all = new Set<Connection>();
  const sockets = new Set<Socket>();
  const bySocket = new WeakMap<Socket, Connection>();
  const caps = createAddressCaps(limits.connectionsPerAddressMax, options.addresses.trusts);
  const add = (socket: Socket): Connection => {
    const connection = new Connection(socket);
    all.add(connection);
    bySocket.set(socket, connection);
    connection.onGone(() => all.delete(connection));
    return connection;
  };
  server.on('connection', (socket: Socket) => {
    if (!caps.admit(socket)) return socket.destroy();
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return options.tls === undefined ? add(socket) : undefined;
  });
  server.on('secureConnection', add);
  return { all, sockets, of: (socket) => bySocket.get(socket) ?? add(socket) };
}

function serve(server: Server, options: ListenerOptions, connections: Tracked): void {
  const answer = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    options.handle(incoming, outgoing, connections.of(incoming.socket));
  };
  server.on('request', answer);
  // 100 is sent by whoever wants the body, once it does (request-body.ts).
  server.on('checkContinue', answer);
  // RFC 9110 10.1.1 allows an unknown expectation to be ignored.
  server.on('checkExpectation', answer);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    answerUnreadable(error, connections.of(socket), options);
  });
  // A TLS handshake that failed: nobody to answer.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
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
