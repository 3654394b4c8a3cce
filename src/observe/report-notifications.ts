import { STATUS_CODES } from 'node:http';
import type { NotificationEvent } from './events.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { States } from './states.ts';

/** Counted as the official registry counts; a receiver is said to fail once, until it accepts something again. */
export function reportNotifications(log: Log, metrics: Metrics, states: States): (event: NotificationEvent) => void {
  const count = (type: string, endpoint: string, amount = 1): void =>
    metrics.count('registry_notifications_events_total', { type, endpoint }, amount);
  const fails = (endpoint: string, why: Readonly<Record<string, unknown>>): void => {
    if (states.change(`notifications ${endpoint}`, 'fail', 'arrive')) log.warn('notifications fail', { endpoint, ...why });
  };
  const arrives = (endpoint: string): void => {
    states.change(`notifications dropped ${endpoint}`, 'no', 'no');
    if (states.change(`notifications ${endpoint}`, 'arrive', 'arrive')) log.info('notifications arrive', { endpoint });
  };

  return (event) => {
    switch (event.kind) {
      case 'notifications-taken':
        return count('Events', event.endpoint, event.count);
      case 'notifications-dropped': {
        const { endpoint } = event;
        count('Dropped', endpoint, event.count);
        if (!states.change(`notifications dropped ${endpoint}`, 'yes', 'no')) return;
        return log.error('notifications dropped', { endpoint, why: 'too many wait for this receiver: the oldest are lost' });
      }
      case 'notification-answered': {
        const { endpoint, status, accepted } = event;
        const code = `${status} ${STATUS_CODES[status] ?? ''}`.trim();
        metrics.count('registry_notifications_status_total', { code, endpoint });
        count(accepted ? 'Successes' : 'Failures', endpoint);
        return accepted ? arrives(endpoint) : fails(endpoint, { status });
      }
      case 'notification-unanswered':
        count('Errors', event.endpoint);
        return fails(event.endpoint, { error: event.error });
      default:
        // Of the store itself others say when it is down and up.
        return log.debug('notifications wait for the metadata', { error: event.error });
    }
  };
}
