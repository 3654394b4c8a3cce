import { Histogram, type Counter, type Gauge, type HistogramConfiguration } from 'prom-client';

type Labels = Readonly<Record<string, string>>;

/** Names a series among those of one metric. */
function keyOf(names: readonly string[], labels: Labels): string {
  let key = '';
  for (const name of names) key += `${labels[name]}\0`;
  return key;
}

/** What is added to a counter or a gauge, summed up until somebody looks. */
export interface Tally {
  add(labels: Labels, amount: number): void;
  /** The sum of one series, good for as long as the tally. */
  of(labels: Labels): Sum;
  /** Tells the metric of it. */
  flush(): void;
}

/** What has come to one series since the metric was told of it. */
class Sum {
  readonly #labels: Labels;
  #amount = 0;
  #isNew = false;

  constructor(labels: Labels) {
    this.#labels = { ...labels };
  }

  add(amount: number): void {
    this.#amount += amount;
    this.#isNew = true;
  }

  tell(metric: Pick<Counter | Gauge, 'inc'>): void {
    if (!this.#isNew) return;
    metric.inc({ ...this.#labels }, this.#amount);
    this.#amount = 0;
    this.#isNew = false;
  }
}

/** prom-client looks at the labels of each call, names and values, which costs more than all the rest of counting. */
export function createTally(metric: Pick<Counter | Gauge, 'inc'>, names: readonly string[]): Tally {
  const sums = new Map<string, Sum>();
  const of = (labels: Labels): Sum => {
    const key = keyOf(names, labels);
    let sum = sums.get(key);
    if (sum === undefined) sums.set(key, (sum = new Sum(labels)));
    return sum;
  };
  return {
    add: (labels, amount) => of(labels).add(amount),
    of,
    flush() {
      for (const sum of sums.values()) sum.tell(metric);
    },
  };
}

/** One series of a histogram. */
export class Series {
  readonly labels: Labels;
  /** By bucket, the last of them without bound. */
  readonly counts: Float64Array;
  readonly #bounds: readonly number[];
  sum = 0;

  constructor(labels: Labels, bounds: readonly number[]) {
    this.labels = { ...labels };
    this.counts = new Float64Array(bounds.length + 1);
    this.#bounds = bounds;
  }

  record(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? 0)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sum += value;
  }
}

/** What prom-client makes its lines of. */
interface Exposed {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator: string;
  readonly values: readonly Line[];
}

interface Line {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly sharedLabels: Labels;
  readonly value: number;
}

/** A histogram that keeps its own series, for the same reason. */
export class TalliedHistogram extends Histogram {
  readonly #name: string;
  readonly #labels: readonly string[];
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  constructor(options: HistogramConfiguration<string> & { readonly labelNames: string[]; readonly buckets: number[] }) {
    super(options);
    this.#name = options.name;
    this.#labels = options.labelNames;
    this.#bounds = options.buckets;
    // prom-client shows one without labels from the start.
    if (this.#labels.length === 0) this.of({});
  }

  record(labels: Labels, value: number): void {
    this.of(labels).record(value);
  }

  /** One series, good for as long as the histogram. */
  of(labels: Labels): Series {
    const key = keyOf(this.#labels, labels);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const made = new Series(labels, this.#bounds);
    this.#series.set(key, made);
    return made;
  }

  /** prom-client asks for it in `get` too, and puts `sharedLabels` to the others there. */
  async getForPromString(): Promise<Exposed> {
    const { name, help, type, aggregator } = this as unknown as Exposed;
    const values = [...this.#series.values()].flatMap((series) => this.#lines(series));
    return { name, help, type, aggregator, values };
  }

  #lines({ labels: sharedLabels, counts, sum }: Series): readonly Line[] {
    let count = 0;
    const buckets = Array.from(counts, (more, at) => {
      count += more;
      return { metricName: `${this.#name}_bucket`, labels: { le: this.#bounds[at] ?? '+Inf' }, sharedLabels, value: count };
    });
    return [
      ...buckets,
      { metricName: `${this.#name}_sum`, labels: {}, sharedLabels, value: sum },
      { metricName: `${this.#name}_count`, labels: {}, sharedLabels, value: count },
    ];
  }
}
