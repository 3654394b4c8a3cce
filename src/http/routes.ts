import { Hono } from 'hono';
import type { Handler as HonoHandler } from 'hono';
import { RegistryError } from '../oci/errors.ts';
import type { Reply } from '../pull/reply.ts';
import type { Report } from './events.ts';
import type { Exchange } from './exchange.ts';
import { answerError, type Env, type Fetch } from './handler.ts';
import { SENT } from './send.ts';
import type { Sender } from './sender.ts';

/** How a route answers: with a reply, or by throwing, a RegistryError where it refuses. */
export type Answer = (exchange: Exchange) => Promise<Reply> | Reply;

/**
 * Who may use a route: `open`, anybody; `sign-in`, whoever the Host lets in at all; `pull`, whoever may read the object that the
 * path names; `list`, as `sign-in`, and what they may not pull is not listed; `push` and `delete`, whoever may write the object,
 * or do away with it; `debug`, whoever reaches the debug listener, which alone has it.
 */
export type Access = 'open' | 'sign-in' | 'pull' | 'list' | 'push' | 'delete' | 'debug';

/** `GET` is HEAD besides. */
export type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';

export interface Route {
  /** GET unless it is said. */
  readonly method?: Method;
  /** Hono's pattern. */
  readonly path: string;
  readonly access: Access;
  /** The label `handler`, and the key of its answer. */
  readonly name: string;
}

export interface RoutesOptions {
  readonly send: Sender;
  readonly report: Report;
  readonly routes: readonly (Route & { readonly answer: Answer })[];
  /** What no route matched, and every other method. */
  readonly otherwise: Answer;
}

type HonoEnv = { readonly Bindings: Env };

/** Hono's part in it: to find the route. It sees neither heads nor bodies of answers, which leave by `send`. */
export function createRoutes(options: RoutesOptions): Fetch {
  const app = new Hono<HonoEnv>();
  const through =
    (name: string, answer: Answer): HonoHandler<HonoEnv> =>
    async ({ env }) => {
      await run(options, env.exchange, name, answer);
      return SENT;
    };
  for (const { method = 'GET', path, name, answer } of options.routes) app.on(method, path, through(name, answer));
  app.all('*', through('other', options.otherwise));
  app.onError(async (error, { env }) => {
    await answerError(options, env.exchange, error);
    return SENT;
  });
  return (request, env) => app.fetch(request, env);
}

async function run(options: RoutesOptions, exchange: Exchange, name: string, answer: Answer): Promise<void> {
  exchange.handler = name;
  options.report({ kind: 'request started', handler: name });
  try {
    await options.send(exchange, await answer(exchange));
  } catch (error) {
    await answerError(options, exchange, error);
  }
}

/** A small JSON answer. */
export function jsonReply(status: number, value: unknown): Reply {
  return bytesReply(status, 'application/json', Buffer.from(JSON.stringify(value)));
}

export function bytesReply(status: number, contentType: string, bytes: Uint8Array): Reply {
  const headers = { 'content-type': contentType, 'content-length': String(bytes.byteLength) };
  return { status, headers, body: { kind: 'bytes', bytes } };
}

export function emptyReply(status: number): Reply {
  return { status, headers: { 'content-length': '0' }, body: { kind: 'none' } };
}

export function noEndpoint(): RegistryError {
  return new RegistryError('NAME_UNKNOWN', 'there is no such endpoint; the registry is under /v2/');
}
