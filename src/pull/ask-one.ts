import type { Clock } from '../system/clock.ts';
import {
  UpstreamError,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamBody,
  type UpstreamFound,
  type UpstreamRequest,
} from '../upstream/upstream.ts';

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
