import type { Clock } from '../system/clock.ts';
import type { Ask } from './ask.ts';
import type { UpstreamRequest } from './upstream.ts';

/** Without a Retry-After: at most one request a second (R11). */
const PAUSE_SECONDS_DEFAULT = 1;
const PAUSE_SECONDS_MAX = 60;

/** After a 429, questions of that kind are answered `limited` from here until the upstream may be asked again. */
export function withPause(ask: Ask, clock: Clock): Ask {
  const until = new Map<UpstreamRequest['kind'], number>();
  return async (request, signal) => {
    const leftMs = (until.get(request.kind) ?? 0) - clock.monotonic();
    if (leftMs > 0) return { kind: 'limited', retryAfterSeconds: Math.ceil(leftMs / 1000) };
    const answer = await ask(request, signal);
    if (answer.kind === 'limited') {
      const seconds = Math.min(answer.retryAfterSeconds ?? PAUSE_SECONDS_DEFAULT, PAUSE_SECONDS_MAX);
      until.set(request.kind, clock.monotonic() + seconds * 1000);
    }
    return answer;
  };
}
