import type { Clock } from '../system/clock.ts';
import type { Ask } from './ask.ts';
import type { Latency } from './latency.ts';

/** Notes how long answers take, the wait for a slot and a sign-in included: what whoever asks would have to wait. */
export function withLatency(ask: Ask, clock: Clock, latency: Latency): Ask {
  return async (request, signal) => {
    const askedAt = clock.monotonic();
    const answer = await ask(request, signal);
    latency.note(clock.monotonic() - askedAt);
    return answer;
  };
}
