import type { Calls } from '../admin/calls.ts';
import type { Auth } from '../auth/auth.ts';
import type { Address, Config } from '../config/config.ts';
import { createBuffers } from '../http/buffers.ts';
import type { Handler } from '../http/handler.ts';
import { createHealth } from '../http/health.ts';
import { createLimits, type Counting } from '../http/limits.ts';
import type { Repeats } from '../http/repeats.ts';
import { createListener, type Listener, type ListenerOptions } from '../http/server.ts';
import { openAdminSocket, type AdminSocket } from '../http/socket.ts';
import { descriptorLimit } from '../system/descriptor-limit.ts';
import { randomId } from '../system/random.ts';
import { unlinkSocket } from '../system/unlink-socket.ts';
import { healthChecks } from './checks.ts';
import { connectionLimits } from './connection-limits.ts';
import { createFront, type Front, type FrontDeps } from './front.ts';
import { openListenerTls } from './listener-tls.ts';

/** Bytes of the buffers that fast bodies share; slow ones have a small one each. */
const BUFFER_BYTES_MAX = 32 * 1024 * 1024;

export interface EdgeOptions extends Omit<FrontDeps, 'limits' | 'buffers' | 'failing'> {
  readonly config: Config;
  readonly auth: Auth;
  readonly calls: Calls;
  readonly socketPath: string;
  /** Who counts what clients ask for; default: this process. */
  readonly counting: Counting | undefined;
  /** Of the processes that share these listeners: what concerns all is told by one. */
  readonly isFirst: boolean;
  /** Processes that share these listeners; where there is one, the socket is opened with them. */
  readonly sharers: number;
  /** Another server on the same directory answers at the socket: this one goes on without. */
  readonly onSocketTaken: () => void;
  /** Rejects when the storage cannot be written, for `health.storagedriver`. */
  readonly probeStorage: () => Promise<void>;
}

/** Everything that listens: the registry, the debug listener where it is asked for, and the administrator's socket, once it is opened. */
export interface Edge {
  readonly addresses: Readonly<Record<string, string>>;
  connections(): number;
  buffersBytes(): number;
  /** Opens the administrator's socket, where it is not open. Rejects where it cannot; false where another process has it. */
  openSocket(): Promise<boolean>;
  /**
   * What of `http` a reload may change, ready to take effect for the next request when the function is called. Throws, and changes
   * nothing, if it cannot.
   */
  prepare(config: Config, auth: Auth): () => void;
  drain(timeoutMs: number): Promise<void>;
}

/** Resolves when all listen; rejects with the first that cannot, the others closed again. */
export async function listen(options: EdgeOptions): Promise<Edge> {
  const { config, system, report, condition } = options;
  const { clock, disk } = system;
  const buffers = createBuffers(BUFFER_BYTES_MAX);
  const health = createHealth(healthChecks(config.health, options.probeStorage, disk), clock);
  // What was counted outlives a reload; how much there may be does not.
  let { limits: allowed } = config;
  const limits = createLimits(clock, () => allowed, options.counting);
  const frontDeps: FrontDeps = { ...options, limits, buffers, failing: () => health.failing() };
  let front = createFront(frontDeps, config, options.auth);
  const tls = config.http.tls === undefined ? undefined : await openListenerTls(config.http.tls, options);
  const opened: Listener[] = [];
  const open = async (
    address: Address,
    handlerOf: (now: Front) => Handler,
    more: Pick<ListenerOptions, 'tls' | 'http2' | 'again'> = {},
  ): Promise<Listener> => {
    const listener = await createListener({
      addr: toText(address),
      handle: (incoming, outgoing, connection) => handlerOf(front)(incoming, outgoing, connection),
      addresses: {
        clientOf: (incoming) => front.addresses.clientOf(incoming),
        trusts: (remote) => front.addresses.trusts(remote),
      },
      clock,
      report,
      newId: () => randomId(system.random),
      unlinkSocket,
      limits: connectionLimits(descriptorLimit(), options.sharers),
      ...more,
    });
    opened.push(listener);
    return listener;
  };
  try {
    const secure = tls === undefined ? {} : { tls: tls.options, http2: config.http.http2 };
    const again: Repeats['answer'] = (text, socket, connection) => front.repeats.answer(text, socket, connection);
    const main = await open(config.http.addr, ({ main: handle }) => handle, { ...secure, again });
    tls?.start((next) => main.setTls(next));
    if (tls === undefined && options.isFirst && !isLoopback(main.address))
      report({ kind: 'plain-http', address: main.address });
    const { debug } = config.http;
    const debugListener = debug === undefined ? undefined : await open(debug.addr, ({ debug: handle }) => handle);
    let socket = options.sharers === 1 ? await openSocket(options) : undefined;
    health.start();
    return {
      addresses: { main: main.address, ...(debugListener === undefined ? {} : { debug: debugListener.address }) },
      connections: () => main.connections(),
      buffersBytes: () => buffers.bytes() + opened.reduce((sum, listener) => sum + listener.buffersBytes(), 0),
      async openSocket() {
        socket ??= await openSocket(options);
        return socket !== undefined;
      },
      prepare(next, auth) {
        const made = createFront(frontDeps, next, auth);
        return () => {
          front = made;
          allowed = next.limits;
          if (next.http.tls !== undefined) tls?.change(next.http.tls);
        };
      },
      async drain(timeoutMs) {
        condition.drain();
        tls?.stop();
        // Whoever has the duties next is to have it now.
        if (options.sharers > 1) await socket?.close();
        await main.drain(timeoutMs);
        health.stop();
        if (options.sharers === 1) await socket?.close();
        await debugListener?.drain(0);
      },
    };
  } catch (error) {
    tls?.stop();
    await Promise.all(opened.map((listener) => listener.drain(0)));
    throw error;
  }
}

/** `undefined` where another server has it: two on one directory share its bytes and fills, and one of them the socket. */
async function openSocket({ report, ...options }: EdgeOptions): Promise<AdminSocket | undefined> {
  try {
    return await openAdminSocket({
      path: options.socketPath,
      calls: options.calls,
      unlinkSocket,
      onFault: (call, error) => report({ kind: 'fault', requestId: '', method: 'POST', path: `socket: ${call}`, error }),
    });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
    options.onSocketTaken();
    return undefined;
  }
}

/** Nobody but this machine reaches it. */
function isLoopback(address: string): boolean {
  return /^(?:127\.|\[::1\]:|\[::ffff:127\.)/.test(address);
}

function toText({ host, port }: Address): string {
  if (host === undefined) return `:${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
