import { describe, expect } from 'vitest';
import { redisMissing, startRedis, type RedisServer } from '../fakes/redis-server.ts';
import { watchStalls } from '../fakes/stalls.ts';
import { until } from '../scenarios/acceptance.ts';
import { scenario, times, type Stage } from '../scenarios/harness.ts';
import { blobPath, manifestPath, refusalOf } from '../scenarios/paths.ts';
import type { Running } from '../scenarios/running.ts';
import { routesTo, type Settings } from '../scenarios/settings.ts';

/** R45: no request waits longer for a Redis that does not answer (milliseconds). */
const SLOWEST_MS = 1500;

const own = { settings: null, timeoutMs: 60_000 } as const;

describe
  .skipIf(redisMissing !== undefined)
  .concurrent(`[R45] pulls through a Redis in trouble${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
    scenario(
      'down at the start: it serves, says so, and keeps again by itself when Redis comes',
      async (stage) => {
        const redis = await redisOf(stage);
        await redis.stop();
        const pull = pullsOf(stage);
        const server = await stage.start(settingsOf(stage, redis));
        expect(await pull(server)).toEqual(['bypass', 'bypass', 'bypass']);
        expect(await readiness(server)).toEqual([200, { degraded: ['metadata'] }]);
        expect(await degraded(server)).toBe(1);
        await redis.start();
        await healed(server);
        expect(await pull(server)).toEqual(['miss', 'hit', 'miss']);
        await server.settled();
        expect(await pull(server)).toEqual(['hit', 'hit', 'hit']);
        expect(await readiness(server)).toEqual([200, {}]);
      },
      own,
    );

    scenario(
      'frozen, thawed, killed, and back without its memory: every pull is right and soon, and no absence is made up',
      async (stage) => {
        const redis = await redisOf(stage);
        const pull = pullsOf(stage);
        const server = await stage.start(settingsOf(stage, redis));
        await pull(server);
        await server.settled();

        redis.signal('SIGSTOP');
        // An upstream says that the layer is this repository's; its bytes come from the disk.
        expect(await pull(server)).toEqual(['bypass', 'bypass', 'hit']);
        const many = await Promise.all(times(20, () => pull(server)));
        expect([...new Set(many.flat())].toSorted()).toEqual(['bypass', 'collapsed', 'hit']);
        redis.signal('SIGCONT');
        await healed(server);
        expect(await pull(server)).toEqual(['hit', 'hit', 'hit']);

        await redis.stop();
        expect(await pull(server)).toEqual(['bypass', 'bypass', 'hit']);
        expect(await readiness(server)).toEqual([200, { degraded: ['metadata'] }]);
        await redis.start();
        await healed(server);
        // All is forgotten; what the disk holds is proved and linked anew.
        await pull(server);
        await server.settled();
        expect(await pull(server)).toEqual(['hit', 'hit', 'hit']);
      },
      own,
    );

    scenario(
      'down: fifty clients at once cost one transfer, or none where the disk has it, and lists say that they cannot be had',
      async (stage) => {
        const redis = await redisOf(stage);
        const image = stage.upstream.image('library/a', '1', { layers: [600_000, 600_000] });
        const [cached, cold] = image.layers;
        const server = await stage.start(settingsOf(stage, redis));
        await (await server.get(blobPath(cached!, 'library/a'))).bytes();
        await server.settled();
        await redis.stop();
        for (const blob of [cached!, cold!]) {
          stage.upstream.forget();
          const replies = await Promise.all(times(50, () => server.get(blobPath(blob, 'library/a'))));
          for (const reply of replies) expect(await reply.sha256()).toBe(blob.digest);
          // HEADs say whose it is; the bytes come over once.
          const transfers = stage.upstream.requests.filter(({ method }) => method === 'GET');
          expect(transfers).toHaveLength(blob === cold ? 1 : 0);
        }
        for (const path of ['/v2/_catalog', '/v1/search?q=a'])
          expect(await refusalOf(await server.get(path))).toBe('503 UNAVAILABLE');
      },
      own,
    );

    scenario(
      'down beside an upstream that is down: 5xx, never a 404',
      async (stage) => {
        const redis = await redisOf(stage);
        const image = stage.upstream.image('library/a', '1');
        const server = await stage.start(settingsOf(stage, redis));
        await redis.stop();
        await stage.upstream.down();
        for (const path of [manifestPath('1', 'library/a'), blobPath(image.layers[0]!, 'library/a')]) {
          const reply = await server.get(path);
          await reply.bytes();
          expect([502, 503, 504]).toContain(reply.status);
        }
      },
      own,
    );
  });

async function redisOf(stage: Stage): Promise<RedisServer> {
  const redis = await startRedis();
  stage.defer(() => redis.clean());
  return redis;
}

function settingsOf(stage: Stage, redis: RedisServer): Settings {
  return { ...routesTo(stage.upstream), metadata: 'redis', redis: { addrs: [redis.address] } };
}

/** Pulls a tag, a manifest and a layer, whole, right and in time; yields how each was answered. */
function pullsOf(stage: Stage): (server: Running) => Promise<readonly string[]> {
  const image = stage.upstream.image('library/a', '1');
  const [layer] = image.layers;
  const wanted = [
    [manifestPath('1', 'library/a'), image.top.digest],
    [manifestPath(image.top.digest, 'library/a'), image.top.digest],
    [blobPath(layer!, 'library/a'), layer!.digest],
  ] as const;
  const stalls = watchStalls();
  stage.defer(stalls.stop);
  return async (server) => {
    const outcomes: string[] = [];
    for (const [path, digest] of wanted) {
      const before = stalls.ms();
      const reply = await server.get(path);
      expect(await reply.sha256()).toBe(digest);
      expect(reply.headMs).toBeLessThan(SLOWEST_MS + stalls.ms() - before);
      outcomes.push(/hit|bypass|collapsed|miss(?!; collapsed)/.exec(String(reply.headers['cache-status']))?.[0] ?? 'other');
    }
    return outcomes;
  };
}

async function readiness(server: Running): Promise<readonly [number, unknown]> {
  const reply = await server.debug('/readyz');
  return [reply.status, await reply.json()];
}

/** It has found out by itself that Redis is there again. */
async function healed(server: Running): Promise<void> {
  await until(
    () => degraded(server),
    (count) => count === 0,
    20_000,
  );
}

async function degraded(server: Running): Promise<number> {
  return (await server.metrics()).sum('entrepot_degraded', { reason: 'metadata' });
}
