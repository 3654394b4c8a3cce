import type { Config } from './config.ts';

/** Keys that differ and take effect after a restart alone (contract, *Reload*). */
export function needsRestart(running: Config, next: Config): string[] {
  const fixed: readonly (readonly [string, unknown, unknown])[] = [
    ['http.addr', running.http.addr, next.http.addr],
    ['http.tls', asksOf(running), asksOf(next)],
    ['http.http2.disabled', running.http.http2, next.http.http2],
    ['http.debug.addr', running.http.debug?.addr, next.http.debug?.addr],
    ['storage.filesystem.rootdirectory', running.storage.rootdirectory, next.storage.rootdirectory],
    ['metadata', metadataOf(running), metadataOf(next)],
    ['redis', redisOf(running), redisOf(next)],
    ['workers', running.workers, next.workers],
  ];
  return fixed.filter(([, before, after]) => JSON.stringify(before) !== JSON.stringify(after)).map(([key]) => key);
}

/** What a listener is bound with: whether it speaks TLS, and whether it asks its clients for certificates. */
function asksOf({ http: { tls } }: Config): string {
  return tls === undefined ? 'plain' : tls.clientauth === undefined ? 'tls' : 'clients';
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
  const { addr, debug, http2 } = running.http;
  const tls = asksOf(running) === asksOf(next) ? next.http.tls : running.http.tls;
  const nextDebug = debug && { ...debug, metricsPath: (next.http.debug ?? debug).metricsPath };
  return {
    ...next,
    http: { ...next.http, addr, tls, http2, debug: nextDebug },
    storage: { ...next.storage, rootdirectory: running.storage.rootdirectory },
    metadata: running.metadata,
    workers: running.workers,
  };
}
