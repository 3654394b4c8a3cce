import type { Action } from '../auth/access.ts';
import type { Auth } from '../auth/auth.ts';
import { RegistryError } from '../oci/errors.ts';
import { parseVia, type Pseudonym } from '../oci/via.ts';
import type { Asker, Lists, ShowName } from '../pull/lists.ts';
import type { NameParser, Target } from '../pull/name.ts';
import type { Pull } from '../pull/pull.ts';
import type { Push, PushMethod, PushName, PushRequest, PushTarget } from '../push/push.ts';
import type { Reply } from '../pull/reply.ts';
import type { ClientAddresses } from './client-address.ts';
import type { Report } from './events.ts';
import { queryOf, type Exchange } from './exchange.ts';
import { createGate, type Gate } from './gate.ts';
import type { Fetch } from './handler.ts';
import { accountOf, type Limits } from './limits.ts';
import { statusOnly, type Readiness } from './probes.ts';
import { publicAddress } from './public-address.ts';
import { bytesReply, createRoutes, emptyReply, jsonReply, noEndpoint, type Access, type Answer, type Route } from './routes.ts';
import type { Sender } from './sender.ts';
import { tokenReply } from './token.ts';

/**
 * EVERY route of the main listener, beside the access it needs. Each is also under `http.prefix`, and those of the
 * registry under `/<registry>/v2/` besides, and under `/asof/<date>`. Hono finds the line; which name is meant is read from the
 * raw target by the name parser alone (S20), and a line whose kind that does not confirm is answered 404.
 */
export const ROUTES = [
  { path: '/v2', access: 'sign-in', name: 'base' },
  { path: '/v2/', access: 'sign-in', name: 'base' },
  { path: '/v2/_catalog', access: 'list', name: 'catalog' },
  { path: '/v2/:name{.+}/manifests/:reference', access: 'pull', name: 'manifest' },
  { method: 'PUT', path: '/v2/:name{.+}/manifests/:reference', access: 'push', name: 'manifest' },
  { method: 'DELETE', path: '/v2/:name{.+}/manifests/:reference', access: 'delete', name: 'manifest' },
  { method: 'POST', path: '/v2/:name{.+}/blobs/uploads', access: 'push', name: 'upload' },
  { method: 'POST', path: '/v2/:name{.+}/blobs/uploads/', access: 'push', name: 'upload' },
  { path: '/v2/:name{.+}/blobs/uploads/:session', access: 'push', name: 'upload' },
  { method: 'POST', path: '/v2/:name{.+}/blobs/uploads/:session', access: 'push', name: 'upload' },
  { method: 'PATCH', path: '/v2/:name{.+}/blobs/uploads/:session', access: 'push', name: 'upload' },
  { method: 'PUT', path: '/v2/:name{.+}/blobs/uploads/:session', access: 'push', name: 'upload' },
  { method: 'DELETE', path: '/v2/:name{.+}/blobs/uploads/:session', access: 'push', name: 'upload' },
  { path: '/v2/:name{.+}/blobs/:digest', access: 'pull', name: 'blob' },
  { method: 'DELETE', path: '/v2/:name{.+}/blobs/:digest', access: 'delete', name: 'blob' },
  { path: '/v2/:name{.+}/tags/list', access: 'pull', name: 'tags' },
  { path: '/v2/:name{.+}/referrers/:digest', access: 'pull', name: 'referrers' },
  { path: '/v1/_ping', access: 'open', name: 'ping' },
  { path: '/v1/search', access: 'list', name: 'search' },
  { path: '/token', access: 'open', name: 'token' },
  { method: 'POST', path: '/token', access: 'open', name: 'token' },
  { path: '/client/:kind', access: 'open', name: 'client' },
  { path: '/livez', access: 'open', name: 'livez' },
  { path: '/readyz', access: 'open', name: 'readyz' },
] as const satisfies readonly Route[];

type RouteName = (typeof ROUTES)[number]['name'];

/** What a push, a deletion, or a question about an upload may go to. */
const WRITABLE = ['manifest', 'blob', 'upload'] as const satisfies readonly RouteName[];

