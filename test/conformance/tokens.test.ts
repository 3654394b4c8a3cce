import { afterAll, beforeAll, describe } from 'vitest';
import { redisMissing, startRedis, type RedisServer } from '../fakes/redis-server.ts';
import { makeLmdb, makeMemory, makeRedis } from './metadata-makers.ts';
import { tokensConformance } from './tokens.ts';

tokensConformance('memory', () => makeMemory(true));
tokensConformance('lmdb', makeLmdb);

describe.skipIf(redisMissing !== undefined)(`real Redis${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.clean());

  tokensConformance('redis', () => makeRedis(server));
});
