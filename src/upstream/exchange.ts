import { parseChallenges } from '../oci/challenge.ts';
import { follow, type Arrival, type Journey } from './redirects.ts';
import type { Pass, Refusal, SignIn } from './sign-in.ts';
import type { Transport, TransportResponse } from './transport.ts';
import type { UpstreamRequest } from './upstream.ts';

/** One question to a registry, as HTTP. */
export interface Question {
  readonly what: UpstreamRequest['kind'];
  /** As the upstream knows it: part of what a token is asked for. */
  readonly repository: string;
  readonly method: 'GET' | 'HEAD';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent to the registry itself and not to where it redirects. */
  readonly via?: string;
  readonly mayLeadTo?: (target: URL) => boolean;
}

export type Outcome =
  | {
      readonly kind: 'response';
      readonly response: TransportResponse;
      readonly anonymous: boolean;
      readonly elsewhere: boolean;
    }
  /** 401 or 403 for the image, with the freshest pass we can have, or no such pass. */
  | { readonly kind: 'refused'; readonly anonymous: boolean }
  | { readonly kind: 'limited'; readonly retryAfterSeconds: number | undefined }
  /** A redirect to something that was not asked for. */
  | { readonly kind: 'astray' };

export interface ExchangeOptions {
  readonly upstream: string;
  readonly transport: Transport;
  readonly signIn: SignIn;
  /** What the configuration adds to each request; goes to the upstream's own origin alone. */
  readonly headers: Readonly<Record<string, string>>;
  /** False where something else opens doors: a client certificate, a header of the configuration. */
  readonly anonymousWithoutPass: boolean;
}

export type Exchange = (question: Question, signal: AbortSignal) => Promise<Outcome>;

/**
 * Asks, signs in as the registry wants it, and asks again: with what is remembered of the repository first, so that most
 * questions cost one request; with a fresh token once, when that is refused; and nowhere more often (protocol.md 2.5).
 */
export function createExchange(options: ExchangeOptions): Exchange {
  const { signIn } = options;
  const send = async (question: Question, pass: Pass | undefined, signal: AbortSignal): Promise<Arrival | undefined> => {
    const journey: Journey = { ...question, ownHeaders: ownHeaders(options, question, pass) };
    const arrival = await follow(options.transport, options.upstream, journey, signal);
    if (arrival === undefined || !arrival.elsewhere || !isExpired(question, arrival.response)) return arrival;
    // A signed URL ran out on the way (GHCR, quay: ten minutes): the registry signs another.
    arrival.response.body.discard();
    return await follow(options.transport, options.upstream, journey, signal);
  };

  return async (question, signal) => {
    const known = await signIn.recall(question.repository, signal);
    if (known !== undefined && known.kind !== 'pass') return refusal(known);
    let pass = known;
    let arrival = await send(question, pass, signal);

    if (pass !== undefined && arrival !== undefined && isUnwelcome(arrival)) {
      signIn.drop(pass);
      // NVCR names another realm to an old token, Harbor another scheme, ECR Public no challenge at all: without
      // Authorization they say what they said first.
      if (!repeatsChallenge(arrival.response, pass)) {
        arrival.response.body.discard();
        signIn.forget(question.repository);
        pass = undefined;
        arrival = await send(question, undefined, signal);
      }
    }
    if (arrival !== undefined && isChallenge(arrival)) {
      const used = pass;
      const fresh = await answerChallenge(options, question, arrival, signal);
      if (fresh.kind !== 'pass') return refusal(fresh);
      if (used !== undefined && used.authorization === fresh.authorization) return refused(signIn, fresh, 401);
      pass = fresh;
      arrival = await send(question, pass, signal);
    }
    if (arrival !== undefined && isChallengeElsewhere(arrival)) {
      const fresh = await answerChallenge(options, question, arrival, signal);
      if (fresh.kind !== 'pass') return refusal(fresh);
      arrival = await sendElsewhere(options, question, arrival.response.url, fresh, signal);
    }
    return arrival === undefined ? { kind: 'astray' } : conclude(options, arrival, pass);
  };
}

async function answerChallenge(
  options: ExchangeOptions,
  question: Question,
  arrival: Arrival,
  signal: AbortSignal,
): Promise<Pass | Refusal> {
  arrival.response.body.discard();
  const challenges = await challengesFor(options, question, arrival, signal);
  return await options.signIn.answer(question.repository, challenges, arrival.response.url, signal);
}

