import { chooseChallenge, type Challenge } from '../oci/challenge.ts';
import { pullScope } from '../oci/scope.ts';
import type { Clock } from '../system/clock.ts';
import { authorizationOf, fingerprint, type Credentials, type CredentialsProvider } from './credentials.ts';
import type { Report } from './events.ts';
import { toUpstreamError } from './failure.ts';
import { createRefusals, CredentialsRefused, type Signer } from './refusals.ts';
import type { ExchangedCredentials, TokenAnswer, TokenRequest, Tokens } from './tokens.ts';
import { UpstreamError } from './upstream.ts';
import { untilAborted } from './waiting.ts';

/** What a registry wants, as far as it is remembered: the first word of a repository's next request. */
export interface SignIn {
  /** The header for a repository, from what is remembered of it; `undefined`: nothing is, so ask without. */
  recall(repository: string, signal: AbortSignal): Promise<Pass | Refusal | undefined>;
  /** The header that answers the challenges of a 401, with a fresh token. Remembers what was wanted. */
  answer(repository: string, challenges: readonly Challenge[], at: URL, signal: AbortSignal): Promise<Pass | Refusal>;
  /** The registry refused this pass: its token is not used again. */
  drop(pass: Pass): void;
  forget(repository: string): void;
  /** The registry itself refused what we showed it (`direct`). Throws. */
  refuse(pass: Pass, status: number): never;
  /** The registry took a pass. Of a secret it speaks where that was shown; a token may have outlived the secret that got it. */
  accepted(pass: Pass): void;
  /** True where credentials would be shown for this repository, and are refused or not to be had. */
  isRefused(repository: string, signal: AbortSignal): Promise<boolean>;
  /** `undefined` before the first sign-in, and for anonymous upstreams. */
  valid(): boolean | undefined;
}

/** An Authorization header and what it is made of. */
export interface Pass extends Signer {
  readonly kind: 'pass';
  readonly authorization: string;
  /** True when no credential of ours went into it. */
  readonly anonymous: boolean;
  /** It is the credentials themselves: Basic, or a bearer token of the configuration. */
  readonly direct: boolean;
  readonly scheme: 'basic' | 'bearer';
  readonly realm: string;
  readonly token?: { readonly request: TokenRequest; readonly value: string };
}

export type Refusal =
  /** No anonymous token for this repository, or credentials are wanted and there are none. */
  { readonly kind: 'refused' } | { readonly kind: 'limited'; readonly retryAfterSeconds: number | undefined };

export interface SignInOptions {
  readonly upstream: string;
  readonly url: URL;
  readonly credentials: CredentialsProvider;
  readonly tokenHosts: readonly string[];
  readonly tokens: Tokens;
  readonly clock: Clock;
  readonly report: Report;
}

const REMEMBERED_MAX = 10_000;

/** What a repository wanted, in the words of its challenge. */
interface Wanted {
  readonly scheme: 'basic' | 'bearer';
  readonly realm: string;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  /** Where the challenge came from: the realm is judged against it. */
  readonly at: URL;
}

