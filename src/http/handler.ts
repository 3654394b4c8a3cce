import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { NOBODY, subjectText } from '../auth/subject.ts';
import { RegistryError } from '../oci/errors.ts';
import type { Trace } from '../pull/trace.ts';
import type { ClientAddresses } from './client-address.ts';
import { onTurn, type Connection } from './connection.ts';
import { errorReply, unexpected } from './errors.ts';
import type { Report } from './events.ts';
import type { Repeats } from './repeats.ts';
import { pathOf, type Exchange } from './exchange.ts';
import { objection, requestIdOf } from './guard.ts';
import type { Outgoing } from './outgoing.ts';
import type { EdgeClock } from './ports.ts';
import { publicAddress } from './public-address.ts';
import { cut } from './send.ts';
import type { Sender } from './sender.ts';
import { createRequestBody } from './request-body.ts';

/** What the routes get from Hono as their environment. */
export interface Env {
  readonly exchange: Exchange;
}

/** A set of routes, as Hono's `app.fetch`. Resolves when the answer has left; what it rejects with becomes an error answer. */
export type Fetch = (request: Request, env: Env) => Response | Promise<Response>;

export interface HandlerOptions {
  readonly fetch: Fetch;
  readonly send: Sender;
  readonly clock: EdgeClock;
  readonly report: Report;
  readonly addresses: ClientAddresses;
  readonly newId: () => string;
  readonly newTrace: (requestId: string) => Trace;
  /** The kind of client that a User-Agent belongs to, of a small closed set. */
  readonly clientKind: (userAgent: string | undefined) => string;
  /** `http.stalltimeout`: how long a body may bring nothing. */
  readonly stallMs: number;
  /** `http.headers`: sent with every answer. Throws Error at once for those that frame the message. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  /** Requests that may be answered without this handler when they come again. */
  readonly repeats?: Pick<Repeats, 'learn'>;
}

/** Answers one request, whatever happens; never throws, never rejects. */
export type Handler = (incoming: IncomingMessage, outgoing: Outgoing, connection: Connection) => void;

export function createHandler(options: HandlerOptions): Handler {
  const { report } = options;
  const configured = checkHeaders(options.headers);
  const listen = createListen(options);

  return (incoming, outgoing, connection) => {
    const { heard } = connection;
    heard?.requests.push(incoming);
    const controller = new AbortController();
    const endings = new Set<() => void>();
    const onEnd = (listener: () => void): void => void (ended ? listener() : endings.add(listener));
    const exchange = toExchange(options, configured, { incoming, outgoing, connection, signal: controller.signal, onEnd });
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      forget();
      connection.leave();
      if (!exchange.whole) controller.abort(new Error('the client has gone'));
      if (exchange.handler === undefined) report({ kind: 'request started', handler: 'other' });
      for (const ending of endings) ending();
      report(toRecord(exchange, options));
      if (heard !== undefined && heard.requests.length === 1) options.repeats?.learn(heard.text, exchange);
    };
    // Errors of the response say that the connection is gone, which its close says too.
    outgoing.on('error', () => undefined);
    outgoing.once('close', end);
    const admitted = connection.enter();
    const forget = connection.gone ? () => undefined : connection.onGone(end);
    if (connection.gone || !admitted) return end();
    onTurn(outgoing, () => void listen(exchange));
  };
}

/** Methods whose body somebody may want. */
const MAY_HAVE_BODY: ReadonlySet<string> = new Set(['POST', 'PATCH', 'PUT']);

/** The exchanges whose request is with Hono, by the only thing that node-server hands through. */
function createListen(options: HandlerOptions): (exchange: Exchange) => Promise<void> {
  const exchanges = new WeakMap<object, Exchange>();
  const routed = new WeakSet<Exchange>();
  const listener = getRequestListener(
    (request, env) => {
      const exchange = exchanges.get(env.incoming);
      if (exchange === undefined) throw new Error('a request that never came in');
      routed.add(exchange);
      return options.fetch(request, { exchange });
    },
    // Without its error handler node-server answers by itself, and not by `begin`. Its body cleanup is `discardBody`'s.
    { overrideGlobalObjects: false, autoCleanupIncoming: false, hostname: 'localhost', errorHandler: () => undefined as never },
  );

  return async (exchange) => {
    const { incoming, outgoing } = exchange;
    const refuse = (error: unknown): Promise<void> => answerError(options, exchange, error);
    try {
      if (!MAY_HAVE_BODY.has(exchange.method)) exchange.body.discard();
      const error = objection(incoming);
      if (error !== undefined) return await refuse(error);
      exchanges.set(incoming, exchange);
      // It only ever looks at the marker, and listens for the end.
      await listener(incoming, outgoing as unknown as ServerResponse);
      if (outgoing.headersSent) return undefined;
      await refuse(routed.has(exchange) ? new Error('a route that did not answer') : unreadableTarget());
    } catch (error) {
      // Nothing may come here; if it does, the process lives and the client sees no end that looks whole.
      options.report({ kind: 'fault', requestId: exchange.requestId, method: exchange.method, path: exchange.path, error });
      cut(outgoing);
    }
  };
}