/** What a 401 wants. Artifact Registry may leave it unsaid, and says it of `/v2/` only. */
async function challengesFor(
  options: ExchangeOptions,
  question: Question,
  { response, elsewhere }: Arrival,
  signal: AbortSignal,
): Promise<Challenges> {
  const said = challengesOf(response);
  if (said.length > 0 || elsewhere) return said;
  const base = new URL(question.url.href.slice(0, question.url.href.indexOf('/v2/') + '/v2/'.length));
  const journey: Journey = { ...question, method: 'GET', url: base, ownHeaders: options.headers };
  const ping = await follow(options.transport, options.upstream, journey, signal);
  ping?.response.body.discard();
  return ping === undefined || ping.elsewhere || ping.response.status !== 401 ? [] : challengesOf(ping.response);
}

/**
 * `pass` is the one for the upstream itself: what a signed request led to is not public because an anonymous token was
 * enough at its end.
 */
function conclude(options: ExchangeOptions, arrival: Arrival, pass: Pass | undefined): Outcome {
  const { response, elsewhere } = arrival;
  const anonymous = options.anonymousWithoutPass && (pass?.anonymous ?? true);
  const isRefusal = (response.status === 401 || response.status === 403) && (!elsewhere || isRegistryPath(response.url));
  if (!isRefusal) {
    // Who were not known would have heard 401 of what is not there, too.
    if (pass !== undefined && (response.status < 300 || response.status === 404)) options.signIn.accepted(pass);
    return { kind: 'response', response, anonymous, elsewhere };
  }
  response.body.discard();
  return pass === undefined || elsewhere ? { kind: 'refused', anonymous } : refused(options.signIn, pass, response.status);
}

/** To the credentials themselves, a 401 says that they are wrong; to a token got for them, that the image is not for us. */
function refused(signIn: SignIn, pass: Pass, status: number): Outcome {
  if (pass.direct && status === 401) signIn.refuse(pass, status);
  return { kind: 'refused', anonymous: pass.anonymous };
}

function refusal(without: Refusal): Outcome {
  return without.kind === 'refused' ? { kind: 'refused', anonymous: true } : without;
}

/** Another registry, to which the first one led (registry.k8s.io to Artifact Registry), asks in turn. */
async function sendElsewhere(
  options: ExchangeOptions,
  question: Question,
  url: URL,
  pass: Pass,
  signal: AbortSignal,
): Promise<Arrival | undefined> {
  const journey: Journey = { ...question, url, ownHeaders: { authorization: pass.authorization } };
  const arrival = await follow(options.transport, options.upstream, journey, signal);
  return arrival === undefined ? undefined : { ...arrival, elsewhere: true };
}

function ownHeaders({ headers }: ExchangeOptions, { via }: Question, pass: Pass | undefined): Readonly<Record<string, string>> {
  return {
    ...headers,
    ...(via === undefined ? {} : { via }),
    ...(pass === undefined ? {} : { authorization: pass.authorization }),
  };
}

/** A pass was not taken: 401, or ECR Public's 400 to an expired token. */
function isUnwelcome({ response, elsewhere }: Arrival): boolean {
  if (elsewhere) return false;
  return response.status === 401 || (response.status === 400 && response.header('www-authenticate') === undefined);
}

function isChallenge({ response, elsewhere }: Arrival): boolean {
  return response.status === 401 && !elsewhere;
}

function isChallengeElsewhere({ response, elsewhere }: Arrival): boolean {
  return response.status === 401 && elsewhere && isRegistryPath(response.url) && challengesOf(response).length > 0;
}

function repeatsChallenge(response: TransportResponse, pass: Pass): boolean {
  return challengesOf(response).some(
    ({ scheme, parameters }) => scheme === pass.scheme && (parameters['realm'] ?? '') === pass.realm,
  );
}

type Challenges = ReturnType<typeof parseChallenges>;

function challengesOf(response: TransportResponse): Challenges {
  return parseChallenges(response.header('www-authenticate') ?? '');
}

/** What a content network says to a signature that ran out. HEAD is refused there for another reason: it was not signed. */
function isExpired(question: Question, response: TransportResponse): boolean {
  return question.method === 'GET' && [401, 403, 410].includes(response.status) && !isRegistryPath(response.url);
}

export function isRegistryPath(url: URL): boolean {
  return url.pathname.startsWith('/v2/');
}