export function createSignIn(options: SignInOptions): SignIn {
  const wanted = new Map<string, Wanted>();
  /** The last challenge whose scope was the repository's own pull scope: what another repository will be asked for too. */
  let usual: Wanted | undefined;
  const refusals = createRefusals(options);
  /** By secret: a sign-in that runs. */
  const signing = new Map<string, Promise<Pass | Refusal>>();
  const forget = (repository: string): void => {
    wanted.delete(repository);
    usual = undefined;
  };

  const credentialsFor = async (repository: string, signal: AbortSignal): Promise<Credentials | undefined> => {
    try {
      return await untilAborted(options.credentials(repository, refusals.isRefused), signal);
    } catch (error) {
      if (signal.aborted) throw error;
      throw refusals.unavailable(error);
    }
  };
  const passFor = async (repository: string, want: Wanted, signal: AbortSignal): Promise<Pass | Refusal> => {
    const credentials = want.at.origin === options.url.origin ? await credentialsFor(repository, signal) : undefined;
    if (credentials?.kind !== 'bearer' && want.scheme === 'bearer') return await tokenPass(want, credentials, signal);
    if (credentials !== undefined) refusals.check(credentials, want.scopes, signal);
    return directPass(want, credentials);
  };
  const tokenPass = async (
    want: Wanted,
    credentials: ExchangedCredentials | undefined,
    signal: AbortSignal,
  ): Promise<Pass | Refusal> => {
    // With it comes the list of public suffixes, which is large, and which most upstreams never need.
    const { judgeRealm } = await import('./realm.ts');
    const verdict = judgeRealm(want.realm, want.at, options.tokenHosts);
    if (verdict.kind === 'refused') throw new UpstreamError(options.upstream, 'auth', `${options.upstream}: ${verdict.why}`);
    const host = new URL(want.realm).host;
    if (verdict.kind === 'anonymous' && credentials !== undefined) throw foreignRealm(options.upstream, host);
    const request: TokenRequest = { realm: new URL(want.realm), service: want.service, scopes: want.scopes, credentials };
    // What is held was given out when the secret was good, and lasts though it is refused by now.
    if (credentials === undefined || options.tokens.holds(request)) return await passByToken(want, request, signal);
    refusals.check(credentials, want.scopes, signal);
    const running = signing.get(fingerprint(credentials));
    if (running === undefined) return await firstOf(credentials, passByToken(want, request, signal));
    // What it learns of the secret spares the others a refusal each: registries lock accounts for less.
    await untilAborted(
      running.catch(() => undefined),
      signal,
    );
    refusals.check(credentials, want.scopes, signal);
    return await passByToken(want, request, signal);
  };
  const firstOf = async (credentials: Credentials, signingIn: Promise<Pass | Refusal>): Promise<Pass | Refusal> => {
    const print = fingerprint(credentials);
    signing.set(print, signingIn);
    return await signingIn.finally(() => signing.delete(print));
  };
  const passByToken = async (want: Wanted, request: TokenRequest, signal: AbortSignal): Promise<Pass | Refusal> => {
    const { credentials, realm } = request;
    const isHeld = options.tokens.holds(request);
    const answer = await options.tokens.get(request, signal);
    switch (answer.kind) {
      case 'token':
        if (credentials !== undefined && !isHeld) refusals.accepted(signerOf(credentials), want.scopes);
        return {
          kind: 'pass',
          authorization: `Bearer ${answer.token}`,
          anonymous: credentials === undefined,
          direct: false,
          scheme: 'bearer',
          realm: want.realm,
          token: { request, value: answer.token },
          ...signerOf(credentials),
        };
      case 'limited':
        return answer;
      case 'failed':
        throw failedRealm(options.upstream, realm.host, answer);
      case 'refused':
        if (credentials === undefined) return { kind: 'refused' };
        throw refusals.refused(signerOf(credentials), want.scopes, answer.status);
    }
  };

  return {
    async recall(repository, signal) {
      const own = wanted.get(repository);
      const want = own ?? forRepository(usual, repository);
      if (want === undefined) return undefined;
      let pass: Pass | Refusal;
      try {
        pass = await passFor(repository, want, signal);
      } catch (error) {
        if (signal.aborted || error instanceof CredentialsRefused) throw error;
        // What is remembered may be out of date: a realm that moved, or one that was never right. The registry knows, and
        // is asked: at once, or by the next request where this one has waited for long enough.
        forget(repository);
        if (toUpstreamError(options.upstream, options.url.host, error, 'answer').timeout) throw error;
        return undefined;
      }
      // A guess from another repository, or a Basic challenge that was perhaps for HEAD alone, proves no absence: having
      // nothing to show is no reason not to ask.
      const isGuess = own === undefined || want.scheme === 'basic';
      return pass.kind === 'refused' && isGuess ? undefined : pass;
    },
    async answer(repository, challenges, at, signal) {
      const want = choose(challenges, repository, at);
      if (want === undefined) throw unknownChallenge(options.upstream, at);
      if (at.origin === options.url.origin) {
        remember(wanted, repository, want);
        if (want.scopes.length === 1 && isPullScopeOf(want.scopes[0], repository)) usual = want;
        if (want.scheme === 'basic') usual = want;
      }
      return await passFor(repository, want, signal);
    },
    drop(pass) {
      if (pass.token !== undefined) options.tokens.drop(pass.token.request, pass.token.value);
    },
    forget,
    refuse(pass, status) {
      throw refusals.refused(pass, undefined, status);
    },
    accepted(pass) {
      if (pass.direct) refusals.accepted(pass);
    },
    async isRefused(repository, signal) {
      try {
        const credentials = await credentialsFor(repository, signal);
        const scopes = (wanted.get(repository) ?? forRepository(usual, repository))?.scopes;
        return credentials !== undefined && refusals.isRefused(credentials, scopes);
      } catch (error) {
        if (signal.aborted) throw error;
        return true;
      }
    },
    valid: refusals.valid,
  };
}

