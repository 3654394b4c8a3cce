import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openRedis } from '../../src/metadata/redis.ts';
import { createFakeClock } from '../fakes/fake-clock.ts';
import { redisMissing, startRedis, type RedisServer } from '../fakes/redis-server.ts';
import { makeLmdb, makeMemory, makeRedis } from './metadata-makers.ts';
import { metadataStoreConformance } from './metadata-store.ts';

metadataStoreConformance('memory, answering at once', () => makeMemory(false));
metadataStoreConformance('memory, answering later', () => makeMemory(true));
metadataStoreConformance('lmdb', makeLmdb);

describe.skipIf(redisMissing !== undefined)(`real Redis${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  let server: RedisServer;
  let clustered: RedisServer;
  beforeAll(async () => {
    [server, clustered] = await Promise.all([
      startRedis(),
      startRedis('--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'),
    ]);
    clustered.command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await vi.waitUntil(() => clustered.command('CLUSTER', 'INFO').includes('cluster_state:ok'), { timeout: 10_000 });
  });
  afterAll(() => Promise.all([server.clean(), clustered.clean()]));

  metadataStoreConformance('redis', () => makeRedis(server));
  // Keys of one commit that fell into different hash slots would be refused by it.
  metadataStoreConformance('redis, a node of a cluster', () => makeRedis(clustered));
  metadataStoreConformance('redis, by the nodes of a cluster', () =>
    makeRedis(clustered, [clustered.address, clustered.address]),
  );

  test('a store that was closed waits for nothing any more', async () => {
    const clock = createFakeClock();
    const store = await openRedis({ addrs: [server.address], clock });
    await store.close();
    expect(clock.pending()).toBe(0);
  });
});
