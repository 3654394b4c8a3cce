import type { Ask } from './ask.ts';
import { TurnedAway, type Applicant, type Slots } from './slots.ts';
import { UpstreamError, type UpstreamAnswer, type UpstreamBody, type UpstreamRequest } from './upstream.ts';

/** A slot is held until the answer is there, or, where it has a body, until that has ended or was closed. */
export function withConcurrency(ask: Ask, slots: Slots): Ask {
  return async (request, signal) => {
    const release = await slots.take(applicantOf(request), signal).catch((error: unknown) => {
      // Whose time ran out in our own queue has learnt nothing of the upstream: no failure for the breaker.
      if (signal.aborted && error instanceof UpstreamError) throw new Error('no slot came free in time', { cause: error });
      throw error;
    });
    try {
      const answer = await ask(request, signal);
      if (answer.kind === 'found' && answer.body !== undefined)
        return { ...answer, body: releasing(answer.body, release, signal) };
      release();
      return answer satisfies UpstreamAnswer;
    } catch (error) {
      release();
      throw error;
    }
  };
}

function applicantOf({ kind, method, registry, repository }: UpstreamRequest): Applicant {
  return { lane: `${registry}/${repository}`, small: kind !== 'blob' || method === 'HEAD' };
}

/** Who is turned away for the sake of the rate hears what a 429 would say, and the chain goes on. */
export function orLimited(ask: Ask, onTurnedAway: (error: TurnedAway) => void): Ask {
  return async (request, signal) => {
    try {
      return await ask(request, signal);
    } catch (error) {
      if (!(error instanceof TurnedAway)) throw error;
      onTurnedAway(error);
      return { kind: 'limited', retryAfterSeconds: error.retryAfterSeconds };
    }
  };
}

function releasing(body: UpstreamBody, release: () => void, signal: AbortSignal): UpstreamBody {
  const end = (): void => {
    signal.removeEventListener('abort', end);
    release();
  };
  // A reader that gave up by its signal need not come back to close.
  signal.addEventListener('abort', end, { once: true });
  return {
    async read() {
      try {
        const chunk = await body.read();
        if (chunk === undefined) end();
        return chunk;
      } catch (error) {
        end();
        throw error;
      }
    },
    close() {
      body.close();
      end();
    },
  };
}
