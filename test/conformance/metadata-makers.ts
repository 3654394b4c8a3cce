import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLmdb } from '../../src/metadata/lmdb.ts';
import { openRedis } from '../../src/metadata/redis.ts';
import { systemClock } from '../../src/system/clock.ts';
import { nodeDisk } from '../../src/system/node-disk.ts';
import { createMemoryMetadata } from '../fakes/memory-metadata.ts';
import type { RedisServer } from '../fakes/redis-server.ts';
import type { StoreUnderTest } from './metadata-store.ts';

const local = async (): Promise<undefined> => undefined;

export async function makeLmdb(): Promise<StoreUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-lmdb-1.0-'));
  const store = await openLmdb({ directory, disk: nodeDisk, remoteFileSystem: local });
  const other = await openLmdb({ directory, disk: nodeDisk, remoteFileSystem: local });
  const clean = async (): Promise<void> => {
    await Promise.all([store.close(), other.close()]);
    await rm(directory, { recursive: true, force: true });
  };
  return { store, other, clean };
}

export async function makeRedis(server: RedisServer, addrs: readonly string[] = [server.address]): Promise<StoreUnderTest> {
  await server.flushAll();
  const options = { addrs, prefix: 'test:', clock: systemClock };
  const [store, other] = await Promise.all([openRedis(options), openRedis(options)]);
  const clean = async (): Promise<void> => {
    await Promise.all([store.close(), other.close()]);
  };
  return { store, other, clean };
}

export async function makeMemory(async: boolean): Promise<StoreUnderTest> {
  const store = createMemoryMetadata({ async });
  return { store, other: store, clean: () => store.close() };
}
