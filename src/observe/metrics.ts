import { AggregatorRegistry, Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import { METRICS, type MetricDeclaration, type MetricName } from './metric-table.ts';
import type { MetricSources } from './sources.ts';
import { sampleSources } from './sources.ts';
import { createTally, TalliedHistogram, type Series, type Tally } from './tallies.ts';

type NamesOf<T extends MetricDeclaration['type']> = {
  [N in MetricName]: (typeof METRICS)[N]['type'] extends T ? N : never;
}[MetricName];

export type CounterName = NamesOf<'counter'>;
export type GaugeName = NamesOf<'gauge'>;
export type HistogramName = NamesOf<'histogram'>;

/** Exactly the labels that the table declares for the metric. */
export type LabelsOf<N extends MetricName> = Readonly<Record<(typeof METRICS)[N]['labels'][number], string>>;

/** The metrics of one process. Names, types and labels are those of metric-table.ts, checked by the compiler. */
export interface Metrics {
  count<N extends CounterName>(name: N, labels: LabelsOf<N>, amount?: number): void;
  set<N extends GaugeName>(name: N, labels: LabelsOf<N>, value: number): void;
  add<N extends GaugeName>(name: N, labels: LabelsOf<N>, change: number): void;
  /** Seconds or bytes, as the name says. */
  record<N extends HistogramName>(name: N, labels: LabelsOf<N>, value: number): void;
  /** The same of one series, found once: for what each hit counts, since to look a series up costs more than to count. */
  counting<N extends CounterName | GaugeName>(name: N, labels: LabelsOf<N>): (amount: number) => void;
  recording<N extends HistogramName>(name: N, labels: LabelsOf<N>): (value: number) => void;
  /** Hands over what is looked at whenever somebody scrapes; later calls add to earlier ones. */
  attach(sources: MetricSources): void;
  /** The exposition that Prometheus scrapes, and its Content-Type. Never rejects for a source that fails. */
  text(): Promise<string>;
  /** The same as data: one process's share of a server that is several. Never rejects for a source that fails. */
  share(): Promise<Share>;
  readonly contentType: string;
}

/** What one process has to tell, for {@link textOfShares}. */
export type Share = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** One exposition of what several processes have to tell; the first is believed where all see the same. */
export function textOfShares(shares: readonly Share[]): Promise<string> {
  return AggregatorRegistry.aggregate([...shares]).metrics();
}

export interface MetricsOptions {
  readonly version: string;
  /** Node's own, by prom-client. */
  readonly processMetrics: boolean;
}

/** A registry of its own, so that two servers in one process (tests) do not meet. */
export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  const { gauges, histograms, tallies } = declareAll(registry);
  const sources: MetricSources[] = [];
  const sample = async (): Promise<void> => {
    for (const tally of tallies.values()) tally.flush();
    for (const one of sources) await sampleSources(one, metrics, (name) => forget(name, gauges.get(name)));
  };
  const metrics: Metrics = {
    count: (name, labels, amount = 1) => tallies.get(name)?.add(labels, amount),
    set(name, labels, value) {
      tallies.get(name)?.flush();
      gauges.get(name)?.set({ ...labels }, value);
    },
    add: (name, labels, change) => tallies.get(name)?.add(labels, change),
    record: (name, labels, value) => histograms.get(name)?.record(labels, value),
    counting(name, labels) {
      const sum = tallies.get(name)?.of(labels);
      return (amount) => sum?.add(amount);
    },
    recording(name, labels) {
      // Not before there is a value: a series is shown from then on.
      let series: Series | undefined;
      return (value) => (series ??= histograms.get(name)?.of(labels))?.record(value);
    },
    attach: (added) => void sources.push(added),
    async text() {
      await sample();
      return registry.metrics();
    },
    async share() {
      await sample();
      return registry.getMetricsAsJSON();
    },
    contentType: registry.contentType,
  };
  if (options.processMetrics) collectDefaultMetrics({ register: registry });
  metrics.set('entrepot_build_info', { version: options.version }, 1);
  startAtZero(metrics);
  return metrics;
}

function declareAll(registry: Registry) {
  const gauges = new Map<MetricName, Gauge>();
  const histograms = new Map<MetricName, TalliedHistogram>();
  const tallies = new Map<MetricName, Tally>();
  for (const [name, declaration] of Object.entries(METRICS) as [MetricName, MetricDeclaration][]) {
    const options = {
      name,
      help: declaration.help,
      labelNames: [...declaration.labels],
      registers: [registry],
    };
    if (declaration.type === 'histogram') {
      histograms.set(name, new TalliedHistogram({ ...options, buckets: [...(declaration.buckets ?? [])] }));
      continue;
    }
    const gauge = declaration.type === 'gauge' ? new Gauge({ ...options, aggregator: declaration.over ?? 'first' }) : undefined;
    if (gauge !== undefined) gauges.set(name, forget(name, gauge));
    tallies.set(name, createTally(gauge ?? new Counter(options), declaration.labels));
  }
  return { gauges, histograms, tallies };
}

/** Empties a gauge. prom-client shows one without labels as 0 until it is set, which would claim an empty disk: show nothing. */
function forget<T extends Gauge | undefined>(name: MetricName, gauge: T): T {
  gauge?.reset();
  if (METRICS[name].labels.length === 0) gauge?.remove();
  return gauge;
}

/** The official names are there at 0 from the start, so that rates need no first event. */
function startAtZero(metrics: Metrics): void {
  for (const type of ['blob', 'manifest']) {
    metrics.count('registry_proxy_requests_total', { type }, 0);
    metrics.count('registry_proxy_hits_total', { type }, 0);
    metrics.count('registry_proxy_misses_total', { type }, 0);
    metrics.count('registry_proxy_pulled_bytes_total', { type }, 0);
    metrics.count('registry_proxy_pushed_bytes_total', { type }, 0);
  }
  for (const outcome of ['done', 'failed', 'bypass', 'parked']) metrics.count('entrepot_fills_total', { outcome }, 0);
  for (const reason of ['storage', 'metadata']) metrics.set('entrepot_degraded', { reason }, 0);
  metrics.set('entrepot_fills_running', {}, 0);
  metrics.set('entrepot_fill_followers', {}, 0);
  metrics.set('entrepot_config_last_reload_successful', {}, 1);
}
