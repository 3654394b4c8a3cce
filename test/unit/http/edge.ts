import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { createAccess } from '../../../src/auth/access.ts';
import { NO_WAYS } from '../../../src/auth/identify.ts';
import { createAuth } from '../../../src/auth/auth.ts';
import { RegistryError } from '../../../src/oci/errors.ts';
import { parseDigest } from '../../../src/oci/digest.ts';
import type { Lists } from '../../../src/pull/lists.ts';
import { createNameParser } from '../../../src/pull/name.ts';
import type { Pull } from '../../../src/pull/pull.ts';
import type { Push } from '../../../src/push/push.ts';
import type { Reply } from '../../../src/pull/reply.ts';
import { newTrace } from '../../../src/pull/trace.ts';
import { createApp, type AppOptions } from '../../../src/http/app.ts';
import { createBuffers, type Buffers } from '../../../src/http/buffers.ts';
import { createClientAddresses } from '../../../src/http/client-address.ts';
import type { HttpEvent, RequestEnded } from '../../../src/http/events.ts';
import { createHandler, type HandlerOptions } from '../../../src/http/handler.ts';
import { createStallWatch } from '../../../src/http/outlet.ts';
import { createSender } from '../../../src/http/sender.ts';
import { createLimits } from '../../../src/http/limits.ts';
import { createListener, type Limits, type Listener, type ListenerOptions } from '../../../src/http/server.ts';
import { soon } from '../../../src/system/turn.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';

export const DIGEST = parseDigest(`sha256:${'a'.repeat(64)}`)!;
export const BLOB_PATH = `/v2/library/ubuntu/blobs/${DIGEST}`;
export const STALL_MS = 60_000;

/** What a mirror answers. */
const refusingPush: Push = async ({ method }) => {
  if (method === 'GET') throw new RegistryError('BLOB_UPLOAD_UNKNOWN', 'there is no such upload');
  throw new RegistryError('UNSUPPORTED', 'nothing can be pushed here', { headers: { allow: 'GET, HEAD' } });
};

export interface EdgeOptions {
  readonly pull?: Pull;
  readonly lists?: Partial<Lists>;
  readonly app?: Partial<AppOptions>;
  readonly handler?: Partial<HandlerOptions>;
  readonly listener?: Partial<ListenerOptions>;
  readonly limits?: Partial<Limits>;
  readonly trusted?: readonly string[];
  readonly buffersMax?: number;
}

export interface Edge {
  readonly port: number;
  readonly listener: Listener;
  readonly clock: FakeClock;
  readonly buffers: Buffers;
  readonly events: HttpEvent[];
  /** The records of ended requests. */
  records(): RequestEnded[];
  faults(): unknown[];
  /** Resolves when so many requests have ended. */
  ended(count: number): Promise<void>;
  connect(): Promise<Socket>;
  /** Sends bytes and yields all that comes until the connection closes. */
  raw(bytes: string | Uint8Array): Promise<string>;
  get(path: string, init?: RequestInit): Promise<Response>;
}

const NO_LIMIT = { rate: undefined, concurrent: undefined };

/** Everybody may everything. */
const openAuth = createAuth({
  access: createAccess({ rules: undefined, groups: new Map(), signsIn: false }),
  challenge: undefined,
  ways: NO_WAYS,
  openHosts: [],
  token: undefined,
  report: () => undefined,
});

