import { clientConfiguration, isConfigurableClient, printClientConfiguration } from '../admin/client/client-configuration.ts';
import { ClientConfigurationError } from '../admin/client/configuration.ts';
import type { Auth } from '../auth/auth.ts';
import { clientRegistries } from '../commands/client.ts';
import type { Calls } from '../admin/calls.ts';
import type { Address, Config } from '../config/config.ts';
import { createApp } from '../http/app.ts';
import { createBuffers } from '../http/buffers.ts';
import { createClientAddresses, type ClientAddresses } from '../http/client-address.ts';
import { createDebugApp } from '../http/debug.ts';
import { createDateField } from '../http/date-field.ts';
import { createHandler, type Fetch, type Handler, type HandlerOptions } from '../http/handler.ts';
import { createHealth } from '../http/health.ts';
import { createStallWatch } from '../http/outlet.ts';
import { createSender, type Sender } from '../http/sender.ts';
import { createLimits, type Counting, type Limits } from '../http/limits.ts';
import { createRepeats, type Repeats } from '../http/repeats.ts';
import { createListener, KEEP_ALIVE_MS, type Listener, type ListenerOptions } from '../http/server.ts';
import { openAdminSocket, type AdminSocket } from '../http/socket.ts';
import { clientKind } from '../observe/client-kind.ts';
import type { HouseEvent } from '../observe/events.ts';
import type { Metrics } from '../observe/metrics.ts';
import { newTrace } from '../pull/trace.ts';
import type { Pseudonym } from '../oci/via.ts';
import type { Clock } from '../system/clock.ts';
import { descriptorLimit } from '../system/descriptor-limit.ts';
import type { Disk } from '../system/disk.ts';
import { createIds, randomId, type Random } from '../system/random.ts';
import { soon } from '../system/turn.ts';
import { unlinkSocket } from '../system/unlink-socket.ts';
import type { Chains } from './chains.ts';
import { healthChecks } from './checks.ts';
import type { Condition } from './condition.ts';
import { passesOn } from './passes-on.ts';
import { openListenerTls } from './listener-tls.ts';
import type { Pulling } from './pulling.ts';
import type { Push } from '../push/push.ts';

/** Bytes of the buffers that fast bodies share; slow ones have a small one each. */
const BUFFER_BYTES_MAX = 32 * 1024 * 1024;

