import { expect, test } from 'vitest';
import { createMetrics } from '../../../src/observe/metrics.ts';
import { createReporter } from '../../../src/observe/report.ts';
import { recordingLog } from './recorder.ts';

function reporter() {
  const { log, records } = recordingLog({ level: 'info' });
  const metrics = createMetrics({ version: '0', processMetrics: false });
  const known = { registries: () => new Set<string>(), upstreams: () => new Set<string>() };
  return { report: createReporter({ log, metrics, known, accesslog: () => false }), records, metrics };
}

test('notifications are counted as the official registry counts them', async () => {
  const { report, metrics } = reporter();
  report({ kind: 'notifications-taken', endpoint: 'ci', count: 2 });
  report({ kind: 'notification-answered', endpoint: 'ci', status: 200, accepted: true });
  report({ kind: 'notification-answered', endpoint: 'ci', status: 503, accepted: false });
  report({ kind: 'notification-answered', endpoint: 'ci', status: 599, accepted: false });
  report({ kind: 'notification-unanswered', endpoint: 'ci', error: new Error('late') });
  report({ kind: 'notifications-dropped', endpoint: 'ci', count: 7 });
  metrics.attach({ notifications: () => new Map([['ci', 5]]) });
  const text = await metrics.text();
  for (const [type, count] of Object.entries({ Events: 2, Successes: 1, Failures: 2, Errors: 1, Dropped: 7 })) {
    expect(text).toContain(`\nregistry_notifications_events_total{type="${type}",endpoint="ci"} ${count}\n`);
  }
  expect(text).toContain('\nregistry_notifications_status_total{code="200 OK",endpoint="ci"} 1\n');
  expect(text).toContain('\nregistry_notifications_status_total{code="503 Service Unavailable",endpoint="ci"} 1\n');
  expect(text).toContain('\nregistry_notifications_status_total{code="599",endpoint="ci"} 1\n');
  expect(text).toContain('\nregistry_notifications_pending_total{endpoint="ci"} 5\n');
});

test('a receiver is said to fail once, to be back once, and a loss is an error', () => {
  const { report, records } = reporter();
  const fail = { kind: 'notification-unanswered', endpoint: 'ci', error: new Error('ECONNREFUSED') } as const;
  const arrive = { kind: 'notification-answered', endpoint: 'ci', status: 202, accepted: true } as const;
  const drop = { kind: 'notifications-dropped', endpoint: 'ci', count: 1 } as const;
  for (const event of [arrive, fail, fail, drop, drop, arrive, arrive, fail, drop]) report(event);
  expect(records().map(({ level, msg, endpoint }) => [level, msg, endpoint])).toEqual([
    ['warn', 'notifications fail', 'ci'],
    ['error', 'notifications dropped', 'ci'],
    ['info', 'notifications arrive', 'ci'],
    ['warn', 'notifications fail', 'ci'],
    ['error', 'notifications dropped', 'ci'],
  ]);
});