/** Whoever looks after this server asks for them, and must be answered however busy it is. */
const PROBES: ReadonlySet<RouteName> = new Set<RouteName>(['livez', 'readyz']);

/** More mirrors in a row than this are one that goes round without telling its name. */
const HOPS_MAX = 20;

export interface AppOptions {
  /** As which this mirror signs what it asks of others. */
  readonly pseudonym: Pseudonym;
  readonly send: Sender;
  readonly report: Report;
  readonly parseName: NameParser;
  readonly pull: Pull;
  readonly push: Push;
  readonly lists: Lists;
  /** The names by which this Host can pull what is held. */
  readonly showName: (host: string | undefined) => ShowName;
  readonly readiness: () => Readiness;
  readonly addresses: ClientAddresses;
  /** Who are you, may you. */
  readonly auth: Auth;
  readonly limits: Limits;
  /** Whether clients' own credentials decide who may read `registry/repository` (`passthrough`). */
  readonly passesOn: (holder: string) => boolean;
  /** `http.prefix` without its last slash: `/registry`; empty for none. */
  readonly pathPrefix: string;
  /** `http.host`. */
  readonly publicUrl: string | undefined;
  /** What `entrepot client KIND --url URL` prints; `undefined` for a kind there is none of. */
  readonly clientText: (kind: string, url: string) => string | undefined;
}

export function createApp(appOptions: AppOptions): Fetch {
  const options = { ...appOptions, gate: createGate(appOptions) };
  const answers = createAnswers(options);
  const writes = createWrites(options);
  const answerOf = (route: (typeof ROUTES)[number]): Answer => {
    const answer = isWrite(route) ? writes[route.name] : answers[route.name];
    if (PROBES.has(route.name)) return (exchange) => answer(exchange, route.access);
    return async (exchange) => {
      await options.gate.admit(exchange);
      if (route.access !== 'open') await options.gate.enter(exchange);
      return answer(exchange, route.access);
    };
  };
  const routes = ROUTES.flatMap((route) =>
    spellings(route.path, options.pathPrefix).map((path) => ({ ...route, path, answer: answerOf(route) })),
  );
  return createRoutes({
    send: options.send,
    report: options.report,
    routes,
    otherwise: (exchange) => refuse(exchange, options),
  });
}

type House = AppOptions & { readonly gate: Gate };

function isWrite(
  route: (typeof ROUTES)[number],
): route is Extract<(typeof ROUTES)[number], { name: (typeof WRITABLE)[number] }> {
  return ('method' in route || route.name === 'upload') && route.name !== 'token';
}

/** How a route answers, by the access that its line asks for. */
type Guarded = (exchange: Exchange, access: Access) => Promise<Reply> | Reply;

/** Probes stay where orchestrators look for them, prefix or not. */
function spellings(path: string, prefix: string): string[] {
  if (path.startsWith('/v2'))
    return ['', '/asof/:asof{[^/]+}'].flatMap((asof) => [
      `${prefix}${asof}${path}`,
      `${prefix}${asof}/:registry{[^/]+}${path}`,
    ]);
  return prefix === '' || !path.endsWith('z') ? [`${prefix}${path}`] : [path, `${prefix}${path}`];
}

