import { algorithmOf, digestOf, parseDigest, type Digest } from '../oci/digest.ts';
import { formatVia, type Pseudonym } from '../oci/via.ts';
import type { Clock } from '../system/clock.ts';
import { repositoryAt, urlOf, type Address } from './address.ts';
import { fault, lengthOf, readWhole, take, totalOf, type Taken } from './answer.ts';
import type { Exchange, Outcome } from './exchange.ts';
import { isRegistryPath } from './exchange.ts';
import { acceptOf, isOddAbsence, isReferrersPath } from './oddities.ts';
import { retryAfterSeconds } from './rate-limit.ts';
import type { ResponseBody } from './body.ts';
import { UpstreamError, type UpstreamAnswer, type UpstreamBody, type UpstreamFound, type UpstreamRequest } from './upstream.ts';

/** The heart of an upstream, which the wrappers wrap. */
export type Ask = (request: UpstreamRequest, signal: AbortSignal) => Promise<UpstreamAnswer>;

export interface AskOptions {
  readonly upstream: string;
  readonly address: Address;
  readonly exchange: Exchange;
  readonly userAgent: string;
  /** As which this mirror signs what it asks; `undefined`: not at all. */
  readonly pseudonym: Pseudonym | undefined;
  /** True where our credentials unlock: a refusal of theirs is then `denied`. */
  readonly unlocks: boolean;
  readonly clock: Clock;
  /** Makes the body that the caller reads. */
  readonly wrapBody: (body: ResponseBody, what: UpstreamRequest['kind'], host: string, signal: AbortSignal) => UpstreamBody;
}

/** A manifest whose digest the upstream did not say is read whole to find it: no more than this. */
const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;

type Responded = Extract<Outcome, { kind: 'response' }>;

export function createAsk(options: AskOptions): Ask {
  const get: Ask = async (request, signal) => {
    const outcome = await options.exchange(questionOf(options, request), signal);
    return outcome.kind === 'response' ? await interpret(options, request, outcome, signal) : spoken(options, outcome);
  };
  return async (request, signal) => {
    if (request.method === 'GET') return await get(request, signal);
    const outcome = await options.exchange(questionOf(options, request), signal).catch(orUnchallenged);
    if (outcome !== undefined && !isMishandled(request, outcome)) {
      if (outcome.kind !== 'response') return spoken(options, outcome);
      return withoutBody(await interpret(options, request, outcome, signal));
    }
    if (outcome?.kind === 'response') outcome.response.body.discard();
    return request.kind === 'blob' ? await probe(options, request, signal) : await readHead(options, request, signal);
  };
}

/** `undefined` for a 401 that says not what it wants: to a HEAD it may mean no more than that HEAD is not liked. */
function orUnchallenged(error: unknown): undefined {
  if (error instanceof UpstreamError && error.reason === 'auth' && error.status === 401) return undefined;
  throw error;
}

function questionOf(options: AskOptions, request: UpstreamRequest) {
  const range =
    request.range === undefined
      ? {}
      : { range: `bytes=${request.range.from}-${request.range.to === undefined ? '' : request.range.to - 1}` };
  return {
    what: request.kind,
    repository: repositoryAt(options.address, request),
    method: request.method,
    url: urlOf(options.address, request),
    headers: { accept: acceptOf(request.kind), 'accept-encoding': 'identity', 'user-agent': options.userAgent, ...range },
    ...(options.pseudonym === undefined ? {} : { via: formatVia([...(request.via ?? []), options.pseudonym]) }),
    ...(request.kind === 'referrers' ? { mayLeadTo: isReferrersPath } : {}),
  };
}

/** What was said without a response to look at. */
function spoken(options: AskOptions, outcome: Exclude<Outcome, Responded>): UpstreamAnswer {
  switch (outcome.kind) {
    case 'limited':
      return outcome;
    case 'astray':
      return { kind: 'absent' };
    case 'refused':
      return options.unlocks && !outcome.anonymous
        ? { kind: 'denied' }
        : { kind: 'absent', hint: 'it does not exist there, or signing in is needed' };
  }
}

/** Every status by table (R64): what is not in it is a fault, never an absence. Takes the body, or ends it. */
async function interpret(
  options: AskOptions,
  request: UpstreamRequest,
  outcome: Responded,
  signal: AbortSignal,
): Promise<UpstreamAnswer> {
  const { response } = outcome;
  if (response.status === 200 || response.status === 206)
    return found(options, request.kind, outcome, taken(options, request, outcome), signal);
  if (response.status === 404 && (!outcome.elsewhere || isRegistryPath(response.url))) {
    const unknownName = request.method === 'GET' && (await namesNobody(response.body));
    return unknownName ? { kind: 'absent', unknownName } : { kind: 'absent' };
  }
  response.body.discard();
  if (response.status === 429)
    return { kind: 'limited', retryAfterSeconds: retryAfterSeconds(response.header, options.clock.now()) };
  const said = response.status === 508 ? 'asks this mirror in turn (508 Loop Detected)' : `answered ${response.status}`;
  throw fault(options.upstream, response, 'status', said);
}

