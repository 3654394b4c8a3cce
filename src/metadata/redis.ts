import { Cluster, Redis } from 'ioredis';
import type { Clock, Timer } from '../system/clock.ts';
import { ORDERED, checkKeyPart, checkOrdered } from './keys.ts';
import type { Change, Condition, Entry, Key, MetadataStore, StoredEntry } from './metadata-store.ts';
import { splitAddress, toClusterOptions, toRedisOptions, type RedisTarget } from './redis-options.ts';
import { RedisPolicy } from './redis-policy.ts';
import { COMMIT_SCRIPT, LIST_SCRIPT } from './redis-scripts.ts';
import { MetadataRefused, MetadataUnavailable } from './unavailable.ts';

export interface RedisStoreOptions extends RedisTarget {
  /** Stands before every key, so that several users may share a database. No braces: they would choose the hash slot. */
  readonly prefix?: string;
  readonly clock: Clock;
}

/** In this order a dump goes through the key space: see `MetadataStore.entries`. */
const ENTRY_PASSES: readonly ((slot: string, collection: string) => boolean)[] = [
  (slot, collection) => isRepository(slot) && collection === 'tags',
  (slot, collection) => isRepository(slot) && collection !== 'tags',
  (slot) => !isRepository(slot),
];

/** Keys, and entries of a hash, that are asked for at once. */
const SCANNED = 500;

/** How long a start waits for the server, milliseconds; after it the store is opened as one that is down. */
const CONNECT_MS_MAX = 2000;

/** Calls to a server that took too long, with none answered between them, after which its connection is given up as dead. */
const TIMEOUTS_MAX = 3;

/**
 * Metadata in Redis 7 or Redis Cluster. A slot is a hash slot: `<prefix>{slot}h:collection` is a hash of id → value, and
 * `<prefix>{slot}z:collection` the sorted set of an ordered collection's ids. A commit is one script.
 *
 * Resolves also while the server is down: calls then reject with {@link MetadataUnavailable} at once or within a second,
 * and answer again by themselves when it is back. Rejects with {@link MetadataRefused} if the server answers and may evict
 * keys; if that shows later, every call says so. Durability is what the server's `appendonly` and replication give.
 */
export async function openRedis(options: RedisStoreOptions): Promise<MetadataStore> {
  const store = new RedisStore(options);
  let limit: Timer | undefined;
  const over = new Promise<void>((resolve) => (limit = options.clock.after(CONNECT_MS_MAX, resolve)));
  try {
    await Promise.race([store.connect(), over]);
  } catch (error) {
    if (!(error instanceof MetadataRefused)) return store;
    await store.close();
    throw error;
  } finally {
    limit?.cancel();
  }
  return store;
}

class RedisStore implements MetadataStore {
  readonly #client: Redis | Cluster;
  readonly #policy: RedisPolicy;
  readonly #prefix: string;
  #timeouts = 0;