/** The edge as it is composed, over a stub of `pull`, on a free port. */
export async function startEdge(options: EdgeOptions = {}): Promise<Edge> {
  const clock = createFakeClock();
  const events: HttpEvent[] = [];
  const waiters = new Set<() => void>();
  const report = (event: HttpEvent): void => {
    events.push(event);
    for (const check of waiters) check();
  };
  const buffers = createBuffers(options.buffersMax ?? 8 * 1024 * 1024);
  const send = createSender({ clock, buffers, stalls: createStallWatch(clock, STALL_MS), soon });
  const addresses = createClientAddresses(options.trusted ?? []);
  let ids = 0;
  const newId = (): string => `id-${++ids}`;
  const fetch = createApp({
    pseudonym: 'entrepot-0123456789abcdef',
    auth: openAuth,
    limits: createLimits(clock, () => ({ address: NO_LIMIT, subject: NO_LIMIT })),
    send,
    report,
    addresses,
    parseName: createNameParser({
      default: 'docker.io',
      self: [],
      hosts: new Map(),
      prefixes: new Map(),
      aliases: new Map(),
      pathPrefix: options.app?.pathPrefix ?? '',
    }),
    pull: options.pull ?? (() => Promise.reject(new RegistryError('BLOB_UNKNOWN', 'there is no such blob'))),
    push: refusingPush,
    lists: { ...refusingLists, ...options.lists },
    showName: () => (holder) => holder,
    passesOn: () => false,
    readiness: () => ({ ready: true, degraded: [] }),
    pathPrefix: '',
    publicUrl: undefined,
    clientText: (kind, url) => (kind === 'docker' ? `mirror ${url}` : undefined),
    ...options.app,
  });
  const handle = createHandler({
    fetch,
    send,
    clock,
    report,
    addresses,
    newId,
    newTrace,
    clientKind: () => 'other',
    stallMs: STALL_MS,
    headers: {},
    ...options.handler,
  });
  const listener = await createListener({
    addr: '127.0.0.1:0',
    handle,
    addresses,
    clock,
    report,
    newId,
    unlinkSocket: () => Promise.resolve(false),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...options.listener,
  });
  onTestFinished(() => listener.drain(0));
  const port = Number(listener.address.slice(listener.address.lastIndexOf(':') + 1));
  const records = (): RequestEnded[] => events.filter((event) => event.kind === 'request');
  const open = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  return {
    port,
    listener,
    clock,
    buffers,
    events,
    records,
    faults: () => events.flatMap((event) => (event.kind === 'fault' ? [event.error] : [])),
    ended: (count) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (records().length < count) return;
          waiters.delete(check);
          resolve();
        };
        waiters.add(check);
        check();
      }),
    connect: open,
    async raw(bytes) {
      const socket = await open();
      const received = collect(socket);
      socket.write(bytes);
      return received;
    },
    get: (path, init) => fetch_(`http://127.0.0.1:${port}${path}`, init),
  };
}

const fetch_ = globalThis.fetch;

const refusingLists: Lists = {
  tags: () => Promise.reject(new RegistryError('NAME_UNKNOWN', 'there is no such repository')),
  referrers: () => Promise.reject(new RegistryError('NAME_UNKNOWN', 'there is no such repository')),
  catalog: () => Promise.resolve(jsonReply({ repositories: [] })),
  search: () => Promise.resolve(jsonReply({ results: [] })),
};

export function jsonReply(value: unknown): Reply {
  const bytes = Buffer.from(JSON.stringify(value));
  return {
    status: 200,
    headers: { 'content-type': 'application/json', 'content-length': String(bytes.byteLength) },
    body: { kind: 'bytes', bytes },
  };
}

/** All that comes until the connection closes, one character a byte. */
export function collect(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}

/** Reads until what has come satisfies `enough`; leaves the rest of the stream alone. */
export function readUntil(socket: Socket, enough: (received: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const onData = (chunk: Buffer): void => {
      received += chunk.toString('latin1');
      if (enough(received)) finish(() => resolve(received));
    };
    const onClose = (): void => finish(() => reject(new Error(`closed after: ${received.slice(0, 2000)}`)));
    const finish = (settle: () => void): void => {
      socket.off('data', onData);
      socket.off('close', onClose);
      settle();
    };
    socket.on('data', onData);
    socket.on('close', onClose);
  });
}

export function request(method: string, path: string, headers: readonly string[] = []): string {
  return [`${method} ${path} HTTP/1.1`, 'Host: mirror.test', ...headers, '', ''].join('\r\n');
}