/** What an error of a registry may hold; longer ones are not read. */
const ERROR_BYTES_MAX = 16 * 1024;

/** True when the body says that it is the repository which is not there (OCI distribution-spec, "Error Codes"). */
async function namesNobody(body: ResponseBody): Promise<boolean> {
  try {
    const bytes = await readWhole(body, ERROR_BYTES_MAX);
    return bytes !== undefined && /"code"\s*:\s*"NAME_UNKNOWN"/.test(Buffer.from(bytes).toString('latin1'));
  } catch {
    return false; // The status has said what counts.
  }
}

function taken(options: AskOptions, request: UpstreamRequest, outcome: Responded): Taken {
  try {
    return take(options.upstream, request, outcome.response);
  } catch (error) {
    outcome.response.body.close();
    throw error;
  }
}

function found(
  options: AskOptions,
  kind: UpstreamRequest['kind'],
  outcome: Responded,
  { response, ...answer }: Taken,
  signal: AbortSignal,
): UpstreamFound {
  return { ...answer, anonymous: outcome.anonymous, body: options.wrapBody(response.body, kind, response.url.host, signal) };
}

function withoutBody(answer: UpstreamAnswer): UpstreamAnswer {
  if (answer.kind !== 'found') return answer;
  answer.body?.close();
  return { ...answer, body: undefined };
}

/**
 * HEAD is refused where GET is not (public.ecr.aws 401, signed URLs 403, 405), answered without length (Istio's) or digest
 * (Red Hat's), or with a 404 that no registry wrote.
 */
function isMishandled(request: UpstreamRequest, outcome: Outcome): boolean {
  if (outcome.kind !== 'response') return outcome.kind === 'refused';
  const { response } = outcome;
  if (response.status === 200) {
    const isUnsaid =
      parseDigest(response.header('docker-content-digest')?.trim() ?? '') === undefined && request.kind === 'manifest';
    return isUnsaid || lengthOf(response) === undefined;
  }
  return [400, 401, 403, 405, 410, 501].includes(response.status) || isOddAbsence(response);
}

/** A blob's size from its first byte: `Range: bytes=0-0`, and the transfer ended whatever comes. */
async function probe(options: AskOptions, request: UpstreamRequest, signal: AbortSignal): Promise<UpstreamAnswer> {
  const first: UpstreamRequest = { ...request, method: 'GET', range: { from: 0, to: 1 } };
  const outcome = await options.exchange(questionOf(options, first), signal);
  if (outcome.kind !== 'response') return spoken(options, outcome);
  if (outcome.response.status === 416 && totalOf(outcome.response) === 0) {
    // RFC 9110 14.1.2: no range of an empty blob can be satisfied.
    outcome.response.body.discard();
    return {
      kind: 'found',
      status: 200,
      mediaType: undefined,
      digest: undefined,
      size: 0,
      from: 0,
      next: undefined,
      filtersApplied: undefined,
      anonymous: outcome.anonymous,
      body: undefined,
    };
  }
  const answer = await interpret(options, first, outcome, signal);
  return answer.kind === 'found' ? { ...(withoutBody(answer) as UpstreamFound), status: 200 } : answer;
}

/** A manifest's HEAD by GET: its headers where they say enough, else its bytes. */
async function readHead(options: AskOptions, request: UpstreamRequest, signal: AbortSignal): Promise<UpstreamAnswer> {
  const read: UpstreamRequest = { ...request, method: 'GET' };
  const outcome = await options.exchange(questionOf(options, read), signal);
  if (outcome.kind !== 'response') return spoken(options, outcome);
  const answer = await interpret(options, read, outcome, signal);
  if (answer.kind !== 'found' || request.kind !== 'manifest' || (answer.digest !== undefined && answer.size !== undefined))
    return withoutBody(answer);
  const bytes = await readWhole(outcome.response.body, MANIFEST_BYTES_MAX);
  if (bytes === undefined)
    throw fault(options.upstream, outcome.response, 'verify', `sent a manifest of more than ${MANIFEST_BYTES_MAX} bytes`);
  return { ...answer, digest: digestFor(request, bytes), size: bytes.byteLength, body: undefined };
}

/** By the algorithm that was asked with, so that the two can be compared. */
function digestFor(request: UpstreamRequest, bytes: Uint8Array): Digest {
  const asked = parseDigest(request.reference);
  return digestOf(bytes, asked === undefined ? 'sha256' : algorithmOf(asked));
}
