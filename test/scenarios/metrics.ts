/** One reading of `/metrics`. */
export interface Metrics {
  /** The sum of all series of this name whose labels include these; 0 where there is none. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
  /** Names of the families that are there. */
  readonly names: ReadonlySet<string>;
}

export function readMetrics(text: string): Metrics {
  const series = text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(readLine);
  return {
    names: new Set(series.map(({ name }) => name)),
    sum: (name, labels = {}) =>
      series
        .filter((one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value))
        .reduce((total, one) => total + one.value, 0),
  };
}

interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

function readLine(line: string): Series {
  const match = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
  if (match === null) throw new Error(`no line of a metrics page: ${line}`);
  const labels = [...(match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = '', value = '']) => [key, value]);
  return { name: match[1]!, labels: Object.fromEntries(labels) as Record<string, string>, value: Number(match[3]) };
}