/**
 * Answers with what went wrong, or cuts where the head has left. Anything but a RegistryError is a fault: reported, once,
 * and its text stays here. Never rejects.
 */
export async function answerError(
  options: Pick<HandlerOptions, 'send' | 'report'>,
  exchange: Exchange,
  error: unknown,
): Promise<void> {
  const { requestId, method, path, outgoing, connection } = exchange;
  if (connection.gone) return;
  const refusal = error instanceof RegistryError ? error : unexpected(error);
  if (refusal !== error) options.report({ kind: 'fault', requestId, method, path, error });
  if (outgoing.headersSent) return cut(outgoing);
  try {
    await options.send(exchange, errorReply(refusal, requestId));
  } catch (unsendable) {
    if (connection.gone) return;
    options.report({ kind: 'fault', requestId, method, path, error: unsendable });
    cut(outgoing);
  }
}

function unreadableTarget(): RegistryError {
  return new RegistryError('NAME_INVALID', 'the request target or its Host cannot be read');
}

function toExchange(
  options: HandlerOptions,
  configured: OutgoingHttpHeaders,
  of: Pick<Exchange, 'incoming' | 'outgoing' | 'connection' | 'signal' | 'onEnd'>,
): Exchange {
  const { incoming } = of;
  const { clock, stallMs } = options;
  const requestId = requestIdOf(incoming) ?? options.newId();
  const target = incoming.url ?? '';
  const path = pathOf(target);
  const userAgent = incoming.headers['user-agent'];
  return {
    ...of,
    method: incoming.method ?? 'GET',
    target,
    path,
    requestId,
    client: options.addresses.clientOf(incoming),
    clientKind: options.clientKind(userAgent),
    certificate: of.connection.certificate,
    userAgent,
    body: createRequestBody({ ...of, clock, stallMs }),
    trace: options.newTrace(requestId),
    startedMs: options.clock.monotonic(),
    commonHeaders: {
      'x-content-type-options': 'nosniff',
      ...(/\/v2(?:\/|$)/.test(path) ? { 'docker-distribution-api-version': 'registry/2.0' } : {}),
      ...configured,
      'x-request-id': requestId,
    },
    asking: undefined,
    limited: undefined,
    identity: NOBODY,
    handler: undefined,
    whole: false,
    bytes: 0,
    firstByteMs: undefined,
  };
}

function toRecord(exchange: Exchange, { clock, addresses }: HandlerOptions): Parameters<Report>[0] {
  const { trace, method, path, bytes, firstByteMs, client, clientKind, userAgent, incoming, outgoing } = exchange;
  return {
    kind: 'request',
    trace,
    handler: exchange.handler ?? 'other',
    method,
    path,
    status: outgoing.headersSent ? outgoing.statusCode : 499,
    bytes,
    firstByteMs,
    ms: clock.monotonic() - exchange.startedMs,
    client,
    clientKind,
    user: userOf(exchange),
    limited: exchange.limited,
    userAgent,
    host: incoming.headers.host,
    publicAddress: () => publicAddress(incoming, undefined, addresses),
    aborted: !exchange.whole,
  };
}

/** Who asked, as it is told: ours by who they are, an upstream's once it took their credentials; another name may be a password. */
function userOf({ identity: { subject }, trace: { reader } }: Exchange): string | undefined {
  if (subject.kind !== 'anyone') return subjectText(subject);
  return reader === undefined ? undefined : `upstream:${reader}`;
}

const FRAMING = new Set(['content-length', 'transfer-encoding', 'connection', 'keep-alive', 'upgrade', 'trailer', 'te']);

function checkHeaders(headers: Readonly<Record<string, readonly string[]>>): OutgoingHttpHeaders {
  const checked: OutgoingHttpHeaders = {};
  for (const [name, values] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (FRAMING.has(lower)) throw new Error(`http.headers: ${name} frames the message and cannot be set`);
    checked[lower] = values.length === 1 ? values[0] : [...values];
  }
  return checked;
}
