import type { CollectEvent } from './events.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** A dry run is logged, and is no success of the task. */
export function reportCollect(log: Log, metrics: Metrics): (event: CollectEvent) => void {
  return ({ dryRun, at, ms, repositories, unreadable, tags, manifests, links, blobs, bytes, uploads }) => {
    const counts = { repositories, tags, manifests, links, blobs, bytes, uploads, ms };
    if (!dryRun) metrics.set('entrepot_task_last_success_timestamp_seconds', { task: 'collect' }, at / 1000);
    const record = { ...counts, unreadable, ...(dryRun ? { dryrun: true } : {}) };
    // What cannot be read keeps all of its repository: somebody has to mend it.
    if (unreadable > 0) return log.warn('collected', record);
    return log.info('collected', record);
  };
}