function createAnswers(options: House): Readonly<Record<Exclude<RouteName, 'upload'>, Guarded>> {
  const { pull, lists, gate } = options;
  const shown = (exchange: Exchange): ShowName => gate.shown(exchange, options.showName(hostOf(exchange)));
  const named = <K extends Target['kind']>(kind: K, answer: NamedAnswer<K>): Guarded => {
    return (exchange, access) => {
      return answer(exchange, confirm(options, exchange, kind, access));
    };
  };
  /** What an upstream may be asked for; the others are answered from here alone. */
  const read = <K extends Readable>(kind: K, answer: NamedAnswer<K>): Guarded =>
    named(kind, async (exchange, target) => {
      exchange.trace.via = viaOf(exchange, options);
      try {
        return await answer(exchange, target);
      } catch (error) {
        throw gate.refusal(exchange, target, error);
      }
    });
  return {
    base: named('base', () => jsonReply(200, {})),
    manifest: read('manifest', (exchange, target) => pull(toPullRequest(exchange, target, options))),
    blob: read('blob', (exchange, target) => pull(toPullRequest(exchange, target, options))),
    tags: read('tags', (exchange, target) =>
      lists.tags(target.name, queryOf(exchange.target), askerOf(exchange, target, gate)),
    ),
    referrers: read('referrers', (exchange, target) =>
      lists.referrers(target.name, target.digest, queryOf(exchange.target), askerOf(exchange, target, gate)),
    ),
    catalog: named('catalog', (exchange, { base }) => lists.catalog(queryOf(exchange.target), shown(exchange), base)),
    // `docker search` asks whether this is a registry of the first version that can search (protocol.md 3.2).
    ping: () => withHeaders(jsonReply(200, true), { 'x-docker-registry-standalone': 'true' }),
    search(exchange) {
      gate.permitList(exchange);
      return lists.search(queryOf(exchange.target), shown(exchange));
    },
    token: (exchange) => tokenReply(exchange, { ...options, endpoint: options.auth.token }),
    client: (exchange) => clientText(exchange, options),
    livez: () => emptyReply(200),
    readyz: () => statusOnly(options.readiness()),
  };
}

/** Everything that changes what is kept, and questions about uploads. */
function createWrites(options: House): Readonly<Record<(typeof WRITABLE)[number], Guarded>> {
  const write =
    (kind: (typeof WRITABLE)[number]): Guarded =>
    (exchange, access) =>
      options.push(toPushRequest(exchange, confirm(options, exchange, kind, access), options));
  return { manifest: write('manifest'), blob: write('blob'), upload: write('upload') };
}

type Readable = 'manifest' | 'blob' | 'tags' | 'referrers';

type NamedAnswer<K extends Target['kind']> = (
  exchange: Exchange,
  target: Extract<Target, { kind: K }>,
) => Promise<Reply> | Reply;

/** The target by the one parser that counts, if this client may have it by the access that the route asks for. Throws RegistryError. */
function confirm<K extends Target['kind']>(
  { parseName, gate }: House,
  exchange: Exchange,
  kind: K,
  access: Access,
): Extract<Target, { kind: K }> {
  const target = parseName(exchange.target, hostOf(exchange));
  if (target.kind !== kind) throw noEndpoint();
  if (access === 'list') gate.permitList(exchange);
  if ('name' in target && isAction(access)) {
    gate.permit(exchange, access, target);
    if (access !== 'pull' && target.name.asof !== undefined) throw unchangeable(target.name);
    if (access !== 'pull' && target.name.nonce !== undefined) throw onlyAsked(target.name);
  }
  return target as Extract<Target, { kind: K }>;
}

/** What was cannot be changed. */
function unchangeable({ shown }: { readonly shown: string }): RegistryError {
  const message = `${shown} is asked for as of a date, and can only be pulled: push and delete without the date`;
  return new RegistryError('UNSUPPORTED', message, { headers: { allow: 'GET, HEAD' } });
}

/** Who is asked about content looks at it. */
function onlyAsked({ shown }: { readonly shown: string }): RegistryError {
  const message = `${shown} is the name of a question about content, by which it can only be pulled`;
  return new RegistryError('UNSUPPORTED', message, { headers: { allow: 'GET, HEAD' } });
}

function isAction(access: Access): access is Action {
  return access === 'pull' || access === 'push' || access === 'delete';
}

/** Throws 508 (RFC 5842 7.2) where the request has come through here before. */
function viaOf({ incoming }: Exchange, { pseudonym }: AppOptions): readonly Pseudonym[] {
  const via = parseVia(incoming.headers.via);
  if (!via.includes(pseudonym) && via.length < HOPS_MAX) return via;
  const message = 'the request goes round in a circle: among the upstreams of this mirror is one that asks it in turn';
  throw new RegistryError('UNAVAILABLE', message, { status: 508 });
}

function hostOf(exchange: Exchange): string | undefined {
  return exchange.incoming.headers.host;
}

type PullTarget = Extract<Target, { kind: 'manifest' | 'blob' }>;

/** Who wants a list. */
function askerOf(exchange: Exchange, target: Extract<Target, { kind: Readable }>, gate: Gate): Asker {
  return { client: gate.clientOf(exchange, target), trace: exchange.trace };
}

