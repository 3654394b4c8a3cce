import type { UpstreamEvent } from './events.ts';
import type { Labels } from './labels.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { States } from './states.ts';

/** A budget is low below this share of its limit, and no longer so above twice that. */
const LOW_SHARE = 0.1;

export interface UpstreamReporterOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly labels: Labels;
  readonly states: States;
  /** The most pulls that a route keeps for misses at an upstream (`ratelimit.reserve`). */
  readonly reserveOf: (upstream: string) => number;
}

export function reportUpstream(options: UpstreamReporterOptions): (event: UpstreamEvent) => void {
  const { log, metrics, labels, states, reserveOf } = options;
  return (event) => {
    const { upstream } = event;
    const label = { upstream: labels.upstream(upstream) };
    switch (event.kind) {
      case 'upstream-request':
        metrics.count('entrepot_upstream_requests_total', {
          ...label,
          kind: event.what,
          status: String(event.status),
        });
        return metrics.record('entrepot_upstream_seconds', { ...label, kind: event.what }, event.ms / 1000);
      case 'upstream-error':
        metrics.count('entrepot_upstream_errors_total', { ...label, reason: event.reason });
        return log.debug('upstream error', {
          upstream,
          reason: event.reason,
          error: event.message,
        });
      case 'upstream-bytes':
        metrics.count('entrepot_upstream_bytes_total', label, event.bytes);
        return countPulled(metrics, event);
      case 'upstream-down':
        if (!states.change(`up ${upstream}`, 'down', 'up')) return;
        return log.warn('upstream down', { upstream, error: event.message, retry_ms: event.ms });
      case 'upstream-up':
        return states.change(`up ${upstream}`, 'up', 'up') ? log.info('upstream up', { upstream }) : undefined;
      case 'credentials-refused':
        if (!states.change(`credentials ${upstream}`, 'refused', 'accepted')) return;
        return log.error('credentials refused', { upstream, error: event.message });
      case 'credentials-accepted':
        if (!states.change(`credentials ${upstream}`, 'accepted', 'accepted')) return;
        return log.info('credentials accepted', { upstream });
      default:
        countSpent(metrics, label, event);
        return reportBudget(log, states, event, reserveOf(upstream));
    }
  };
}

type RateLimitEvent = Extract<UpstreamEvent, { kind: 'ratelimit' }>;

/** Both are there from the first that is said of a limit, so that a rate needs no second event. */
function countSpent(metrics: Metrics, label: { readonly upstream: string }, { limit, us, others }: RateLimitEvent): void {
  if (limit === undefined) return;
  metrics.count('entrepot_upstream_ratelimit_spent_total', { ...label, by: 'us' }, us);
  metrics.count('entrepot_upstream_ratelimit_spent_total', { ...label, by: 'others' }, others);
}

/** The official counter knows blobs and manifests only; lists and tokens are in `entrepot_upstream_bytes_total`. */
function countPulled(metrics: Metrics, event: Extract<UpstreamEvent, { kind: 'upstream-bytes' }>): void {
  const type = event.what;
  if (type === 'blob' || type === 'manifest') metrics.count('registry_proxy_pulled_bytes_total', { type }, event.bytes);
}

/** Low is also what a route keeps for misses: from there on it asks about no tag that is held. */
function reportBudget(log: Log, states: States, event: RateLimitEvent, reserve: number): void {
  const { upstream, limit, remaining, limited } = event;
  const thing = `budget ${upstream}`;
  if (limited || isBelow(event, LOW_SHARE, reserve)) {
    if (states.change(thing, 'low', 'enough')) log.warn('budget low', { upstream, limit, remaining, limited });
  } else if (limit !== undefined && !isBelow(event, 2 * LOW_SHARE, 2 * reserve)) {
    states.change(thing, 'enough', 'enough');
  }
}

/** Never above what the upstream grants: a reserve of more than that could never be reached again. */
function isBelow({ limit, remaining }: RateLimitEvent, share: number, pulls: number): boolean {
  return limit !== undefined && remaining !== undefined && remaining < Math.min(limit, Math.max(share * limit, pulls));
}
