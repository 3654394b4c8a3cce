import type { Clock } from '../system/clock.ts';
import {
  UpstreamError,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamBody,
  type UpstreamFound,
  type UpstreamRequest,
} from '../upstream/upstream.ts';
import { Refusals, type Refusal, type Tried } from './refusal.ts';

export type ChainResult<T> =
  /** `tried`: those asked in vain before. */
  { readonly kind: 'found'; readonly value: T; readonly upstream: Upstream; readonly tried: readonly Tried[] } | Refusal;

export interface ChainAsk {
  readonly chain: readonly Upstream[];
  readonly request: UpstreamRequest;
  /** Ends everything, the body of the accepted answer included. */
  readonly signal: AbortSignal;
  /** For all of the chain together, milliseconds; what a body takes after it was accepted does not count. */
  readonly deadlineMs: number;
}

/** Clients give up at 30 s (containerd, SOCI at 3), some never: the whole chain answers within this. */
export const CHAIN_DEADLINE_MS = 24_000;

/**
 * Asks the upstreams in order until one supplies what `accept` takes. `accept` may throw UpstreamError to refuse an answer
 * as that upstream's fault; the chain then goes on. When all have failed, the refusals are folded as the contract says
 * (HTTP, "When the chain's answers differ"). Who could not be asked in time counts as timed out, never as "not there".
 */
export async function askChain<T>(
  clock: Clock,
  ask: ChainAsk,
  accept: (answer: UpstreamFound, upstream: Upstream) => Promise<T>,
): Promise<ChainResult<T>> {
  const refusals = new Refusals();
  const started = clock.monotonic();
  for (const upstream of ask.chain) {
    const askedAt = clock.monotonic();
    try {
      const limitMs = ask.deadlineMs - (askedAt - started);
      const answer = await askOne(clock, upstream, ask.request, ask.signal, limitMs, (found) => accept(found, upstream));
      if (answer.kind === 'found') return { kind: 'found', value: answer.value, upstream, tried: refusals.tried() };
      refusals.add(upstream.name, answer, clock.monotonic() - askedAt);
    } catch (error) {
      if (ask.signal.aborted || !(error instanceof UpstreamError)) throw error;
      refusals.addError(error, clock.monotonic() - askedAt);
    }
  }
  return refusals.fold();
}

/**
 * One question. The limit, milliseconds, is on the answer and on `accept` together, and lifted after that: a body that was
 * accepted goes on until the signal ends it, and is closed here where `accept` throws.
 */
export async function askOne<T>(
  clock: Clock,
  upstream: Upstream,
  request: UpstreamRequest,
  signal: AbortSignal,
  limitMs: number,
  accept: (answer: UpstreamFound) => Promise<T>,
): Promise<{ readonly kind: 'found'; readonly value: T } | Exclude<UpstreamAnswer, UpstreamFound>> {
  const late = lateError(upstream.name);
  if (limitMs <= 0) throw late;
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal.reason);
  const unlink = (): void => signal.removeEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  const timer = clock.after(limitMs, () => controller.abort(late));
  let goesOn = false;
  try {
    const answer = await upstream.ask(request, controller.signal);
    if (answer.kind !== 'found') return answer;
    const value = await accepted(answer, unlink, accept);
    goesOn = answer.body !== undefined;
    return { kind: 'found', value };
  } catch (error) {
    throw controller.signal.reason === late ? late : error;
  } finally {
    timer.cancel();
    if (!goesOn) unlink();
  }
}

async function accepted<T>(
  answer: UpstreamFound,
  unlink: () => void,
  accept: (answer: UpstreamFound) => Promise<T>,
): Promise<T> {
  const { body } = answer;
  if (body === undefined) return accept(answer);
  try {
    return await accept({ ...answer, body: unlinking(body, unlink) });
  } catch (error) {
    body.close();
    throw error;
  }
}

/** A fill's signal outlives its bodies: each takes its listener along when it ends, however often a fill goes on. */
function unlinking(body: UpstreamBody, unlink: () => void): UpstreamBody {
  return {
    async read() {
      try {
        const chunk = await body.read();
        if (chunk === undefined) unlink();
        return chunk;
      } catch (error) {
        unlink();
        throw error;
      }
    },
    close() {
      unlink();
      body.close();
    },
  };
}

/** Nothing was heard in the time there was. */
export function lateError(upstream: string): UpstreamError {
  return new UpstreamError(upstream, 'headers', `${upstream} did not answer in time`, { timeout: true });
}