function toPullRequest(exchange: Exchange, target: PullTarget, { gate }: House): Parameters<Pull>[0] {
  const { range, 'if-range': ifRange, 'if-none-match': ifNoneMatch } = exchange.incoming.headers;
  return {
    method: exchange.method === 'HEAD' ? 'HEAD' : 'GET',
    target,
    ...(range === undefined ? {} : { range }),
    ...(typeof ifRange === 'string' ? { ifRange } : {}),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }),
    client: gate.clientOf(exchange, target),
    signal: exchange.signal,
    trace: exchange.trace,
  };
}

function toPushRequest(exchange: Exchange, target: PushTarget, options: House): PushRequest {
  const { method, requestId, client, userAgent, body, signal, trace } = exchange;
  const { 'content-type': contentType, 'content-range': contentRange } = exchange.incoming.headers;
  const url = publicAddress(exchange.incoming, options.publicUrl, options.addresses);
  return {
    method: method as PushMethod,
    target,
    query: queryOf(exchange.target),
    contentType,
    contentRange: typeof contentRange === 'string' ? contentRange : undefined,
    body,
    nameOf: (text) => nameAs(exchange, target.name, text, options),
    mayPull: (holder) => mayPullHeld(exchange, holder, options),
    requester: { id: requestId, addr: client, host: hostOf(exchange), method, useragent: userAgent },
    by: accountOf(exchange),
    address: url === undefined ? undefined : `${url}${options.pathPrefix}`,
    signal,
    trace,
  };
}

/**
 * Another repository, spelt as the one that the request is for: behind the same prefix, under the same `ns`. `undefined` where it
 * is no name, and in the same way where this client may not pull it.
 */
function nameAs(exchange: Exchange, { ns }: PushName, text: string, options: House): PushName | undefined {
  const at = exchange.path.indexOf('/v2/', options.pathPrefix.length);
  const query = ns === undefined ? '' : `?ns=${encodeURIComponent(ns)}`;
  try {
    const target = options.parseName(`${exchange.path.slice(0, at)}/v2/${text}/tags/list${query}`, hostOf(exchange));
    if (target.kind !== 'tags' || target.name.asof !== undefined) return undefined;
    return options.gate.mayPull(exchange, target.name) ? target.name : undefined;
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}

/** What this Host has no name for, this client may not pull either. */
function mayPullHeld(exchange: Exchange, holder: string, { gate, showName }: House): boolean {
  const spelt = showName(hostOf(exchange))(holder);
  return spelt !== undefined && gate.mayPullHeld(exchange, holder, spelt);
}

/** No route: a method that is not taken, a name that breaks the grammar, or nothing that we have. */
async function refuse(exchange: Exchange, options: House): Promise<never> {
  await options.gate.admit(exchange);
  if (/\/v2(?:\/|$)/.test(exchange.path)) await options.gate.enter(exchange);
  if (exchange.method !== 'GET' && exchange.method !== 'HEAD') {
    throw new RegistryError('UNSUPPORTED', `${exchange.method} is not supported here`, {
      headers: { allow: 'GET, HEAD' },
    });
  }
  // What Hono could not match may be a name with an escape in it: the parser says so better than a 404.
  if (/\/v2(?:\/|$)/.test(exchange.path)) options.parseName(exchange.target, hostOf(exchange));
  throw noEndpoint();
}

function clientText(exchange: Exchange, options: AppOptions): Reply {
  const kind = exchange.path.slice(exchange.path.lastIndexOf('/') + 1);
  const url = publicAddress(exchange.incoming, options.publicUrl, options.addresses);
  if (url === undefined) throw new RegistryError('UNSUPPORTED', 'the Host of the request is no address', { status: 400 });
  const text = options.clientText(kind, url);
  if (text === undefined) throw new RegistryError('NAME_UNKNOWN', 'there is no text for such a client');
  return bytesReply(200, 'text/plain; charset=utf-8', Buffer.from(text));
}

function withHeaders(reply: Reply, headers: Readonly<Record<string, string>>): Reply {
  return { ...reply, headers: { ...reply.headers, ...headers } };
}
