import type { AdmissionEvent } from './events.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { States } from './states.ts';

/** What was said of content; and, once for each change, who cannot be asked. */
export function reportAdmission(log: Log, metrics: Metrics, states: States): (event: AdmissionEvent) => void {
  return (event) => {
    const { judge, fingerprint } = event;
    const thing = `judge ${judge} ${fingerprint}`;
    switch (event.kind) {
      case 'judged': {
        const { repository, digest, reason } = event;
        return event.admitted
          ? log.info('let in', { judge, repository, digest, reason })
          : log.warn('not let in', { judge, repository, digest, reason });
      }
      case 'judge-answers':
        metrics.set('entrepot_degraded', { reason: judge }, 0);
        states.change(`${thing} lets in`, 'no', 'no');
        return states.change(thing, 'up', 'up') ? log.info('judge up', { judge }) : undefined;
      case 'judge-failed':
        metrics.set('entrepot_degraded', { reason: judge }, 1);
        return states.change(thing, 'down', 'up') ? log.error('judge down', { judge, error: event.error }) : undefined;
      case 'let-in-anyway': {
        const { repository, digest } = event;
        if (!states.change(`${thing} lets in`, 'yes', 'no')) return undefined;
        return log.warn('let in unjudged', { judge, repository, digest, next: 'so is all else, until it can be asked' });
      }
    }
  };
}
