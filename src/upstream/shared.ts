import type { Clock } from '../system/clock.ts';
import { systemRandom } from '../system/random.ts';
import { Breaker } from './breaker.ts';
import type { Report } from './events.ts';
import { createExplaining, type Explaining } from './explaining.ts';
import { createLatency, type Latency } from './latency.ts';
import { withObservation } from './observed.ts';
import { DEFAULTS, type UpstreamDeps, type UpstreamOptions } from './options.ts';
import { createPace, type Pace } from './pace.ts';
import { createProbe } from './probe.ts';
import { createSlots, type Slots } from './slots.ts';
import { createTokens, type Tokens } from './tokens.ts';
import type { Transport } from './transport.ts';
import { createWayOut } from './way-out.ts';

/** What an upstream has once, whoever asks. */
export interface Shared {
  readonly clock: Clock;
  readonly report: Report;
  readonly transport: Transport;
  readonly tokens: Tokens;
  readonly explaining: Explaining;
  readonly slots: Slots;
  /** Of all bodies together; `undefined`: no limit. */
  readonly bandwidth: Pace | undefined;
  readonly breaker: Breaker;
  readonly latency: Latency;
}

export function createShared(options: UpstreamOptions, deps: UpstreamDeps): Shared {
  const { name: upstream, url, headers = {}, userAgent = DEFAULTS.userAgent, checkMs } = options;
  const { clock, random = systemRandom, report = () => undefined, sharers = 1 } = deps;
  const transport = createWayOut(options, deps);
  // What signs in and probes costs no budget.
  const observed = withObservation(transport, { upstream, clock, report });
  const explaining = createExplaining(upstream, url, report);
  const probe = createProbe({ upstream, url, headers, userAgent, transport: observed });
  return {
    clock,
    report,
    transport,
    tokens: createTokens((request, signal) => observed.send(request, signal), clock),
    explaining,
    slots: slotsOf(options, clock, sharers),
    bandwidth: paceOf((options.bandwidth ?? 0) / sharers, 0, clock),
    breaker: new Breaker({
      upstream,
      clock,
      random,
      report,
      probe: (signal) => explaining.explain(() => probe(signal), signal),
      checkMs,
    }),
    latency: createLatency(),
  };
}

/** A second's worth of requests may go at once. */
function slotsOf(options: UpstreamOptions, clock: Clock, sharers: number): Slots {
  const { name, concurrency = DEFAULTS.concurrency } = options;
  const count = Math.max(1, Math.floor(concurrency / sharers));
  const rate = (options.rate ?? 0) / sharers;
  return createSlots({ upstream: name, clock, count, pace: paceOf(rate, Math.max(0, rate - 1), clock) });
}

function paceOf(perSecond = 0, slack: number, clock: Clock): Pace | undefined {
  return perSecond === 0 ? undefined : createPace(clock, { perSecond, slack });
}
