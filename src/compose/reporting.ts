import { createRecent, type Recent } from '../admin/recent.ts';
import type { StartOptions } from '../commands/context.ts';
import type { Config } from '../config/config.ts';
import { HOSTED } from '../metadata/records.ts';
import type { HouseEvent, RequestEvent } from '../observe/events.ts';
import type { Metrics } from '../observe/metrics.ts';
import { createReporter } from '../observe/report.ts';
import { createAuditing, type Auditing } from './auditing.ts';
import { CacheHistory } from './cache-control.ts';
import type { Chains } from './chains.ts';
import { Condition } from './condition.ts';
import type { Storage } from './storage.ts';
import { system } from './system.ts';
import { createTroubles } from './troubles.ts';

export interface ReportingDeps extends Pick<Required<StartOptions>, 'log' | 'stdout' | 'siblings'> {
  readonly metrics: Metrics;
  readonly storage: Pick<Storage, 'probe' | 'records' | 'hasForgotten'>;
  readonly config: () => Config;
  /** `undefined` until they are made. */
  readonly chains: () => Chains | undefined;
  /** Whoever else wants each request as it ends. */
  readonly onRequest: (event: RequestEvent) => void;
}

/** What is known from what the rooms report. */
export interface Reporting {
  /** The one function that every room reports through. Never throws. */
  readonly report: (event: HouseEvent) => void;
  readonly recent: Recent;
  readonly history: CacheHistory;
  readonly condition: Condition;
  readonly auditing: Auditing;
}

export function createReporting(deps: ReportingDeps): Reporting {
  const { log, metrics, storage, config, chains, siblings, stdout } = deps;
  const { clock } = system;
  const recent = createRecent(clock);
  const history = new CacheHistory();
  const observe = createReporter({
    log,
    metrics,
    known: {
      registries: () => chains()?.registries ?? new Set(),
      upstreams: () => chains()?.upstreamNames ?? new Set(),
    },
    reserveOf: (upstream) => chains()?.upstreams.reserveOf(upstream) ?? 0,
    accesslog: () => config().log.accesslog,
    onRequest(event) {
      recent.onRequest(event);
      history.note(event);
      deps.onRequest(event);
    },
  });
  const troubles = createTroubles(siblings);
  const condition = new Condition({
    clock,
    probes: { storage: () => storage.probe(), metadata: () => storage.records.ping() },
    anyUpstreamUp: () => anyUpstreamUp(chains()),
    onChange(reason, degraded, error) {
      observe(degraded ? { kind: 'degraded', reason, error } : { kind: 'recovered', reason });
      troubles.tell(condition.degradedHere());
    },
    elsewhere: () => troubles.elsewhere(),
  });
  const auditing = createAuditing({ system, stdout, onTrouble: (error) => condition.noteAudit(error) });
  return {
    recent,
    history,
    condition,
    auditing,
    report(event) {
      if (event.kind === 'bypass' || event.kind === 'push-failed') condition.note(event);
      // What is kept by a store that has forgotten shows only that it answers.
      if (event.kind === 'kept' && !storage.hasForgotten()) condition.note(event);
      if (event.kind === 'evicted') history.note(event);
      observe(event);
      auditing.note(event);
    },
  };
}

/** An upstream that nobody has asked yet counts as up; where every route is offline there is none. */
function anyUpstreamUp(chains: Chains | undefined): boolean {
  if (chains === undefined) return false;
  const statuses = chains.upstreams.statuses();
  if (statuses.length > 0) return statuses.some(({ up }) => up);
  return chains.config.routes.some(
    ({ deny, policy, upstreams }) => !deny && !policy.offline && upstreams.some((name) => name !== HOSTED),
  );
}
