import type { Ask } from './ask.ts';
import { UpstreamError, type UpstreamAnswer, type UpstreamBody } from './upstream.ts';

/** Whoever comes when so many wait is turned away at once. */
const WAITING_MAX = 10_000;

/** At most so many transfers at once; the others wait in the order they came. */
export interface Slots {
  /** Resolves to the function that gives the slot back. Rejects with the signal's reason, or when too many wait. */
  take(signal: AbortSignal): Promise<() => void>;
  running(): number;
  /** Share of them that is taken, those who wait counted too. */
  busy(): number;
}

export function createSlots(upstream: string, count: number, waitingMax: number = WAITING_MAX): Slots {
  const queue = new Set<() => void>();
  let running = 0;
  const give = (): (() => void) => {
    let given = true;
    running++;
    return () => {
      if (!given) return;
      given = false;
      running--;
      const [next] = queue;
      next?.();
    };
  };
  return {
    running: () => running,
    busy: () => (running + queue.size) / count,
    take(signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason as Error);
        if (running < count) return resolve(give());
        if (queue.size >= waitingMax) return reject(crowded(upstream));
        const start = (): void => {
          queue.delete(start);
          signal.removeEventListener('abort', onAbort);
          resolve(give());
        };
        const onAbort = (): void => {
          queue.delete(start);
          reject(signal.reason as Error);
        };
        queue.add(start);
        signal.addEventListener('abort', onAbort, { once: true });
      });
    },
  };
}

function crowded(upstream: string): UpstreamError {
  return new UpstreamError(upstream, 'ratelimit', `${upstream}: too many requests wait for it already`);
}

/** A slot is held until the answer is there, or, where it has a body, until that has ended or was closed. */
export function withConcurrency(ask: Ask, slots: Slots): Ask {
  return async (request, signal) => {
    const release = await slots.take(signal);
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
