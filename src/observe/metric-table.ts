/** Every metric that we export, by name: the contract's list ("Metrics"), as far as its subject exists. */
export interface MetricDeclaration {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Of a histogram: the upper bounds. */
  readonly buckets?: readonly number[];
  /** Of a gauge. */
  readonly over?: Over;
}

/**
 * What the shares of several worker processes are together. What each has some of is summed; of what they all see (`first`), whoever
 * does for all what one does looks best; of a state the one that somebody has to know counts.
 */
export type Over = 'sum' | 'first' | 'min' | 'max';

/** Seconds: from an answer out of memory to a blob over a slow line. */
const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** Seconds of one look-up in the embedded store (microseconds) up to a Redis that hangs. */
const SHORT_SECONDS = [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1];
const BYTES = [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/** The official registry's: its dashboards and alerts keep working. */
const OFFICIAL = {
  registry_proxy_requests_total: counter('Requests for blobs and manifests that were answered: hits and misses.', ['type']),
  registry_proxy_hits_total: counter('Requests answered from what is held.', ['type']),
  registry_proxy_misses_total: counter('Requests that needed an upstream.', ['type']),
  registry_proxy_pulled_bytes_total: counter('Bytes taken from upstreams.', ['type']),
  registry_proxy_pushed_bytes_total: counter('Bytes sent to clients.', ['type']),
  registry_http_requests_total: counter('HTTP requests.', ['code', 'handler', 'method']),
  registry_http_in_flight_requests: gauge('HTTP requests being answered now.', ['handler'], 'sum'),
  registry_http_request_duration_seconds: histogram('Time to the end of the answer.', ['handler', 'method'], SECONDS),
  registry_http_response_size_bytes: histogram('Size of the answers.', ['handler'], BYTES),
  registry_notifications_events_total: counter(
    'Notifications: `Events` taken up, `Successes`, `Failures` by an answer, `Errors` without one, and `Dropped`.',
    ['type', 'endpoint'],
  ),
  registry_notifications_status_total: counter('Answers of receivers of notifications.', ['code', 'endpoint']),
  registry_notifications_pending_total: gauge('Notifications that wait to be delivered.', ['endpoint']),
  registry_storage_action_seconds: histogram('Time of one action on the blob store.', ['driver', 'action'], SECONDS),
} as const satisfies Readonly<Record<string, MetricDeclaration>>;

const OURS = {
  entrepot_requests_total: counter('Requests for blobs and manifests, by how they were answered.', [
    'type',
    'route',
    'registry',
    'outcome',
  ]),
  entrepot_request_seconds: histogram('Time to the first byte of the answer.', ['type', 'outcome'], SECONDS),
  entrepot_response_bytes_total: counter('Bytes of blobs and manifests sent to clients.', ['type', 'route', 'outcome']),
  entrepot_auth_total: counter('Times that somebody said who they are.', ['kind', 'result']),
  entrepot_denied_total: counter('Requests that were refused.', ['action', 'reason']),

  entrepot_upstream_requests_total: counter('HTTP exchanges with an upstream.', ['upstream', 'kind', 'status']),
  entrepot_upstream_errors_total: counter('Exchanges and bodies that failed.', ['upstream', 'reason']),
  entrepot_upstream_seconds: histogram("Time to the headers of an upstream's answer.", ['upstream', 'kind'], SECONDS),
  entrepot_upstream_bytes_total: counter('Bytes of bodies taken from an upstream.', ['upstream']),
  entrepot_upstream_up: gauge('0 while the breaker of an upstream is open.', ['upstream'], 'min'),
  entrepot_upstream_credentials_valid: gauge('0 while an upstream refuses our credentials.', ['upstream'], 'min'),
  entrepot_upstream_ratelimit_limit: gauge('Pulls that an upstream grants in its period.', ['upstream'], 'max'),
  entrepot_upstream_ratelimit_remaining: gauge('Pulls that an upstream still grants.', ['upstream'], 'min'),
  entrepot_upstream_ratelimit_spent_total: counter(
    'Pulls spent of what an upstream grants: by us, and by others behind the same account or address.',
    ['upstream', 'by'],
  ),
  entrepot_upstream_resumes_total: counter('Bodies that broke and were gone on with.', ['upstream']),

  entrepot_fills_running: gauge('Downloads that run now.', [], 'sum'),
  entrepot_fills_total: counter('Downloads that ended.', ['outcome']),
  entrepot_fill_followers: gauge('Readers that joined a running download, now.', [], 'sum'),
  entrepot_verify_failures_total: counter('Bytes that did not hash to their digest; `disk`: when they were read again.', [
    'upstream',
  ]),

  entrepot_storage_bytes: gauge('Bytes held on disk.', ['kind']),
  entrepot_storage_blobs: gauge('Objects held on disk.', ['kind']),
  entrepot_cache_max_bytes: gauge('`cache.maxsize`; absent where there is none.', []),
  entrepot_evictions_total: counter('Cached blobs and manifests that were evicted.', []),
  entrepot_evicted_bytes_total: counter('Bytes of what was evicted.', []),
  entrepot_eviction_age_seconds: gauge(
    'Time since its last use of what went last to make room: a cache that evicts what was used lately is too small.',
    [],
    'min',
  ),
  entrepot_disk_free_bytes: gauge('Bytes that may still be written to the disk of the blobs.', []),
  entrepot_bypass_total: counter('Requests and fills that went past the cache.', ['reason']),
  entrepot_degraded: gauge('1 while this trouble lasts; pulls pass through.', ['reason'], 'max'),

  entrepot_metadata_up: gauge('0 while the metadata store does not answer.', [], 'min'),
  entrepot_metadata_seconds: histogram('Time of one operation of the metadata store.', ['op'], SHORT_SECONDS),

  entrepot_task_last_success_timestamp_seconds: gauge('When a task last ended well.', ['task'], 'max'),
  entrepot_certificate_expiry_timestamp_seconds: gauge('When a certificate of this server runs out.', ['name'], 'min'),
  entrepot_config_last_reload_successful: gauge('0 after a reload that was refused.', [], 'min'),
  entrepot_clients: gauge('Clients that asked for something within the last hour.', ['kind']),
  entrepot_buffers_bytes: gauge('Memory of the buffers that bodies are sent from.', [], 'sum'),
  entrepot_build_info: gauge('1, with the version as a label.', ['version']),
} as const satisfies Readonly<Record<string, MetricDeclaration>>;

export const METRICS = { ...OFFICIAL, ...OURS } as const;

export type MetricName = keyof typeof METRICS;

function counter<const L extends readonly string[]>(help: string, labels: L) {
  return { type: 'counter', help, labels } as const;
}

function gauge<const L extends readonly string[]>(help: string, labels: L, over: Over = 'first') {
  return { type: 'gauge', help, labels, over } as const;
}

function histogram<const L extends readonly string[]>(help: string, labels: L, buckets: readonly number[]) {
  return { type: 'histogram', help, labels, buckets } as const;
}
