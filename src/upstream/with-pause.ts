import type { Clock } from '../system/clock.ts';
import type { Ask } from './ask.ts';
import type { UpstreamRequest } from './upstream.ts';

/** Without a Retry-After: at most one request a second (R11). */
const PAUSE_SECONDS_DEFAULT = 1;
const PAUSE_SECONDS_MAX = 60;

/** What a 429 asks to be left alone, and for how long. */
export interface Pause {
  /** Milliseconds until it may be asked for that again; 0: now. */
  leftMs(kind: UpstreamRequest['kind']): number;
  begin(kind: UpstreamRequest['kind'], seconds: number | undefined): void;
}

export function createPause(clock: Clock): Pause {
  const until = new Map<UpstreamRequest['kind'], number>();
  return {
    leftMs: (kind) => Math.max(0, (until.get(kind) ?? 0) - clock.monotonic()),
    begin(kind, seconds) {
      const wait = Math.min(seconds ?? PAUSE_SECONDS_DEFAULT, PAUSE_SECONDS_MAX);
      until.set(kind, clock.monotonic() + wait * 1000);
    },
  };
}

/** After a 429, questions of that kind are answered `limited` from here until the upstream may be asked again. */
export function withPause(ask: Ask, pause: Pause): Ask {
  return async (request, signal) => {
    const leftMs = pause.leftMs(request.kind);
    if (leftMs > 0) return { kind: 'limited', retryAfterSeconds: Math.ceil(leftMs / 1000) };
    const answer = await ask(request, signal);
    if (answer.kind === 'limited') pause.begin(request.kind, answer.retryAfterSeconds);
    return answer;
  };
}