  constructor(options: RedisStoreOptions) {
    this.#prefix = options.prefix ?? '';
    if (/[{}]/.test(this.#prefix)) throw new MetadataRefused(`redis: the key prefix ${this.#prefix} must not contain braces`);
    this.#client =
      options.addrs.length > 1
        ? new Cluster(options.addrs.map(splitAddress), toClusterOptions(options))
        : new Redis(toRedisOptions(options));
    this.#client.on('error', () => undefined); // Each call reports its own failure; without a listener the process would end.
    this.#policy = new RedisPolicy(this.#client, options.clock);
  }

  /** Waits for the first attempt to connect, and for the check of what it finds. The client itself goes on trying. */
  async connect(): Promise<void> {
    await this.#client.connect();
    await this.#policy.check();
  }

  get(slot: string, [collection, id]: Key): Promise<Uint8Array | undefined> {
    checkKeyPart(id);
    const key = this.#key(slot, 'h', collection);
    return this.#ask('read', async () => (await this.#client.hgetBuffer(key, id)) ?? undefined);
  }

  list(slot: string, collection: string, after: string | undefined, limit: number): Promise<readonly Entry[]> {
    checkOrdered(collection);
    const keys = [this.#key(slot, 'h', collection), this.#key(slot, 'z', collection)];
    const from = after === undefined ? '-' : `(${after}`;
    return this.#ask('list', async () =>
      toEntries(await this.#client.callBuffer('EVAL', LIST_SCRIPT, 2, ...keys, from, limit)),
    );
  }

  async commit(slot: string, changes: readonly Change[], conditions: readonly Condition[] = []): Promise<boolean> {
    const collections = [...new Set([...changes, ...conditions].map(({ key }) => key[0]))];
    const keys = collections.flatMap((name) => [this.#key(slot, 'h', name), this.#key(slot, 'z', name)]);
    const words = ({ key: [collection, id], value }: Condition): (string | number | Buffer)[] => {
      checkKeyPart(id);
      return [collections.indexOf(collection) + 1, id, ...(value === undefined ? ['0', ''] : ['1', Buffer.from(value)])];
    };
    const changed = changes.flatMap((change) => [...words(change), ORDERED.has(change.key[0]) ? '1' : '0']);
    const args = [keys.length, ...keys, conditions.length, ...conditions.flatMap(words), ...changed];
    return this.#ask('commit', async () => (await this.#client.call('EVAL', COMMIT_SCRIPT, ...args)) === 1);
  }

  /** Pages of the key space, and of each hash: what changes meanwhile may be told as it was or as it is. */
  async *entries(): AsyncGenerator<StoredEntry> {
    for (const passes of ENTRY_PASSES) {
      for await (const { key, slot, collection } of this.#hashes()) {
        if (!passes(slot, collection)) continue;
        for await (const { id, value } of this.#hash(key)) yield { slot, collection, id, value };
      }
    }
  }

  async *#hashes(): AsyncGenerator<{ readonly key: string; readonly slot: string; readonly collection: string }> {
    const match = `${this.#prefix.replaceAll(/[*?[\]\\]/g, String.raw`\$&`)}{*}h:*`;
    for (const node of this.#client instanceof Cluster ? this.#client.nodes('master') : [this.#client]) {
      for (let cursor = '0'; ;) {
        const [next, keys] = await this.#ask('list', () => node.scan(cursor, 'MATCH', match, 'COUNT', SCANNED));
        for (const key of keys) {
          const [, tag, collection] = /^\{([^}]*)\}h:(.+)$/.exec(key.slice(this.#prefix.length)) ?? [];
          if (tag === undefined || collection === undefined) continue;
          yield { key, slot: tag.replaceAll('%7D', '}').replaceAll('%25', '%'), collection };
        }
        cursor = next;
        if (cursor === '0') break;
      }
    }
  }

  async *#hash(key: string): AsyncGenerator<Entry> {
    for (let cursor = '0'; ;) {
      const [next, found] = await this.#ask('list', () => this.#client.hscanBuffer(key, cursor, 'COUNT', SCANNED));
      yield* toEntries(found);
      cursor = next.toString();
      if (cursor === '0') return;
    }
  }

  /** A commit that was answered is as durable as this server makes it. */
  async flushed(): Promise<void> {}

  async ping(): Promise<void> {
    await this.#ask('ping', () => this.#client.ping());
  }

  async close(): Promise<void> {
    this.#policy.stop();
    this.#client.disconnect();
  }

  #key(slot: string, kind: 'h' | 'z', collection: string): string {
    checkKeyPart(slot);
    checkKeyPart(collection);
    const tag = slot.replaceAll('%', '%25').replaceAll('}', '%7D'); // Redis hashes what stands before the first brace.
    return `${this.#prefix}{${tag}}${kind}:${collection}`;
  }

  async #ask<T>(what: string, act: () => Promise<T>): Promise<T> {
    this.#policy.mustHold();
    try {
      const answer = await act();
      this.#timeouts = 0;
      return answer;
    } catch (error) {
      this.#noteTimeout(error);
      throw new MetadataUnavailable(`redis: cannot ${what}: ${(error as Error).message}`, { cause: error });
    }
  }

  /** A connection whose other end vanished without a word would otherwise be waited for until the kernel gives up. */
  #noteTimeout(error: unknown): void {
    if (!(error as Error).message.includes('timed out') || ++this.#timeouts < TIMEOUTS_MAX) return;
    this.#timeouts = 0;
    this.#client.disconnect(true);
  }
}

function isRepository(slot: string): boolean {
  return slot.startsWith('repository/');
}

/** The script's reply: id, value, id, value … */
function toEntries(reply: unknown): Entry[] {
  const items = reply as readonly Buffer[];
  return items.flatMap((id, at) => {
    const value = items[at + 1];
    return at % 2 === 1 || value === undefined ? [] : [{ id: id.toString(), value }];
  });
}
