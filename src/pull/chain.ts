import type { Clock } from '../system/clock.ts';
import type { Upstream, UpstreamFound, UpstreamRequest } from '../upstream/upstream.ts';
import { askHedged } from './hedge.ts';
import { Refusals, type Refusal, type Tried } from './refusal.ts';

export type ChainResult<T> =
  | {
      readonly kind: 'found';
      readonly value: T;
      readonly upstream: Upstream;
      /** Those asked in vain before. */
      readonly tried: readonly Tried[];
      /** One of those asks us in turn. */
      readonly passedLoop: boolean;
      /** When the chain was begun to be asked, on the monotonic clock: ever since, what it says may be outdated. */
      readonly asked: number;
    }
  | Refusal;

export interface ChainAsk {
  readonly chain: readonly Upstream[];
  readonly request: UpstreamRequest;
  /** Ends everything, the body of the accepted answer included. */
  readonly signal: AbortSignal;
  /** For all of the chain together, milliseconds; what a body takes after it was accepted does not count. */
  readonly deadlineMs: number;
  /** Asks the next one beside one that is slower than it usually is (`hedge`). */
  readonly hedge: boolean;
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
  const asked = clock.monotonic();
  const remainingMs = (): number => ask.deadlineMs - (clock.monotonic() - asked);
  const left = [...ask.chain];
  for (let first = left[0]; first !== undefined; first = left[0]) {
    const { request, signal } = ask;
    const hedged = { first, second: ask.hedge ? left[1] : undefined, request, signal, remainingMs };
    const { outcomes, lost } = await askHedged(clock, hedged, accept);
    for (const { upstream, said, ms } of outcomes) {
      if (said.kind === 'found') {
        if (lost !== undefined) refusals.addSlower(lost.name, ms);
        return { kind: 'found', value: said.value, upstream, tried: refusals.tried(), passedLoop: refusals.looped(), asked };
      }
      left.splice(left.indexOf(upstream), 1);
      if (said.kind === 'failed') refusals.addError(said.error, ms);
      else refusals.add(upstream.name, said, ms);
    }
  }
  const refusal = refusals.fold();
  return refusal.kind === 'absent' ? { ...refusal, asked } : refusal;
}
