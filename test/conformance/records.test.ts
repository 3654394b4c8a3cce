import { afterAll, beforeAll, describe } from 'vitest';
import { redisMissing, startRedis, type RedisServer } from '../fakes/redis-server.ts';
import { makeLmdb, makeMemory, makeRedis } from './metadata-makers.ts';
import { hostedRecordsConformance } from './hosted-records.ts';
import { recordsConformance } from './records.ts';

recordsConformance('memory', () => makeMemory(true));
recordsConformance('lmdb', makeLmdb);
hostedRecordsConformance('memory', () => makeMemory(true));
hostedRecordsConformance('lmdb', makeLmdb);

describe.skipIf(redisMissing !== undefined)(`real Redis${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.clean());

  recordsConformance('redis', () => makeRedis(server));
  hostedRecordsConformance('redis', () => makeRedis(server));
});
