import type { Clock } from '../system/clock.ts';
import {
  UpstreamError,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamFound,
  type UpstreamRequest,
} from '../upstream/upstream.ts';
import type { Trace } from './trace.ts';

/** What a chain said when none of it could supply: the worst that each upstream said, in the order of the contract. */
export type Refusal =
  /** One at least could not be asked or answered nonsense, so nobody knows. `timeout`: all such were time-outs. */
  | { readonly kind: 'unreachable'; readonly timeout: boolean; readonly tried: readonly Tried[] }
  | { readonly kind: 'limited'; readonly retryAfterSeconds: number | undefined; readonly tried: readonly Tried[] }
  | { readonly kind: 'denied'; readonly tried: readonly Tried[] }
  | {
      readonly kind: 'absent';
      readonly hint: string | undefined;
      readonly unknownName: boolean;
      readonly tried: readonly Tried[];
    };

/** One upstream asked in vain; `error` is a sentence without secrets. */
export interface Tried {
  readonly upstream: string;
  readonly error: string;
  readonly ms: number;
}

export type ChainResult<T> = { readonly kind: 'found'; readonly value: T; readonly upstream: Upstream } | Refusal;

export interface ChainAsk {
  readonly chain: readonly Upstream[];
  readonly request: UpstreamRequest;
  /** Ends everything, the body of the accepted answer included. */
  readonly signal: AbortSignal;
  /** For all of the chain together, milliseconds; what an accepted body takes does not count. */
  readonly deadlineMs: number;
  readonly trace?: Trace | undefined;
}

/** Clients give up at 30 s (containerd, SOCI at 3), some never: the whole chain answers within this. */
export const CHAIN_DEADLINE_MS = 24_000;

/**
 * Asks the upstreams in order until one supplies what `accept` takes. `accept` may throw UpstreamError to refuse an answer
 * as that upstream's fault; the chain then goes on. When all have failed, the refusals are folded as the contract says
 * (HTTP, "When the chain's answers differ").
 */
export async function askChain<T>(
  clock: Clock,
  ask: ChainAsk,
  accept: (answer: UpstreamFound, upstream: Upstream) => Promise<T>,
): Promise<ChainResult<T>> {
  const refusals = new Refusals();
  const started = clock.monotonic();
  for (const upstream of ask.chain) {
    const remainingMs = ask.deadlineMs - (clock.monotonic() - started);
    if (remainingMs <= 0) break;
    const askedAt = clock.monotonic();
    try {
      const answer = await askOne(clock, upstream, ask.request, ask.signal, remainingMs);
      if (answer.kind === 'found') {
        const value = await accept(answer, upstream);
        if (ask.trace !== undefined) ask.trace.upstream = upstream.name;
        return { kind: 'found', value, upstream };
      }
      refusals.add(upstream.name, answer, clock.monotonic() - askedAt);
    } catch (error) {
      if (ask.signal.aborted || !(error instanceof UpstreamError)) throw error;
      refusals.addError(error, clock.monotonic() - askedAt);
    }
  }
  const refusal = refusals.fold();
  ask.trace?.tried.push(...refusal.tried);
  return refusal;
}

/** One question with a limit on the answer, milliseconds, which is lifted as soon as the answer is there. */
export async function askOne(
  clock: Clock,
  upstream: Upstream,
  request: UpstreamRequest,
  signal: AbortSignal,
  limitMs: number,
): Promise<UpstreamAnswer> {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  const late = new UpstreamError(upstream.name, 'headers', `${upstream.name} did not answer in time`, { timeout: true });
  const timer = clock.after(limitMs, () => controller.abort(late));
  let bodyGoesOn = false;
  try {
    const answer = await upstream.ask(request, controller.signal);
    bodyGoesOn = answer.kind === 'found' && answer.body !== undefined;
    return answer;
  } catch (error) {
    throw controller.signal.reason === late ? late : error;
  } finally {
    timer.cancel();
    // A body in flight still hangs on the signal; the listener goes with the caller's controller.
    if (!bodyGoesOn) signal.removeEventListener('abort', onAbort);
  }
}

/** Collects what each upstream said against it. */
export class Refusals {
  readonly #tried: Tried[] = [];
  #faults = 0;
  #timeouts = 0;
  #limited = false;
  #retryAfterSeconds: number | undefined;
  #denied = false;
  #hint: string | undefined;
  #unknownName = false;

  add(upstream: string, answer: Exclude<UpstreamAnswer, UpstreamFound>, ms: number): void {
    const error = answer.kind === 'absent' ? 'not there' : answer.kind === 'limited' ? 'rate limit reached' : 'access denied';
    this.#tried.push({ upstream, error, ms: Math.round(ms) });
    if (answer.kind === 'denied') this.#denied = true;
    if (answer.kind === 'absent') {
      this.#hint ??= answer.hint;
      this.#unknownName ||= answer.unknownName === true;
    }
    if (answer.kind !== 'limited') return;
    this.#limited = true;
    if (answer.retryAfterSeconds === undefined) return;
    this.#retryAfterSeconds = Math.min(this.#retryAfterSeconds ?? Infinity, answer.retryAfterSeconds);
  }

  addError(error: UpstreamError, ms: number): void {
    this.#tried.push({ upstream: error.upstream, error: error.message, ms: Math.round(ms) });
    this.#faults += 1;
    if (error.timeout) this.#timeouts += 1;
  }

  /** A fault outweighs 429, that outweighs a refusal, that outweighs absence: trouble never becomes "not there". */
  fold(): Refusal {
    const tried = this.#tried;
    if (this.#faults > 0) return { kind: 'unreachable', timeout: this.#timeouts === this.#faults, tried };
    if (this.#limited) return { kind: 'limited', retryAfterSeconds: this.#retryAfterSeconds, tried };
    if (this.#denied) return { kind: 'denied', tried };
    return { kind: 'absent', hint: this.#hint, unknownName: this.#unknownName, tried };
  }
}
