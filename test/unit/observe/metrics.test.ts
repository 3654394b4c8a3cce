import { describe, expect, test } from 'vitest';
import { METRICS } from '../../../src/observe/metric-table.ts';
import { createMetrics } from '../../../src/observe/metrics.ts';

/** The contract's list ("Metrics"), word for word. */
const CONTRACT = [
  'registry_proxy_requests_total',
  'registry_proxy_hits_total',
  'registry_proxy_misses_total',
  'registry_proxy_pulled_bytes_total',
  'registry_proxy_pushed_bytes_total',
  'registry_http_requests_total',
  'registry_http_in_flight_requests',
  'registry_http_request_duration_seconds',
  'registry_http_response_size_bytes',
  'registry_notifications_events_total',
  'registry_notifications_pending_total',
  'registry_notifications_status_total',
  'registry_storage_action_seconds',
  'entrepot_requests_total',
  'entrepot_request_seconds',
  'entrepot_response_bytes_total',
  'entrepot_upstream_requests_total',
  'entrepot_upstream_errors_total',
  'entrepot_upstream_seconds',
  'entrepot_upstream_bytes_total',
  'entrepot_upstream_up',
  'entrepot_upstream_credentials_valid',
  'entrepot_upstream_ratelimit_limit',
  'entrepot_upstream_ratelimit_remaining',
  'entrepot_upstream_ratelimit_spent_total',
  'entrepot_upstream_resumes_total',
  'entrepot_fills_running',
  'entrepot_fills_total',
  'entrepot_fill_followers',
  'entrepot_verify_failures_total',
  'entrepot_storage_bytes',
  'entrepot_storage_blobs',
  'entrepot_cache_max_bytes',
  'entrepot_disk_free_bytes',
  'entrepot_bypass_total',
  'entrepot_degraded',
  'entrepot_evictions_total',
  'entrepot_evicted_bytes_total',
  'entrepot_eviction_age_seconds',
  'entrepot_metadata_up',
  'entrepot_metadata_seconds',
  'entrepot_auth_total',
  'entrepot_denied_total',
  'entrepot_task_last_success_timestamp_seconds',
  'entrepot_certificate_expiry_timestamp_seconds',
  'entrepot_config_last_reload_successful',
  'entrepot_clients',
  'entrepot_buffers_bytes',
  'entrepot_build_info',
];

const LABELS: Readonly<Record<string, readonly string[]>> = {
  entrepot_requests_total: ['type', 'route', 'registry', 'outcome'],
  entrepot_request_seconds: ['type', 'outcome'],
  entrepot_response_bytes_total: ['type', 'route', 'outcome'],
  entrepot_upstream_requests_total: ['upstream', 'kind', 'status'],
  entrepot_upstream_errors_total: ['upstream', 'reason'],
  entrepot_upstream_seconds: ['upstream', 'kind'],
  entrepot_fills_total: ['outcome'],
  entrepot_storage_bytes: ['kind'],
  entrepot_auth_total: ['kind', 'result'],
  entrepot_certificate_expiry_timestamp_seconds: ['name'],
  entrepot_denied_total: ['action', 'reason'],
  registry_proxy_requests_total: ['type'],
  registry_notifications_events_total: ['type', 'endpoint'],
  registry_notifications_pending_total: ['endpoint'],
  registry_notifications_status_total: ['code', 'endpoint'],
};

const SOURCES = { version: '1.2.3', processMetrics: false };

describe('metrics', () => {
  test('the names are the contract’s', () => {
    expect(Object.keys(METRICS).sort()).toEqual([...CONTRACT].sort());
  });

  test.each(Object.entries(LABELS))('the labels of %s', (name, labels) => {
    expect(METRICS[name as keyof typeof METRICS].labels).toEqual(labels);
  });

  test('no metric has a repository or a digest for a label', () => {
    for (const { labels } of Object.values(METRICS)) {
      expect(labels).not.toContain('repository');
      expect(labels).not.toContain('digest');
    }
  });

  test('the official counters stand at 0 from the start', async () => {
    const text = await createMetrics(SOURCES).text();
    for (const name of ['requests', 'hits', 'misses', 'pulled_bytes', 'pushed_bytes']) {
      for (const type of ['blob', 'manifest']) expect(text).toContain(`\nregistry_proxy_${name}_total{type="${type}"} 0\n`);
    }
    expect(text).toContain('entrepot_build_info{version="1.2.3"} 1');
  });

  test('what nobody measured is not shown as 0', async () => {
    const text = await createMetrics(SOURCES).text();
    for (const name of ['entrepot_disk_free_bytes', 'entrepot_metadata_up', 'entrepot_buffers_bytes']) {
      expect(text).not.toMatch(new RegExp(`^${name} `, 'm'));
    }
  });

  test('sources are looked at when somebody scrapes; what has gone is not shown for ever', async () => {
    const metrics = createMetrics(SOURCES);
    let upstreams = [{ name: 'hub', up: false, credentialsValid: true, rateLimit: { limit: 100, remaining: 7 } }];
    metrics.attach({ upstreams: () => upstreams, diskFreeBytes: () => 5, clients: () => new Map([['docker', 2]]) });
    const before = await metrics.text();
    expect(before).toContain('entrepot_upstream_up{upstream="hub"} 0');
    expect(before).toContain('entrepot_upstream_credentials_valid{upstream="hub"} 1');
    expect(before).toContain('entrepot_upstream_ratelimit_remaining{upstream="hub"} 7');
    expect(before).toContain('entrepot_disk_free_bytes 5');
    expect(before).toContain('entrepot_clients{kind="docker"} 2');
    upstreams = [];
    expect(await metrics.text()).not.toContain('upstream="hub"');
  });

  test('the size of the cache is shown while there is one', async () => {
    const metrics = createMetrics(SOURCES);
    let max: number | undefined = 1_000_000;
    metrics.attach({ cacheMaxBytes: () => max });
    expect(await metrics.text()).toContain('entrepot_cache_max_bytes 1000000');
    max = undefined;
    expect(await metrics.text()).not.toMatch(/^entrepot_cache_max_bytes /m);
  });

  test('a source that fails leaves the others standing', async () => {
    const metrics = createMetrics(SOURCES);
    metrics.attach({ diskFreeBytes: () => Promise.reject(new Error('EIO')), buffersBytes: () => 3 });
    const text = await metrics.text();
    expect(text).not.toMatch(/^entrepot_disk_free_bytes /m);
    expect(text).toContain('entrepot_buffers_bytes 3');
  });

  test('[R58] Node’s own, the event loop’s lag among them, are there where asked for', async () => {
    const text = await createMetrics({ ...SOURCES, processMetrics: true }).text();
    expect(text).toContain('process_cpu_seconds_total');
    expect(text).toContain('nodejs_eventloop_lag_seconds');
  });
});

test('a series that was asked for and never counted in is not shown', async () => {
  const metrics = createMetrics(SOURCES);
  const record = metrics.recording('entrepot_metadata_seconds', { op: 'list' });
  const count = metrics.counting('entrepot_denied_total', { action: 'pull', reason: 'route' });
  const before = await metrics.text();
  expect([before.includes('op="list"'), before.includes('reason="route"')]).toEqual([false, false]);
  record(1);
  count(1);
  const after = await metrics.text();
  expect(after).toContain('entrepot_metadata_seconds_count{op="list"} 1');
  expect(after).toContain('entrepot_denied_total{action="pull",reason="route"} 1');
});
