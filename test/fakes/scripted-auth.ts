import { createHash } from 'node:crypto';
import type { Plan } from './scripted-behaviour.ts';
import type { RecordedRequest } from './scripted-request.ts';

/** How the registry asks who is there. Whatever is not said is as at a well-behaved registry. */
export type AuthOptions = { readonly scheme: 'basic'; readonly username: string; readonly password: string } | BearerOptions;

export interface BearerOptions {
  readonly scheme: 'bearer';
  /** Credentials that the token endpoint takes; without them it takes none. */
  readonly username?: string;
  readonly password?: string;
  /** Further users, and the private repositories that each may pull. */
  readonly users?: Readonly<Record<string, { readonly password: string; readonly repositories: readonly string[] }>>;
  /** Tokens without credentials; default true. */
  readonly anonymous?: boolean;
  /** Only with credentials are these given out: repositories. */
  readonly privateRepositories?: readonly string[];
  /** Default 300. */
  readonly lifeSeconds?: number;
  /** What the token is called in the answer; default both. */
  readonly field?: 'token' | 'access_token' | 'both';
  /** Says `expires_in`; default true. */
  readonly saysLife?: boolean;
  /** `null`: the challenge names none. Default: `registry.test`. */
  readonly service?: string | null;
  /** Instead of this registry's own `/token`. */
  readonly realm?: string;
  /** The whole challenge instead. */
  readonly challenge?: string;
  /** What the registry answers to a token that it does not (or no longer) know, instead of 401. */
  readonly expiredStatus?: number;
  /** Methods of the token endpoint, others get 404. Default GET and POST. */
  readonly methods?: readonly ('GET' | 'POST')[];
  /** The token endpoint refuses whatever credentials it is shown, with this status. */
  readonly refuseCredentials?: number;
}

export interface ScriptedAuth {
  set(options: AuthOptions | undefined): void;
  /** What to answer instead of what was asked; `undefined`: let it through. */
  check(request: RecordedRequest, ownUrl: string): Plan['status'];
  /** The token endpoint's answer. */
  token(request: RecordedRequest): NonNullable<Plan['status']>;
  /** From now on no token given out so far is known. */
  expireTokens(): void;
}

export function createScriptedAuth(initial: AuthOptions | undefined): ScriptedAuth {
  let options = initial;
  let count = 0;
  const tokens = new Map<string, { readonly scopes: readonly string[]; readonly until: number }>();

  return {
    set: (next) => (options = next),
    expireTokens: () => tokens.clear(),
    check(request, ownUrl) {
      if (options === undefined) return undefined;
      const { authorization } = request.headers;
      if (options.scheme === 'basic') {
        return authorization === basic(options) ? undefined : unauthorized('Basic realm="registry.test"');
      }
      const token = tokens.get(authorization?.replace(/^Bearer /, '') ?? '');
      if (token !== undefined && token.until > Date.now() && covers(token.scopes, request)) return undefined;
      const challenge = options.challenge ?? challengeOf(options, request, ownUrl);
      if (authorization === undefined || options.expiredStatus === undefined) return unauthorized(challenge);
      return { code: options.expiredStatus, headers: {}, body: errorBody('DENIED', 'the token has expired') };
    },
    token(request) {
      if (options === undefined || options.scheme === 'basic') return { code: 404, headers: {}, body: '' };
      if (!(options.methods ?? ['GET', 'POST']).includes(request.method as 'GET')) return { code: 404, headers: {}, body: '' };
      const asked = new URLSearchParams(request.method === 'POST' ? request.body : request.url.split('?')[1]);
      const who = identify(options, request, asked);
      if (who === 'refused') {
        const code = options.refuseCredentials ?? 401;
        return { code, headers: {}, body: errorBody('UNAUTHORIZED', 'incorrect username or password') };
      }
      const scopes = asked.getAll('scope').flatMap((scope) => scope.split(' '));
      const closed = options.privateRepositories ?? [];
      const granted = scopes.filter((scope) => {
        const repository = scope.split(':')[1] ?? '';
        return who === 'known' || !closed.includes(repository) || (typeof who === 'object' && who.includes(repository));
      });
      const lifeSeconds = options.lifeSeconds ?? 300;
      const token = createHash('sha256').update(`token ${++count}`).digest('hex');
      tokens.set(token, { scopes: granted, until: Date.now() + lifeSeconds * 1000 });
      return { code: 200, headers: { 'content-type': 'application/json' }, body: tokenBody(options, token, lifeSeconds) };
    },
  };
}

/** A list: the private repositories of one of `users`. */
type Who = 'known' | 'anonymous' | 'refused' | readonly string[];

function identify(options: BearerOptions, request: RecordedRequest, asked: URLSearchParams): Who {
  const { authorization } = request.headers;
  const shown = authorization !== undefined || asked.has('password');
  if (shown && options.refuseCredentials !== undefined) return 'refused';
  if (!shown) return (options.anonymous ?? true) ? 'anonymous' : 'refused';
  const right =
    authorization === basic(options) ||
    (asked.has('password') && asked.get('username') === options.username && asked.get('password') === options.password);
  if (right) return 'known';
  const users = Object.entries(options.users ?? {});
  return (
    users.find(([username, { password }]) => authorization === basic({ username, password }))?.[1].repositories ?? 'refused'
  );
}

function basic(options: { readonly username?: string; readonly password?: string }): string {
  return `Basic ${Buffer.from(`${options.username}:${options.password}`).toString('base64')}`;
}

function tokenBody(options: BearerOptions, token: string, lifeSeconds: number): string {
  const field = options.field ?? 'both';
  return JSON.stringify({
    ...(field === 'access_token' ? {} : { token }),
    ...(field === 'token' ? {} : { access_token: token }),
    ...((options.saysLife ?? true) ? { expires_in: lifeSeconds, issued_at: new Date().toISOString() } : {}),
  });
}

function challengeOf(options: BearerOptions, request: RecordedRequest, ownUrl: string): string {
  const service = options.service === null ? '' : `,service="${options.service ?? 'registry.test'}"`;
  const scope = request.repository === '' ? '' : `,scope="repository:${request.repository}:pull"`;
  return `Bearer realm="${options.realm ?? `${ownUrl}/token`}"${service}${scope}`;
}

function covers(scopes: readonly string[], request: RecordedRequest): boolean {
  return request.repository === '' || scopes.some((scope) => scope.startsWith(`repository:${request.repository}:`));
}

function unauthorized(challenge: string): NonNullable<Plan['status']> {
  const headers = { 'www-authenticate': challenge };
  return { code: 401, headers, body: errorBody('UNAUTHORIZED', 'authentication required') };
}

export function errorBody(code: string, message: string): string {
  return JSON.stringify({ errors: [{ code, message }] });
}
