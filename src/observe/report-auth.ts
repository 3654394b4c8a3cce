import type { AuthEvent } from './events.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** Who signed in and who was refused, counted; and what became of the file of passwords. */
export function reportAuth(log: Log, metrics: Metrics): (event: AuthEvent) => void {
  return (event) => {
    switch (event.kind) {
      case 'sign-in':
        return metrics.count('entrepot_auth_total', { kind: event.way, result: event.result });
      case 'denied':
        return metrics.count('entrepot_denied_total', { action: event.action, reason: event.reason });
      case 'htpasswd-read': {
        const { path, users, warnings } = event;
        log.info('htpasswd read', { path, users });
        for (const warning of warnings) log.warn('htpasswd', { warning });
        return undefined;
      }
      default:
        return log.error('htpasswd wrong', {
          path: event.path,
          faults: event.faults,
          next: 'what it said before stays in force',
        });
    }
  };
}
