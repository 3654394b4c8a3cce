import type { UpstreamEvent } from './events.ts';
import type { Labels } from './labels.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { States } from './states.ts';

/** A budget is low below this share of its limit, and no longer so above twice that. */
const LOW_SHARE = 0.1;

export function reportUpstream(log: Log, metrics: Metrics, labels: Labels, states: States): (event: UpstreamEvent) => void {
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
        return reportBudget(log, states, event);
    }
  };
}

/** The official counter knows blobs and manifests only; lists and tokens are in `entrepot_upstream_bytes_total`. */
function countPulled(metrics: Metrics, event: Extract<UpstreamEvent, { kind: 'upstream-bytes' }>): void {
  const type = event.what;
  if (type === 'blob' || type === 'manifest') metrics.count('registry_proxy_pulled_bytes_total', { type }, event.bytes);
}

function reportBudget(log: Log, states: States, event: Extract<UpstreamEvent, { kind: 'ratelimit' }>): void {
  const { upstream, limit, remaining, limited } = event;
  const share = limit === undefined || remaining === undefined || limit <= 0 ? undefined : remaining / limit;
  const thing = `budget ${upstream}`;
  if (limited || (share !== undefined && share < LOW_SHARE)) {
    if (states.change(thing, 'low', 'enough')) log.warn('budget low', { upstream, limit, remaining, limited });
  } else if (share !== undefined && share > 2 * LOW_SHARE) {
    states.change(thing, 'enough', 'enough');
  }
}