export interface EdgeOptions {
  readonly config: Config;
  readonly system: { readonly clock: Clock; readonly disk: Disk; readonly random: Random };
  readonly report: (event: HouseEvent) => void;
  readonly chains: () => Chains;
  readonly pulling: Pulling;
  readonly push: Push;
  readonly auth: Auth;
  /** As which this mirror signs what it asks of others. */
  readonly pseudonym: Pseudonym;
  readonly condition: Condition;
  readonly metrics: Pick<Metrics, 'contentType' | 'text'>;
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
  let front = createFront({ ...options, limits }, config, options.auth, buffers, () => health.failing());
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
        const made = createFront({ ...options, limits }, next, auth, buffers, () => health.failing());
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

/** What answers requests, as one configuration says. */
interface Front {
  readonly main: Handler;
  readonly debug: Handler;
  /** Of the main one; a reload forgets all. */
  readonly repeats: Repeats;
  readonly addresses: ClientAddresses;
}

type FrontOptions = EdgeOptions & { readonly limits: Limits };

function createFront(
  options: FrontOptions,
  config: Config,
  auth: Auth,
  buffers: ReturnType<typeof createBuffers>,
  failing: () => Readonly<Record<string, string>>,
): Front {
  const { system, report, pulling, chains, limits } = options;
  const addresses = createClientAddresses(config.http.trustedproxies);
  const stalls = createStallWatch(system.clock, config.http.stalltimeout);
  const send = createSender({ clock: system.clock, buffers, stalls, soon });
  const shared = { clock: system.clock, report, addresses, newId: createIds(system.random), newTrace };
  const repeats = createRepeats({
    ...shared,
    limits,
    stalls,
    soon,
    date: createDateField(() => system.clock.now()),
    keepAliveSeconds: KEEP_ALIVE_MS / 1000,
    parseName: (target, host) => chains().parseName(target, host),
    ready: pulling.ready,
  });
  const handler = (fetch: Fetch, more: Pick<HandlerOptions, 'repeats'> = {}): Handler =>
    createHandler({
      ...shared,
      ...more,
      fetch,
      send,
      clientKind,
      stallMs: config.http.stalltimeout,
      headers: Object.fromEntries(config.http.headers),
    });
  return {
    main: handler(mainApp({ ...options, auth }, config, send, addresses), { repeats }),
    debug: handler(debugApp(options, config, send, failing)),
    repeats,
    addresses,
  };
}

function mainApp(
  { report, chains, pulling, push, auth, limits, condition, pseudonym }: FrontOptions,
  config: Config,
  send: Sender,
  addresses: ClientAddresses,
): Fetch {
  return createApp({
    pseudonym,
    passesOn: passesOn(config),
    send,
    report,
    addresses,
    parseName: (target, host) => chains().parseName(target, host),
    showName: (host) => chains().showName(host),
    pull: pulling.pull,
    lists: pulling.lists,
    push,
    auth,
    limits,
    readiness: () => condition.readiness(),
    pathPrefix: config.http.prefix,
    publicUrl: config.http.host,
    clientText: (kind, url) => clientText(kind, url, clientRegistries(config)),
  });
}

function clientText(kind: string, url: string, registries: readonly string[]): string | undefined {
  if (!isConfigurableClient(kind)) return undefined;
  try {
    return printClientConfiguration(clientConfiguration(kind, { url, registries, only: false }));
  } catch (error) {
    if (error instanceof ClientConfigurationError) return `${error.message}\n`;
    throw error;
  }
}

function upstreamsDown({ upstreams }: Chains): Readonly<Record<string, string>> {
  const down = upstreams.statuses().filter(({ up }) => !up);
  return Object.fromEntries(down.map(({ name, lastError }) => [`upstream ${name}`, lastError ?? 'is down']));
}

function debugApp(
  { report, chains, condition, metrics }: EdgeOptions,
  config: Config,
  send: Sender,
  failing: () => Readonly<Record<string, string>>,
): Fetch {
  const path = config.http.debug?.metricsPath;
  const read = async () => ({ contentType: metrics.contentType, text: await metrics.text() });
  return createDebugApp({
    send,
    report,
    readiness: () => condition.readiness(),
    health: failing,
    down: () => upstreamsDown(chains()),
    metrics: path === undefined ? undefined : { path, read },
  });
}

/** Nobody but this machine reaches it. */
function isLoopback(address: string): boolean {
  return /^(?:127\.|\[::1\]:|\[::ffff:127\.)/.test(address);
}

function toText({ host, port }: Address): string {
  if (host === undefined) return `:${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** For what is no connection of a client: metadata, log, listeners, and some for whoever looks. */
const OWN_DESCRIPTORS = 128;
const CONNECTIONS_MIN = 16;
const CONNECTIONS_MAX = 20_000;
const CONNECTIONS_PER_ADDRESS_MAX = 1000;

/**
 * Each client may need two descriptors, its own and one of a file or an upstream (reliability.md, R37). Of what may come in all, each of
 * the processes has its part.
 */
export function connectionLimits(
  descriptors: number | undefined,
  sharers = 1,
): { readonly connectionsMax: number; readonly connectionsPerAddressMax: number } {
  const most = Math.ceil(CONNECTIONS_MAX / sharers);
  const fitting = descriptors === undefined ? most : Math.floor((descriptors - OWN_DESCRIPTORS) / 2);
  return {
    connectionsMax: Math.min(most, Math.max(CONNECTIONS_MIN, fitting)),
    connectionsPerAddressMax: Math.ceil(CONNECTIONS_PER_ADDRESS_MAX / sharers),
  };
}
