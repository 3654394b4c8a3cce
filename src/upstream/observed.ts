import type { Clock } from '../system/clock.ts';
import type { Asked, Budget } from './budget.ts';
import type { Report } from './events.ts';
import { toUpstreamError } from './failure.ts';
import { readRateLimit } from './rate-limit.ts';
import type { Transport, TransportRequest, TransportResponse } from './transport.ts';
import type { UpstreamErrorReason } from './upstream.ts';

export interface ObservationOptions {
  readonly upstream: string;
  readonly clock: Clock;
  readonly report: Report;
  /** Who pays for what goes this way. */
  readonly budget?: {
    /** `host` or `host:port` of the registry: what another one says of limits is its own affair. */
    readonly host: string;
    readonly budget: Budget;
    /** Whether it is this budget by which the upstream is known now. */
    readonly isShown: () => boolean;
  };
}

/** A transport that reports each exchange, and notes the published rate limit. */
export function withObservation(transport: Transport, options: ObservationOptions): Transport {
  const { upstream, clock, report } = options;
  return {
    ...transport,
    async send(request, signal) {
      const started = clock.monotonic();
      const own = options.budget?.host === request.url.host ? options.budget : undefined;
      const asked = own?.budget.asked(isPull(request));
      const response = await sendAsked(transport, request, signal, options.upstream, asked);
      const ms = clock.monotonic() - started;
      report({ kind: 'upstream-request', upstream, what: request.what, status: response.status, ms });
      noteRateLimit(options, request, response, asked);
      return response;
    },
  };
}

/** Docker Hub counts who GETs a manifest; HEAD is free. */
function isPull({ what, method }: TransportRequest): boolean {
  return what === 'manifest' && method === 'GET';
}

async function sendAsked(
  transport: Transport,
  request: TransportRequest,
  signal: AbortSignal,
  upstream: string,
  asked: Asked | undefined,
): Promise<TransportResponse> {
  try {
    return await transport.send(request, signal);
  } catch (error) {
    asked?.failed(!NEVER_SENT.has(toUpstreamError(upstream, request.url.host, error, 'answer').reason));
    throw error;
  }
}

/** Nobody can have counted what no connection was made for. */
const NEVER_SENT: ReadonlySet<UpstreamErrorReason> = new Set(['dns', 'connect', 'tls', 'proxy']);

function noteRateLimit(
  { upstream, report, budget: own }: ObservationOptions,
  request: TransportRequest,
  response: TransportResponse,
  asked: Asked | undefined,
): void {
  const said = asked === undefined ? undefined : readRateLimit(response.header);
  const spent = asked?.answered(said, isPull(request) && response.status === 200);
  const limited = response.status === 429;
  if ((said === undefined && !limited) || own?.isShown() === false) return;
  const known = said === undefined ? undefined : own?.budget.known();
  const { us = 0, others = 0 } = spent ?? {};
  report({ kind: 'ratelimit', upstream, limit: known?.limit, remaining: known?.remaining, limited, us, others });
}
