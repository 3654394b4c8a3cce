/** One metric of one process, as prom-client's `getMetricsAsJSON` has it. */
export interface MetricShare {
  readonly name: string;
  readonly help: string;
  readonly type: unknown;
  /** How the shares of several processes become one: `sum`, `first`, `min`, `max`, `average`, `omit`. */
  readonly aggregator: string;
  readonly values: readonly {
    readonly value: number;
    readonly labels: Readonly<Record<string, string | number>>;
    readonly metricName?: string;
  }[];
}

/**
 * What processes that have ended had counted, added up: counters and histograms alone. Whoever sums a server's metrics adds
 * these, since a sum that got less would look as if all had begun anew.
 */
export function addCounted(shares: readonly (readonly MetricShare[])[]): readonly MetricShare[] {
  const sums = new Map<string, MetricShare>();
  for (const metric of shares.flat()) {
    if (metric.type !== 'counter' && metric.type !== 'histogram') continue;
    const before = sums.get(metric.name);
    sums.set(metric.name, before === undefined ? metric : { ...metric, values: addValues(before.values, metric.values) });
  }
  return [...sums.values()];
}

function addValues(one: MetricShare['values'], other: MetricShare['values']): MetricShare['values'] {
  const sums = new Map<string, MetricShare['values'][number]>();
  for (const value of [...one, ...other]) {
    const labels = Object.entries(value.labels).toSorted(([left], [right]) => (left < right ? -1 : 1));
    const key = JSON.stringify([value.metricName, labels]);
    sums.set(key, { ...value, value: (sums.get(key)?.value ?? 0) + value.value });
  }
  return [...sums.values()];
}