function signerOf(credentials: Credentials | undefined): Signer {
  return { fingerprint: fingerprint(credentials), account: credentials?.account ?? '' };
}

function failedRealm(upstream: string, host: string, answer: Extract<TokenAnswer, { kind: 'failed' }>): UpstreamError {
  const reason = answer.status >= 500 ? 'status' : 'auth';
  return new UpstreamError(upstream, reason, `${upstream} (${host}): ${answer.why}`, { status: answer.status });
}

function unknownChallenge(upstream: string, at: URL): UpstreamError {
  const message = `${upstream} (${at.host}) answered 401 without a challenge that we know`;
  return new UpstreamError(upstream, 'auth', message, { status: 401 });
}

function foreignRealm(upstream: string, host: string): UpstreamError {
  const message = `${upstream} wants our credentials sent to ${host}, which is not its own; list it under tokenhosts if that is right`;
  return new UpstreamError(upstream, 'auth', message);
}

/** What the registry itself is shown: to its own origin alone, since there are no credentials for another. */
function directPass(want: Wanted, credentials: Credentials | undefined): Pass | Refusal {
  if (credentials === undefined) return { kind: 'refused' };
  return {
    kind: 'pass',
    authorization: authorizationOf(credentials),
    anonymous: false,
    direct: true,
    scheme: want.scheme,
    realm: want.realm,
    ...signerOf(credentials),
  };
}

function choose(challenges: readonly Challenge[], repository: string, at: URL): Wanted | undefined {
  const challenge = chooseChallenge(challenges);
  if (challenge === undefined) return undefined;
  const { realm = '', service, scope = '' } = challenge.parameters;
  if (challenge.scheme === 'basic') return { scheme: 'basic', realm, service: undefined, scopes: [], at };
  const scopes = scope.split(' ').filter((one) => one !== '');
  const asked = scopes.length === 0 ? [pullScope(repository)] : scopes.slice(0, SCOPES_MAX);
  return { scheme: 'bearer', realm, service, scopes: asked, at };
}

const SCOPES_MAX = 8;

function isPullScopeOf(scope: string | undefined, repository: string): boolean {
  return scope === pullScope(repository);
}

function forRepository(usual: Wanted | undefined, repository: string): Wanted | undefined {
  if (usual === undefined || usual.scheme === 'basic') return usual;
  return { ...usual, scopes: [pullScope(repository)] };
}

function remember(wanted: Map<string, Wanted>, repository: string, want: Wanted): void {
  wanted.delete(repository);
  wanted.set(repository, want);
  const [oldest] = wanted.keys();
  if (wanted.size > REMEMBERED_MAX && oldest !== undefined) wanted.delete(oldest);
}
