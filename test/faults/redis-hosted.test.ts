import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { buildImage } from '../fakes/images.ts';
import { redisMissing, startRedis } from '../fakes/redis-server.ts';
import { until } from '../scenarios/acceptance.ts';
import { scenario } from '../scenarios/harness.ts';
import { refusalOf } from '../scenarios/paths.ts';
import { pushImage } from '../scenarios/push.ts';

const ours = buildImage({ label: 'ours' });

describe
  .skipIf(redisMissing !== undefined)
  .concurrent(
    `[S14] hosted repositories and a Redis in trouble${redisMissing === undefined ? '' : `: ${redisMissing}`}`,
    () => {
      scenario(
        'while it does not answer, what is hosted is a 503 and never a squatter’s; routes without hosted pass it by',
        async (stage) => {
          const { upstream } = stage;
          const redis = await startRedis();
          stage.defer(() => redis.clean());
          const server = await stage.start({
            metadata: 'redis',
            redis: { addrs: [redis.address] },
            upstreams: { hub: { url: upstream.url } },
            routes: [
              { match: 'docker.io/acme/**', name: 'mixed', upstreams: ['hosted', 'hub'], push: true },
              { match: 'docker.io/**', name: 'hub', upstreams: ['hub'] },
            ],
          });
          const path = '/v2/docker.io/acme/app';
          expect((await pushImage(server, path, '1', ours)).status).toBe(201);
          upstream.image('acme/app', '1', { label: 'evil' });
          upstream.image('library/alpine', '3');
          upstream.forget();
          const questions = [
            `${path}/manifests/1`,
            `${path}/manifests/evil`,
            `${path}/blobs/${ours.config.digest}`,
            `${path}/tags/list`,
          ];

          redis.signal('SIGSTOP');
          for (const question of questions)
            expect([question, await refusalOf(await server.get(question))]).toEqual([question, '503 UNAVAILABLE']);
          const pushed = await pushImage(server, '/v2/docker.io/acme/new', '1', ours);
          expect(pushed.status).toBeGreaterThanOrEqual(500);
          expect(upstream.requests).toEqual([]);
          expect((await server.get('/v2/docker.io/library/alpine/manifests/3')).status).toBe(200);

          redis.signal('SIGCONT');
          const degraded = async (): Promise<number> =>
            (await server.metrics()).sum('entrepot_degraded', { reason: 'metadata' });
          await until(degraded, (count) => count === 0, 20_000);
          upstream.forget();
          expect(await (await server.get(`${path}/manifests/1`)).sha256()).toBe(ours.top.digest);
          expect(await refusalOf(await server.get(`${path}/manifests/evil`))).toBe('404 MANIFEST_UNKNOWN');
          expect(upstream.requests).toEqual([]);
        },
        { settings: null, timeoutMs: 60_000 },
      );

      scenario(
        'emptied, it gives no hosted name to a squatter until a person says so; other routes pass it by',
        async (stage) => {
          const { upstream } = stage;
          const redis = await startRedis();
          stage.defer(() => redis.clean());
          const settings = {
            metadata: 'redis',
            redis: { addrs: [redis.address] },
            upstreams: { hub: { url: upstream.url } },
            routes: [
              { match: 'docker.io/acme/**', name: 'mixed', upstreams: ['hosted', 'hub'], push: true },
              { match: 'docker.io/**', name: 'hub', upstreams: ['hub'] },
            ],
          };
          const server = await stage.start(settings);
          const path = '/v2/docker.io/acme/app';
          expect((await pushImage(server, path, '1', ours)).status).toBe(201);
          const evil = upstream.image('acme/app', '1', { label: 'evil' });
          upstream.image('library/alpine', '3');
          upstream.forget();
          const refused = async (by: Pick<typeof server, 'get'>): Promise<void> => {
            for (const question of [`${path}/manifests/1`, `${path}/blobs/${ours.config.digest}`, `${path}/tags/list`])
              expect([question, await refusalOf(await by.get(question))]).toEqual([question, '503 UNAVAILABLE']);
            expect((await pushImage(by as typeof server, path, '2', ours)).status).toBe(503);
            expect(upstream.requests).toEqual([]);
          };

          // It restarts without a word, as one without persistence does.
          await redis.stop();
          await redis.start();
          await until(
            async () => (await server.get(`${path}/manifests/1`)).status,
            (status) => status === 503,
            20_000,
          );
          upstream.forget();
          await refused(server);
          expect((await server.get('/v2/docker.io/library/alpine/manifests/3')).status).toBe(200);
          const said = await server.logged('metadata', ({ kind }) => kind === 'metadata-forgot');
          expect(JSON.stringify(said)).toContain(join(stage.directory, 'data', 'entrepot', 'epoch'));

          // Nor after a restart of ours.
          upstream.forget();
          const second = await stage.start(settings, 'data');
          await refused(second);
          await rm(join(stage.directory, 'data', 'entrepot', 'epoch'));
          expect(await (await second.get(`${path}/manifests/1`)).sha256()).toBe(evil.top.digest);
        },
        { settings: null, timeoutMs: 60_000 },
      );
    },
  );
