import { createHash } from 'node:crypto';

import { readJsonObject } from '../oci/json.ts';
import type { Clock } from '../system/clock.ts';
import { readWhole } from './answer.ts';
import { authorizationOf, fingerprint, type Credentials } from './credentials.ts';
import { retryAfterSeconds } from './rate-limit.ts';
import type { Transport, TransportRequest, TransportResponse } from './transport.ts';
import { untilAborted } from './waiting.ts';

/** Those that a token is got for; a bearer token of the configuration is one already. */
export type ExchangedCredentials = Exclude<Credentials, { readonly kind: 'bearer' }>;

/** What is asked of a token endpoint (distribution-spec auth/token.md). */
export interface TokenRequest {
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  /** `undefined`: an anonymous token. The caller has judged the realm. */
  readonly credentials: ExchangedCredentials | undefined;
}

export type TokenAnswer =
  | { readonly kind: 'token'; readonly token: string }
  /** 400, 401 or 403: to our credentials, or to an anonymous request. */
  | { readonly kind: 'refused'; readonly status: number }
  | { readonly kind: 'limited'; readonly retryAfterSeconds: number | undefined }
  /** Any other status, or an answer without a token in it. */
  | { readonly kind: 'failed'; readonly status: number; readonly why: string };

/** Tokens shared by all requests of an upstream: renewed before they expire, and fetched once however many wait for one. */
export interface Tokens {
  /** Rejects with what the transport threw. The signal ends this wait, not the fetch that others wait for too. */
  get(request: TokenRequest, signal: AbortSignal): Promise<TokenAnswer>;
  /** True where {@link get} would ask nobody. */
  holds(request: TokenRequest): boolean;
  /** Forgets the token that a registry refused, unless a newer one has taken its place. */
  drop(request: TokenRequest, token: string): void;
}

export type SendTokenRequest = Transport['send'];

/** Fewer than 60 s are not to be assumed (token.md, `expires_in`); a registry that says less is believed. */
const LIFETIME_SECONDS_DEFAULT = 60;
const LIFETIME_SECONDS_MAX = 24 * 3600;
/** BuildKit's share: what is left covers clocks and the way. */
const RENEW_AT = 0.9;
const TOKENS_MAX = 1000;
const TOKEN_MS_MAX = 15_000;
const TOKEN_BODY_BYTES_MAX = 128 * 1024;

interface Held {
  readonly token: string;
  readonly renewAtMs: number;
}

export function createTokens(send: SendTokenRequest, clock: Clock): Tokens {
  const held = new Map<string, Held>();
  const running = new Map<string, Promise<TokenAnswer>>();

  const fetchOnce = async (key: string, request: TokenRequest): Promise<TokenAnswer> => {
    const asked = clock.monotonic();
    const limit = new AbortController();
    const timer = clock.after(TOKEN_MS_MAX, () => limit.abort(new TokenTimeout(`no token within ${TOKEN_MS_MAX} ms`)));
    try {
      const { answer, lifetimeSeconds } = await fetchToken(send, request, clock.now(), limit.signal);
      if (answer.kind === 'token') {
        held.delete(key);
        held.set(key, { token: answer.token, renewAtMs: asked + lifetimeSeconds * 1000 * RENEW_AT });
        dropOldest(held);
      }
      return answer;
    } finally {
      timer.cancel();
    }
  };
  const fresh = (key: string): string | undefined => {
    const known = held.get(key);
    return known !== undefined && clock.monotonic() < known.renewAtMs ? known.token : undefined;
  };
  return {
    holds: (request) => fresh(keyOf(request)) !== undefined,
    get(request, signal) {
      const key = keyOf(request);
      const token = fresh(key);
      if (token !== undefined) return Promise.resolve({ kind: 'token', token });
      const fetching = running.get(key) ?? fetchOnce(key, request).finally(() => running.delete(key));
      running.set(key, fetching);
      return untilAborted(fetching, signal);
    },
    drop(request, token) {
      const key = keyOf(request);
      if (held.get(key)?.token === token) held.delete(key);
    },
  };
}

/** The token endpoint did not answer in time. */
export class TokenTimeout extends Error {
  override readonly name = 'TokenTimeout';
}

