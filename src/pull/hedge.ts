import type { Clock } from '../system/clock.ts';
import {
  UpstreamError,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamFound,
  type UpstreamRequest,
} from '../upstream/upstream.ts';
import { askOne } from './ask-one.ts';

/** What came of one upstream that was asked. */
export interface Outcome<T> {
  readonly upstream: Upstream;
  readonly said:
    | { readonly kind: 'found'; readonly value: T }
    | Exclude<UpstreamAnswer, UpstreamFound>
    | { readonly kind: 'failed'; readonly error: UpstreamError };
  /** How long it took. */
  readonly ms: number;
}

export interface HedgedAsk {
  readonly first: Upstream;
  /** To be asked beside the first once that is slower than it usually is; `undefined`: nobody. */
  readonly second: Upstream | undefined;
  readonly request: UpstreamRequest;
  readonly signal: AbortSignal;
  /** What is left of the time that there is, milliseconds. */
  readonly remainingMs: () => number;
}

/** How long the first may take where too few of its answers are known to say what is usual. */
const UNKNOWN_MS = 1000;
/** Below this, what passes for slow is noise. */
const SHORTEST_MS = 20;

/**
 * Asks the first, and the second beside it once the first has been silent for longer than 95 in a hundred of its answers
 * took (Dean and Barroso, "The Tail at Scale", 2013: hedged requests). Who answers first wins. Yields what came of those who
 * answered, the winner last, and who lost. Who lost is neither broken off nor blamed: its answer is closed when it comes,
 * so that its breaker and latency learn the truth.
 */
export function askHedged<T>(
  clock: Clock,
  ask: HedgedAsk,
  accept: (answer: UpstreamFound, upstream: Upstream) => Promise<T>,
): Promise<{ readonly outcomes: readonly Outcome<T>[]; readonly lost: Upstream | undefined }> {
  const { first, second, request, signal } = ask;
  const outcomes: Outcome<T>[] = [];
  const running = new Set<Upstream>();
  let taken = false;

  const question = async (upstream: Upstream): Promise<Outcome<T> | undefined> => {
    const askedAt = clock.monotonic();
    const take = (answer: UpstreamFound): Promise<T> => {
      if (taken) throw new Lost();
      taken = true;
      return accept(answer, upstream);
    };
    try {
      const said = await askOne(clock, upstream, request, signal, ask.remainingMs(), take);
      return { upstream, said, ms: clock.monotonic() - askedAt };
    } catch (error) {
      if (error instanceof Lost) return undefined;
      if (signal.aborted || !(error instanceof UpstreamError)) throw error;
      return { upstream, said: { kind: 'failed', error }, ms: clock.monotonic() - askedAt };
    }
  };

  return new Promise((resolve, reject) => {
    const giveUp = (error: unknown): void => {
      timer?.cancel();
      reject(error as Error);
    };
    const start = (upstream: Upstream): void => {
      running.add(upstream);
      question(upstream).then((outcome) => {
        running.delete(upstream);
        if (outcome !== undefined) outcomes.push(outcome);
        if (outcome?.said.kind !== 'found' && running.size > 0) return;
        timer?.cancel();
        resolve({ outcomes: [...outcomes], lost: [...running][0] });
      }, giveUp);
    };
    const startSecond = (upstream: Upstream) => (): void => {
      if (!taken) start(upstream);
    };
    const timer = second === undefined ? undefined : clock.after(patienceMs(first, request), startSecond(second));
    start(first);
  });
}

/** Another has answered first. */
class Lost extends Error {}

function patienceMs(upstream: Upstream, { registry }: UpstreamRequest): number {
  return Math.max(upstream.standing(registry).usualMs ?? UNKNOWN_MS, SHORTEST_MS);
}
