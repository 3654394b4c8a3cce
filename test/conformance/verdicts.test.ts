import { afterAll, beforeAll, describe } from 'vitest';
import { redisMissing, startRedis, type RedisServer } from '../fakes/redis-server.ts';
import { verdictsConformance } from './verdicts.ts';
import { makeLmdb, makeMemory, makeRedis } from './metadata-makers.ts';

verdictsConformance('memory', () => makeMemory(true));
verdictsConformance('lmdb', makeLmdb);

describe.skipIf(redisMissing !== undefined)(`real Redis${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.clean());

  verdictsConformance('redis', () => makeRedis(server));
});
