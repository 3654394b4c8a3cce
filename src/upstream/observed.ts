import type { Clock } from '../system/clock.ts';
import type { Report } from './events.ts';
import { readRateLimit, type RateLimit } from './rate-limit.ts';
import type { Transport, TransportResponse } from './transport.ts';

/** What is learnt of an upstream from its answers, for `status()`. */
export interface Observed {
  rateLimit: RateLimit | undefined;
  lastError: string | undefined;
}

/** A transport that reports each exchange, and notes the published rate limit. */
export function withObservation(
  transport: Transport,
  upstream: string,
  clock: Clock,
  report: Report,
  observed: Observed,
): Transport {
  return {
    ...transport,
    async send(request, signal) {
      const started = clock.monotonic();
      const response = await transport.send(request, signal);
      const ms = clock.monotonic() - started;
      report({ kind: 'upstream-request', upstream, what: request.what, status: response.status, ms });
      noteRateLimit(response, upstream, report, observed);
      return response;
    },
  };
}

function noteRateLimit(response: TransportResponse, upstream: string, report: Report, observed: Observed): void {
  const told = readRateLimit(response.header);
  const limited = response.status === 429;
  if (told !== undefined) observed.rateLimit = told;
  if (told === undefined && !limited) return;
  report({ kind: 'ratelimit', upstream, limit: told?.limit, remaining: told?.remaining, source: told?.source, limited });
}
