import { until } from './acceptance.ts';
import { createHttpClient, type GetOptions, type HttpClient, type Reply } from '../fakes/http-client.ts';
import { readMetrics, type Metrics } from './metrics.ts';

/** One record of the log. */
export type LogRecord = Readonly<Record<string, unknown>> & { readonly msg: string };

/** A server under test, in this process or in one of its own. */
export interface Running extends Pick<HttpClient, 'get' | 'head' | 'raw'> {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly debugUrl: string;
  readonly records: readonly LogRecord[];
  /** Resolves with the first record of this `msg` (that `fits`), written before or after the call. */
  logged(msg: string, fits?: (record: LogRecord) => boolean): Promise<LogRecord>;
  metrics(): Promise<Metrics>;
  /** Resolves when no fill runs: what was read whole has been published too. */
  settled(): Promise<void>;
  /** From the debug listener. */
  debug(path: string, options?: GetOptions): Promise<Reply>;
}

/** Collects what a server logs, line by line. */
export function createRecords(): {
  readonly records: LogRecord[];
  take(text: string): void;
  logged: Running['logged'];
} {
  const records: LogRecord[] = [];
  let rest = '';
  let waiting: { readonly fits: (record: LogRecord) => boolean; readonly resolve: (record: LogRecord) => void }[] = [];
  return {
    records,
    take(text) {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (!line.startsWith('{')) continue;
        const record = JSON.parse(line) as LogRecord;
        records.push(record);
        for (const { fits, resolve } of waiting) if (fits(record)) resolve(record);
        waiting = waiting.filter(({ fits }) => !fits(record));
      }
    },
    logged(msg, more = () => true) {
      const fits = (record: LogRecord): boolean => record.msg === msg && more(record);
      const found = records.find(fits);
      if (found !== undefined) return Promise.resolve(found);
      return new Promise((resolve) => waiting.push({ fits, resolve }));
    },
  };
}

/** The client's side of a server at these addresses (`host:port`). */
export function createRunning(
  addresses: Readonly<Record<string, string>>,
  log: Pick<Running, 'records' | 'logged'>,
): Running & { closeClients(): void } {
  const url = `http://${addresses['main']}`;
  const debugUrl = `http://${addresses['debug']}`;
  const client = createHttpClient(url);
  const debugClient = createHttpClient(debugUrl);
  const metrics = async (): Promise<Metrics> => readMetrics(await (await debugClient.get('/metrics')).text());
  return {
    ...log,
    url,
    debugUrl,
    get: client.get,
    head: client.head,
    raw: client.raw,
    debug: (path, options) => debugClient.get(path, options),
    metrics,
    async settled() {
      await until(
        async () => (await metrics()).sum('entrepot_fills_running'),
        (running) => running === 0,
        60_000,
      );
    },
    closeClients() {
      client.close();
      debugClient.close();
    },
  };
}