/** S05: whose token it is belongs to the key. */
function keyOf(request: TokenRequest): string {
  const parts = [
    request.realm.href,
    request.service ?? '',
    [...new Set(request.scopes)].sort(),
    fingerprint(request.credentials),
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

function dropOldest(held: Map<string, Held>): void {
  for (const key of held.keys()) {
    if (held.size <= TOKENS_MAX) return;
    held.delete(key);
  }
}

interface Fetched {
  readonly answer: TokenAnswer;
  readonly lifetimeSeconds: number;
}

/**
 * An identity token goes by POST, as OAuth 2 wants it, and by GET where POST is not known (Artifact Registry 404, ACR 400,
 * JFrog 401). A password goes by GET, and by POST where GET is not allowed.
 */
async function fetchToken(send: SendTokenRequest, request: TokenRequest, nowMs: number, signal: AbortSignal): Promise<Fetched> {
  const { credentials } = request;
  const ask = async (tokenRequest: TransportRequest): Promise<Fetched> =>
    await readReply(await send(tokenRequest, signal), nowMs);
  if (credentials?.kind === 'identity') {
    const posted = await ask(byPost(request, credentials));
    return [400, 401, 404, 405].includes(statusOf(posted.answer)) ? await ask(byGet(request)) : posted;
  }
  const got = await ask(byGet(request));
  return credentials !== undefined && statusOf(got.answer) === 405 ? await ask(byPost(request, credentials)) : got;
}

function statusOf(answer: TokenAnswer): number {
  return answer.kind === 'refused' || answer.kind === 'failed' ? answer.status : 0;
}

function byGet(request: TokenRequest): TransportRequest {
  const url = new URL(request.realm);
  if (request.service !== undefined) url.searchParams.set('service', request.service);
  for (const scope of request.scopes) url.searchParams.append('scope', scope);
  if (request.credentials?.kind === 'password') url.searchParams.set('account', request.credentials.username);
  const authorization = request.credentials === undefined ? {} : { authorization: authorizationOf(request.credentials) };
  return { what: 'token', method: 'GET', url, headers: { accept: 'application/json', ...authorization } };
}

/** auth/oauth.md: one `scope`, separated by spaces. */
function byPost(request: TokenRequest, credentials: ExchangedCredentials): TransportRequest {
  const form = new URLSearchParams({ client_id: 'entrepot', access_type: 'online' });
  if (request.service !== undefined) form.set('service', request.service);
  form.set('scope', request.scopes.join(' '));
  if (credentials.kind === 'identity') {
    form.set('grant_type', 'refresh_token');
    form.set('refresh_token', credentials.token);
  } else {
    form.set('grant_type', 'password');
    form.set('username', credentials.username);
    form.set('password', credentials.password);
  }
  const headers = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' };
  return { what: 'token', method: 'POST', url: request.realm, headers, body: form.toString() };
}

async function readReply(response: TransportResponse, nowMs: number): Promise<Fetched> {
  const { status } = response;
  if (status !== 200) {
    response.body.discard();
    return { answer: refusal(response, nowMs), lifetimeSeconds: 0 };
  }
  const body = await readWhole(response.body, TOKEN_BODY_BYTES_MAX);
  const read = body === undefined ? undefined : readJsonObject(body);
  const reply = read?.kind === 'object' ? read.value : undefined;
  const token = firstText(reply?.['token'], reply?.['access_token']);
  if (token === undefined)
    return { answer: { kind: 'failed', status, why: 'its token endpoint sent no token' }, lifetimeSeconds: 0 };
  return { answer: { kind: 'token', token }, lifetimeSeconds: lifetime(reply?.['expires_in']) };
}

function refusal(response: TransportResponse, nowMs: number): TokenAnswer {
  const { status } = response;
  if (status === 429) return { kind: 'limited', retryAfterSeconds: retryAfterSeconds(response.header, nowMs) };
  if (status === 400 || status === 401 || status === 403) return { kind: 'refused', status };
  // A redirect is among these: a token request follows none (S01).
  return { kind: 'failed', status, why: `its token endpoint answered ${status}` };
}

/** A token becomes a header: what could not stand in one is none (S21). */
function firstText(...values: unknown[]): string | undefined {
  return values.find((value): value is string => typeof value === 'string' && /^[\x21-\x7e]+$/.test(value));
}

/** `issued_at` is the endpoint's clock; ours counts from when we asked. */
function lifetime(expiresIn: unknown): number {
  const seconds = Number(expiresIn);
  return expiresIn !== null && Number.isFinite(seconds) && seconds > 0
    ? Math.min(seconds, LIFETIME_SECONDS_MAX)
    : LIFETIME_SECONDS_DEFAULT;
}
