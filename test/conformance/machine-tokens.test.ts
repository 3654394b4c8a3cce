import { afterAll, beforeAll, describe } from 'vitest';
import { redisMissing, startRedis, type RedisServer } from '../fakes/redis-server.ts';
import { machineTokensConformance } from './machine-tokens.ts';
import { makeLmdb, makeMemory, makeRedis } from './metadata-makers.ts';

machineTokensConformance('memory', () => makeMemory(true));
machineTokensConformance('lmdb', makeLmdb);

describe.skipIf(redisMissing !== undefined)(`real Redis${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.clean());

  machineTokensConformance('redis', () => makeRedis(server));
});
