import { createAsk, type Ask } from './ask.ts';
import { createExchange } from './exchange.ts';
import type { Face } from './face.ts';
import { withObservation } from './observed.ts';
import { addressOf, DEFAULTS, type UpstreamOptions } from './options.ts';
import { createUpstreamBody } from './reading.ts';
import type { Breaker } from './breaker.ts';
import type { Shared } from './shared.ts';
import { withBandwidth } from './with-bandwidth.ts';
import { withBreaker } from './with-breaker.ts';
import { orLimited, withConcurrency } from './with-concurrency.ts';
import { withLatency } from './with-latency.ts';
import { unlessPaused, withPause } from './with-pause.ts';

/** All that is shared, but that whose failures count against it is for who asks to say. */
export type SharedBy = Omit<Shared, 'breaker'> & { readonly breaker: Pick<Breaker, 'enter'> };

/** All wrappers of a question, outermost last. */
export function askAs(face: Face, options: UpstreamOptions, shared: SharedBy): Ask {
  const { pause } = face;
  const { clock, report, slots, breaker, latency, explaining } = shared;
  const ask = plainAsk(face, options, shared);
  const asked: Ask = (request, signal) => explaining.explain(() => ask(request, signal), signal);
  // Looked at again behind the queue: who waited there must not ask what is spent by now.
  const limited = withConcurrency(withPause(asked, pause), slots);
  const turnedAway = ({ message }: Error): void =>
    report({ kind: 'upstream-error', upstream: options.name, reason: 'ratelimit', message });
  return unlessPaused(orLimited(withBreaker(withLatency(limited, clock, latency), breaker), turnedAway), pause);
}

function plainAsk({ signIn, budget, isShown }: Face, options: UpstreamOptions, shared: SharedBy): Ask {
  const { name: upstream, url, headers = {}, userAgent = DEFAULTS.userAgent, pseudonym } = options;
  const { clock, report, bandwidth } = shared;
  const spending = { upstream, clock, report, budget: { host: url.host, budget, isShown } };
  return createAsk({
    upstream,
    address: addressOf(options),
    exchange: createExchange({
      upstream,
      transport: withObservation(shared.transport, spending),
      signIn,
      headers,
      anonymousWithoutPass: opensNothing(options),
    }),
    userAgent,
    pseudonym,
    unlocks: options.use === 'all',
    clock,
    wrapBody(body, what, host, signal) {
      const read = createUpstreamBody(body, upstream, what, host, report, signal);
      return bandwidth === undefined ? read : withBandwidth(read, bandwidth, clock, signal);
    },
  });
}

/** Headers of the configuration and client certificates open doors as a password does. */
function opensNothing({ headers = {}, tls }: UpstreamOptions): boolean {
  return Object.keys(headers).length === 0 && tls?.certificate === undefined;
}
