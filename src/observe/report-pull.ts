import type { PullEvent, PushEvent } from './events.ts';
import type { Labels } from './labels.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { States } from './states.ts';

type ReportPull = (event: PullEvent | Extract<PushEvent, { kind: 'push-failed' }>) => void;

export function reportPull(log: Log, metrics: Metrics, labels: Labels, states: States): ReportPull {
  const trouble = createTrouble(log, metrics, states);
  return (event) => {
    switch (event.kind) {
      case 'fill-started':
        metrics.add('entrepot_fills_running', {}, 1);
        return log.debug('fill started', { registry: event.registry, digest: event.digest });
      case 'fill-ended': {
        const { registry, digest, outcome, bytes, ms } = event;
        metrics.add('entrepot_fills_running', {}, -1);
        metrics.count('entrepot_fills_total', { outcome });
        return log.debug('fill ended', { registry, digest, outcome, bytes, ms: Math.round(ms) });
      }
      case 'fill-followers':
        return metrics.set('entrepot_fill_followers', {}, event.count);
      case 'resumed':
        metrics.count('entrepot_upstream_resumes_total', {
          upstream: labels.upstream(event.upstream),
        });
        return log.debug('resumed', {
          upstream: event.upstream,
          digest: event.digest,
          from: event.from,
        });
      case 'verify-failed':
        metrics.count('entrepot_verify_failures_total', {
          upstream: labels.upstream(event.upstream),
        });
        return log.error('verify failed', {
          upstream: event.upstream,
          digest: event.digest,
          whole: event.whole,
        });
      case 'quarantined':
        metrics.count('entrepot_verify_failures_total', { upstream: 'disk' });
        return log.error('quarantined', { digest: event.digest, why: event.why });
      case 'tag-moved':
        return log.info('tag moved', {
          repository: event.repository,
          tag: event.tag,
          from: event.from,
          to: event.to,
        });
      case 'bypass':
        metrics.count('entrepot_bypass_total', { reason: event.reason });
        return event.reason === 'room' ? undefined : trouble.met(event.reason, event.error);
      case 'push-failed':
      case 'degraded':
        return trouble.met(event.reason, event.error);
      case 'recovered':
        return trouble.ended(event.reason);
      default:
        return trouble.over();
    }
  };
}

/** Full disks say one of these; everything else that a disk says is trouble of another kind. */
const FULL = new Set(['ENOSPC', 'EDQUOT']);

/** What keeps us from keeping: said when it begins and when something was kept again. */
function createTrouble(log: Log, metrics: Metrics, states: States) {
  const end = (reason: 'storage' | 'metadata' | 'audit'): void => {
    metrics.set('entrepot_degraded', { reason }, 0);
    if (states.change(`degraded ${reason}`, 'no', 'no')) log.info('recovered', { reason });
  };
  return {
    met(reason: 'storage' | 'metadata' | 'audit', error: unknown): void {
      metrics.set('entrepot_degraded', { reason }, 1);
      if (reason === 'storage' && FULL.has(codeOf(error))) {
        if (states.change('disk', 'full', 'ok')) log.error('disk full', { error });
      } else if (states.change(`degraded ${reason}`, 'yes', 'no')) log.error('degraded', { reason, error });
    },
    ended(reason: 'storage' | 'metadata' | 'audit'): void {
      if (reason === 'storage' && states.change('disk', 'ok', 'ok')) log.info('disk ok');
      end(reason);
    },
    over(): void {
      this.ended('storage');
      this.ended('metadata');
    },
  };
}

/** Node's `code` of an error or of the first cause that has one. */
function codeOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return at.code;
  }
  return '';
}
