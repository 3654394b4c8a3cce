import type { ScrubReport } from './events.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** A round without repairs is logged, and is no success of the task. */
export function reportScrub(log: Log, metrics: Metrics): (event: ScrubReport) => void {
  const succeeded = (at: number): void =>
    metrics.set('entrepot_task_last_success_timestamp_seconds', { task: 'scrub' }, at / 1000);
  return (event) => {
    switch (event.kind) {
      case 'scrubbed-before':
        return succeeded(event.at);
      case 'scrub-failed':
        return log.error('scrub failed', { error: event.error });
      case 'scrubbed': {
        const { repair, at, ms, blobs, bytes, damaged, repaired, orphans } = event;
        if (repair) succeeded(at);
        const record = { blobs, bytes, damaged, repaired, orphans, ms, ...(repair ? {} : { repair: false }) };
        // What is damaged still needs somebody.
        return damaged > repaired ? log.error('scrubbed', record) : log.info('scrubbed', record);
      }
    }
  };
}
