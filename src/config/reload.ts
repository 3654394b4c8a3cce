import type { Config } from './config.ts';
import { ConfigError } from './fault.ts';

export interface ReloadOptions {
  readonly load: () => Promise<Config>;
  /** Puts a configuration into effect for requests that begin from now on. */
  readonly apply: (config: Config) => void | Promise<void>;
  /** Told of every outcome but a refusal that was told before. */
  readonly report: (outcome: ReloadOutcome) => void;
}

export type ReloadOutcome =
  /** `restart`: keys that were changed and stay as they were until a restart. */
  | { readonly kind: 'reloaded'; readonly restart: readonly string[]; readonly warnings: readonly string[] }
  /** The running configuration stays. */
  | { readonly kind: 'refused'; readonly error: ConfigError };

export interface Reloader {
  /** In effect now. */
  current(): Config;
  /** Loads and applies, one at a time, in the order of the calls. Rejects only with what `apply` threw. */
  reload(): Promise<ReloadOutcome>;
}

/** Keeps the running configuration, and replaces it by what the file says when asked to; a wrong file changes nothing. */
export function createReloader(first: Config, options: ReloadOptions): Reloader {
  let config = first;
  let told: string | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const once = async (): Promise<ReloadOutcome> => {
    const loaded = await loadOrRefuse(options.load);
    if (loaded instanceof ConfigError) {
      const outcome = { kind: 'refused', error: loaded } as const;
      if (told !== loaded.message) options.report(outcome);
      told = loaded.message;
      return outcome;
    }
    const restart = needsRestart(config, loaded);
    const next = withFixed(config, loaded);
    await options.apply(next);
    config = next;
    told = undefined;
    const outcome = { kind: 'reloaded', restart, warnings: loaded.warnings } as const;
    options.report(outcome);
    return outcome;
  };
  return {
    current: () => config,
    reload() {
      const turn = last.then(once, once);
      last = turn;
      return turn;
    },
  };
}

async function loadOrRefuse(load: () => Promise<Config>): Promise<Config | ConfigError> {
  return load().catch((error: unknown) => {
    if (error instanceof ConfigError) return error;
    throw error;
  });
}

/** Keys that differ and take effect after a restart alone (contract, *Reload*). */
export function needsRestart(running: Config, next: Config): string[] {
  const fixed: readonly (readonly [string, unknown, unknown])[] = [
    ['http.addr', running.http.addr, next.http.addr],
    ['http.debug.addr', running.http.debug?.addr, next.http.debug?.addr],
    ['storage.filesystem.rootdirectory', running.storage.rootdirectory, next.storage.rootdirectory],
    ['metadata', metadataOf(running), metadataOf(next)],
    ['redis', redisOf(running), redisOf(next)],
    ['workers', running.workers, next.workers],
  ];
  return fixed.filter(([, before, after]) => JSON.stringify(before) !== JSON.stringify(after)).map(([key]) => key);
}

function metadataOf({ metadata }: Config): unknown {
  return metadata.kind === 'lmdb' ? metadata : metadata.kind;
}

/** Compared by what it holds: printed, two passwords look alike. */
function redisOf({ metadata }: Config): unknown {
  if (metadata.kind === 'lmdb') return undefined;
  const { redis } = metadata;
  return { ...redis, password: redis.password?.reveal(), tls: redis.tls && { ...redis.tls, key: redis.tls.key?.reveal() } };
}

/** The new configuration with the old one's fixed parts, so that the next reload compares with what really runs. */
export function withFixed(running: Config, next: Config): Config {
  const { addr, debug } = running.http;
  const nextDebug = debug && { ...debug, metricsPath: (next.http.debug ?? debug).metricsPath };
  return {
    ...next,
    http: { ...next.http, addr, debug: nextDebug },
    storage: running.storage,
    metadata: running.metadata,
    workers: running.workers,
  };
}
