import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MetadataStore } from '../../src/metadata/metadata-store.ts';
import { openRedis } from '../../src/metadata/redis.ts';
import { MetadataRefused, MetadataUnavailable } from '../../src/metadata/unavailable.ts';
import { systemClock } from '../../src/system/clock.ts';
import { bytes, text } from '../conformance/metadata-store.ts';
import { redisMissing, startRedis, type RedisServer } from '../fakes/redis-server.ts';
import { watchStalls } from '../fakes/stalls.ts';

const KEY = ['tags', 'a'] as const;

/** Within a second, and a little for the machine. */
const SOON_MS = 1400;

/** Without waiting for the limit of 800 ms that a frozen server is given. */
const AT_ONCE_MS = 600;

describe.skipIf(redisMissing !== undefined)(
  `a real Redis in trouble${redisMissing === undefined ? '' : `: ${redisMissing}`}`,
  () => {
    let server: RedisServer;
    let store: MetadataStore;

    const open = (): Promise<MetadataStore> => openRedis({ addrs: [server.address], clock: systemClock });
    const put = (value: string): Promise<boolean> => store.commit('s', [{ key: KEY, value: bytes(value) }]);
    const get = async (): Promise<string | undefined> => text(await store.get('s', KEY));

    beforeEach(async () => {
      server = await startRedis('--appendonly', 'yes', '--appendfsync', 'always');
      store = await open();
      await put('one');
    });
    afterEach(async () => {
      await store.close();
      await server.clean();
    });

    async function mustFail(act: () => unknown, withinMs = SOON_MS): Promise<void> {
      const stalls = watchStalls();
      const started = performance.now();
      await expect((async () => await act())()).rejects.toThrow(MetadataUnavailable);
      expect(performance.now() - started).toBeLessThan(withinMs + stalls.ms());
      stalls.stop();
    }

    async function mustAllFail(withinMs = SOON_MS): Promise<void> {
      await Promise.all([
        mustFail(() => store.get('s', KEY), withinMs),
        mustFail(() => store.list('s', 'tags', undefined, 1), withinMs),
        mustFail(() => put('two'), withinMs),
        mustFail(() => store.ping(), withinMs),
      ]);
    }

    const mustRecover = (value: string): Promise<void> =>
      expect.poll(() => get().catch(() => 'unavailable'), { timeout: 5000, interval: 20 }).toBe(value);

    test('frozen: errors within a second, never an absence; thawed: answers again', async () => {
      server.signal('SIGSTOP');
      await mustAllFail();
      await mustAllFail(); // By now the connection was given up.
      server.signal('SIGCONT');
      await expect
        .poll(
          () =>
            store.ping().then(
              () => 'up',
              () => 'down',
            ),
          { timeout: 5000, interval: 20 },
        )
        .toBe('up');
      expect(['one', 'two']).toContain(await get()); // A commit that was not answered may have been made.
    });

    test('killed: errors at once; restarted: answers again with what was there', async () => {
      await server.stop();
      await mustAllFail(AT_ONCE_MS);
      await server.start();
      await mustRecover('one');
      expect(await put('two')).toBe(true);
    });

    test('down at the start: opens, rejects, and answers once it is up', async () => {
      await store.close();
      await server.stop();
      store = await open();
      await mustAllFail();
      await server.start();
      await mustRecover('one');
    });

    test('frozen at the start: opens within its limit', async () => {
      await store.close();
      server.signal('SIGSTOP');
      store = await open();
      await mustAllFail();
      server.signal('SIGCONT');
      await mustRecover('one');
    });

    test('a replica after a failover: writes are errors, reads go on; a primary again: so do writes', async () => {
      server.command('REPLICAOF', '127.0.0.1', '1');
      await mustFail(() => put('two'));
      await mustRecover('one');
      server.command('REPLICAOF', 'NO', 'ONE');
      await expect.poll(() => put('two').catch(() => 'unavailable'), { timeout: 5000, interval: 20 }).toBe(true);
    });

    test('memory full: writes are errors, reads go on', async () => {
      server.command('CONFIG', 'SET', 'maxmemory', '1');
      await mustFail(() => put('two'));
      expect(await get()).toBe('one');
      server.command('CONFIG', 'SET', 'maxmemory', '0');
      expect(await put('two')).toBe(true);
    });

    test('a policy that evicts is refused by name, at the start and when it shows later', async () => {
      server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
      await expect(open()).rejects.toThrow(MetadataRefused);
      await expect(open()).rejects.toThrow(/maxmemory-policy noeviction/);
      server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await expect
        .poll(() => get().catch((error: Error) => error.name), { timeout: 5000, interval: 20 })
        .toBe('MetadataRefused');
      server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    });

    test('a commit whose connection broke is not sent again: it might find its own traces', async () => {
      server.signal('SIGSTOP');
      const committed = put('two').then(
        () => 'made',
        (error: Error) => error.name,
      );
      await server.stop();
      await server.start();
      expect(await committed).toBe('MetadataUnavailable');
      await mustRecover('one');
    });
  },
);
