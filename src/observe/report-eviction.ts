import type { EvictionEvent } from './events.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { States } from './states.ts';

/** Totals, once a round: what one repository lost is nobody's news. Limits that cannot be held are said once. */
export function reportEviction(log: Log, metrics: Metrics, states: States): (event: EvictionEvent) => void {
  /** Said when it begins; what ends it is a round that removed something. */
  const failing = (to: 'yes' | 'no'): boolean => states.change('evicting fails', to, 'no');
  return (event) => {
    if (event.kind === 'evict-failed') {
      if (failing('yes')) log.error('evicting failed', { error: event.error });
      return;
    }
    if (event.kind === 'evict-stuck') {
      if (states.change('cache limits', 'passed', 'held'))
        log.warn('cache over its limits', { bytes: event.bytes, files: event.files, why: STUCK });
      return;
    }
    const { why, at, blobs, bytes, idleMs, ms } = event;
    metrics.count('entrepot_evictions_total', {}, blobs);
    metrics.count('entrepot_evicted_bytes_total', {}, bytes);
    metrics.set('entrepot_task_last_success_timestamp_seconds', { task: 'evict' }, at / 1000);
    // What was asked for, or was too old, says nothing about the size of the cache.
    if (why === 'limit') metrics.set('entrepot_eviction_age_seconds', {}, idleMs / 1000);
    failing('no');
    if (why === 'limit') states.change('cache limits', 'held', 'held');
    log.info('evicting', { why, blobs, bytes, idle_s: Math.round(idleMs / 1000), ms });
  };
}

const STUCK =
  "what is left is in use, pinned, hosted, served offline, or not the cache's: pulls of what finds no room pass through uncached";
