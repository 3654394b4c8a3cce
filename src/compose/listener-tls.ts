import { certificateFault, validityOf } from '../config/certificate.ts';
import type { HttpTlsConfig } from '../config/config.ts';
import { fingerprint, watchFiles } from '../config/watch.ts';
import { readText } from '../commands/settings.ts';
import type { TlsOptions } from '../http/tls-options.ts';
import type { HouseEvent } from '../observe/events.ts';
import { messageOf } from '../observe/redact.ts';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';

export interface ListenerTlsDeps {
  readonly system: { readonly clock: Clock; readonly disk: Disk };
  readonly report: (event: HouseEvent) => void;
}

/** What a listener speaks TLS with, kept up with its files. */
export interface ListenerTls {
  readonly options: TlsOptions;
  /** From now on: what is new is handed to `use`, which throws, changing nothing, where it cannot be used. */
  start(use: (options: TlsOptions) => void): void;
  /** Other files, or other rules; in force a moment later. */
  change(config: HttpTlsConfig): void;
  stop(): void;
}

/** Its name in metrics and logs. */
const NAME = 'http.tls';
const FILE_BYTES_MAX = 1_048_576;
/** Between two looks at the files; two that agree are needed. */
const LOOK_MS = 2000;
/** Between two looks at the calendar. */
const CALENDAR_MS = 3_600_000;
/** So long before its end a certificate is one that should have been renewed; one that lives shortly, in its last third. */
const LITTLE_MS = 14 * 86_400_000;

/** Reads the files; rejects with what is wrong with them. */
export async function openListenerTls(config: HttpTlsConfig, { system, report }: ListenerTlsDeps): Promise<ListenerTls> {
  const { clock, disk } = system;
  let current = config;
  let read = await readAll(config, disk);
  let use: (options: TlsOptions) => void = () => undefined;
  let stop = (): void => undefined;
  let failed = false;
  let last: Promise<unknown> = Promise.resolve();

  /** One at a time; what fails leaves everything as it was, and is tried again at the next look. */
  function renew(next: HttpTlsConfig): Promise<unknown> {
    const renewing = async (): Promise<void> => {
      try {
        const fresh = await readAll(next, disk);
        use(fresh.options);
        [current, read, failed] = [next, fresh, false];
        report({ kind: 'reloaded', part: 'certificate', config: NAME, restart: [] });
        tellValidity();
      } catch (error) {
        failed = true;
        report({ kind: 'reload-failed', part: 'certificate', config: NAME, message: messageOf(error) });
      }
    };
    return (last = last.then(renewing));
  }

  function tellValidity(): void {
    const { from, to } = read;
    const left = to - clock.now();
    const little = left < Math.min(LITTLE_MS, (to - from) / 3);
    report({ kind: 'certificate', name: NAME, expires: to, left: left <= 0 ? 'none' : little ? 'little' : 'enough' });
  }

  return {
    get options() {
      return read.options;
    },
    start(using) {
      use = using;
      const watch = watchFiles({
        // What is wrong is looked at until it is right, even if what makes it right is what is used already.
        watched: () => (failed ? new Map([...read.seen.keys()].map((path) => [path, ''])) : read.seen),
        readFile: (path, bytesMax) => readText(disk, path, bytesMax),
        after: (ms, callback) => clock.after(ms, callback),
        changed: async () => void (await renew(current)),
        interval: LOOK_MS,
      });
      let calendar = clock.after(0, look);
      function look(): void {
        tellValidity();
        calendar = clock.after(CALENDAR_MS, look);
      }
      stop = () => {
        watch.close();
        calendar.cancel();
      };
    },
    change(next) {
      if (JSON.stringify(next) !== JSON.stringify(current)) void renew(next);
    },
    stop: () => stop(),
  };
}

interface Read {
  readonly options: TlsOptions;
  /** File to the fingerprint of what it held. */
  readonly seen: ReadonlyMap<string, string>;
  /** Of the certificate, ms since the epoch. */
  readonly from: number;
  readonly to: number;
}

async function readAll(config: HttpTlsConfig, disk: Disk): Promise<Read> {
  const seen = new Map<string, string>();
  const read = async (path: string, key: string): Promise<string> => {
    const text = await readText(disk, path, FILE_BYTES_MAX);
    seen.set(path, fingerprint(text));
    if (text === undefined) throw new Error(`${NAME}.${key}: there is no ${path}`);
    return text;
  };
  const certificate = await read(config.certificate, 'certificate');
  const key = await read(config.key, 'key');
  const clientcas = await Promise.all(config.clientcas.map((path, index) => read(path, `clientcas[${index}]`)));
  const fault = certificateFault({ certificate, key, clientcas });
  if (fault !== undefined) throw new Error(`${NAME}.${fault.key}: ${fault.expected}`);
  const { minimum, ciphers, clientauth } = config;
  return {
    options: { certificate, key, minimum, ciphers, clientCas: clientcas, clientAuth: clientauth },
    seen,
    ...validityOf(certificate),
  };
}
