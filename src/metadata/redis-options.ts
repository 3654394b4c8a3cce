import type { ClusterOptions, RedisOptions } from 'ioredis';

/** The `redis` section of the official registry's configuration, with secrets and files already read. */
export interface RedisTarget {
  /** `host:port`; several are nodes of one Redis Cluster. */
  readonly addrs: readonly string[];
  readonly username?: string;
  readonly password?: string;
  readonly db?: number;
  /** Given: speaks TLS. PEM texts; without `ca` the system's authorities. */
  readonly tls?: { readonly ca?: readonly string[]; readonly certificate?: string; readonly key?: string };
}

type NodeOptions = Omit<NonNullable<ClusterOptions['redisOptions']>, 'replyMapping'>;

/** An answer within this or an error: a request that waits for metadata must not wait for long (milliseconds). */
export const ANSWER_MS_MAX = 800;

/** The longest pause between two attempts to connect, milliseconds. */
const RECONNECT_MS_MAX = 1000;

/**
 * A frozen or dead server leaves commands pending for ever under the library's defaults. And a command that was cut off must
 * not be sent again: a conditional commit that was made and then repeated would answer that its condition did not hold.
 */
export function toRedisOptions(target: RedisTarget): Omit<RedisOptions, 'replyMapping'> {
  const { host, port } = splitAddress(target.addrs[0] ?? '');
  return { host, port, ...connectionOptions(target), db: target.db ?? 0, enableOfflineQueue: false, retryStrategy };
}

export function toClusterOptions(target: RedisTarget): Omit<ClusterOptions, 'redisOptions'> & { redisOptions: NodeOptions } {
  return {
    redisOptions: connectionOptions(target),
    enableOfflineQueue: false,
    slotsRefreshTimeout: ANSWER_MS_MAX,
    clusterRetryStrategy: retryStrategy,
    lazyConnect: true,
  };
}

function connectionOptions({ username, password, tls }: RedisTarget): NodeOptions {
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls: toTls(tls) }),
    protocol: 2,
    connectTimeout: ANSWER_MS_MAX,
    commandTimeout: ANSWER_MS_MAX,
    maxRetriesPerRequest: 1,
    autoResendUnfulfilledCommands: false,
    reconnectOnError: isReadOnly,
    lazyConnect: true,
    connectionName: 'entrepot',
  };
}

/** After a failover the address may lead to the new primary; the old one, now a replica, says READONLY to every write. */
function isReadOnly(error: Error): boolean {
  return error.message.includes('READONLY');
}

function retryStrategy(attempt: number): number {
  return Math.min(50 * attempt, RECONNECT_MS_MAX);
}

function toTls({ ca, certificate, key }: NonNullable<RedisTarget['tls']>): { ca?: string[]; cert?: string; key?: string } {
  return {
    ...(ca === undefined ? {} : { ca: [...ca] }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
  };
}

/** `host:port`, `[v6]:port`; without a port Redis's own. */
export function splitAddress(address: string): { host: string; port: number } {
  const { hostname, port } = new URL(`redis://${address}`);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 6379 : Number(port) };
}
