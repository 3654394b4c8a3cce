import type { Metrics, GaugeName } from './metrics.ts';

/**
 * What is looked at when somebody scrapes, rather than counted as it happens. Each is optional: what nobody hands over is
 * not exported. A source that throws or rejects leaves its metric out of that scrape, which is what a scrape can say of it.
 */
export interface MetricSources {
  readonly diskFreeBytes?: () => MaybePromise<number>;
  readonly storage?: () => MaybePromise<readonly StoredAmount[]>;
  /** `undefined`: there is no limit. */
  readonly cacheMaxBytes?: () => number | undefined;
  readonly upstreams?: () => readonly UpstreamSample[];
  /** By client kind. */
  readonly clients?: () => ReadonlyMap<string, number>;
  readonly buffersBytes?: () => number;
  readonly metadataUp?: () => boolean;
  /** Notifications that wait, by endpoint. */
  readonly notifications?: () => MaybePromise<ReadonlyMap<string, number>>;
}

type MaybePromise<T> = T | Promise<T>;

export interface StoredAmount {
  readonly kind: 'cached' | 'hosted' | 'partial' | 'quarantine';
  readonly bytes: number;
  readonly blobs: number;
}

/** The part of an upstream's status that is exported. */
export interface UpstreamSample {
  readonly name: string;
  readonly up: boolean;
  /** `undefined` for anonymous upstreams and before the first sign-in: then not exported. */
  readonly credentialsValid: boolean | undefined;
  readonly rateLimit: { readonly limit: number; readonly remaining: number } | undefined;
}

/** Reads every source into its gauges. `reset` empties a gauge first, so that what has gone is not shown for ever. */
export async function sampleSources(sources: MetricSources, metrics: Metrics, reset: (name: GaugeName) => void): Promise<void> {
  const { diskFreeBytes, storage, cacheMaxBytes, upstreams, clients, buffersBytes, metadataUp, notifications } = sources;
  await sample(['entrepot_disk_free_bytes'], reset, diskFreeBytes, (bytes) => {
    metrics.set('entrepot_disk_free_bytes', {}, bytes);
  });
  await sample(['entrepot_storage_bytes', 'entrepot_storage_blobs'], reset, storage, (amounts) => {
    for (const { kind, bytes, blobs } of amounts) {
      metrics.set('entrepot_storage_bytes', { kind }, bytes);
      metrics.set('entrepot_storage_blobs', { kind }, blobs);
    }
  });
  await sample(['entrepot_cache_max_bytes'], reset, cacheMaxBytes, (bytes) => {
    if (bytes !== undefined) metrics.set('entrepot_cache_max_bytes', {}, bytes);
  });
  await sample(UPSTREAM_GAUGES, reset, upstreams, (samples) => {
    for (const one of samples) setUpstream(metrics, one);
  });
  await sample(['entrepot_clients'], reset, clients, (counts) => {
    for (const [kind, count] of counts) metrics.set('entrepot_clients', { kind }, count);
  });
  await sample(['entrepot_buffers_bytes'], reset, buffersBytes, (bytes) => metrics.set('entrepot_buffers_bytes', {}, bytes));
  await sample(['entrepot_metadata_up'], reset, metadataUp, (up) => metrics.set('entrepot_metadata_up', {}, up ? 1 : 0));
  await sample(['registry_notifications_pending_total'], reset, notifications, (counts) => {
    for (const [endpoint, count] of counts) metrics.set('registry_notifications_pending_total', { endpoint }, count);
  });
}

const UPSTREAM_GAUGES = [
  'entrepot_upstream_up',
  'entrepot_upstream_credentials_valid',
  'entrepot_upstream_ratelimit_limit',
  'entrepot_upstream_ratelimit_remaining',
] as const;

function setUpstream(metrics: Metrics, sampled: UpstreamSample): void {
  const labels = { upstream: sampled.name };
  metrics.set('entrepot_upstream_up', labels, sampled.up ? 1 : 0);
  if (sampled.credentialsValid !== undefined) {
    metrics.set('entrepot_upstream_credentials_valid', labels, sampled.credentialsValid ? 1 : 0);
  }
  if (sampled.rateLimit === undefined) return;
  metrics.set('entrepot_upstream_ratelimit_limit', labels, sampled.rateLimit.limit);
  metrics.set('entrepot_upstream_ratelimit_remaining', labels, sampled.rateLimit.remaining);
}

async function sample<T>(
  names: readonly GaugeName[],
  reset: (name: GaugeName) => void,
  source: (() => MaybePromise<T>) | undefined,
  put: (value: T) => void,
): Promise<void> {
  if (source === undefined) return;
  for (const name of names) reset(name);
  try {
    put(await source());
  } catch {
    // The gauge stays empty: a scrape that failed as a whole would hide everything else at the worst moment.
  }
}
