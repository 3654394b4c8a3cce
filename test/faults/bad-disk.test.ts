import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import { randomBlob, type Blob } from '../fakes/images.ts';
import { full, sized, table, until } from '../scenarios/acceptance.ts';
import { scenario, times, type Stage } from '../scenarios/harness.ts';
import { ALPINE, manifestPath } from '../scenarios/paths.ts';
import type { RunningProcess } from '../scenarios/process.ts';
import { pushBlob, pushImage } from '../scenarios/push.ts';
import { routesTo } from '../scenarios/settings.ts';
import { cachedAgain, condition, DEGRADED, pull, WELL } from './pulled-on.ts';

const MIB = 1024 * 1024;
const BAD_DISK = fileURLToPath(new URL('bad-disk.mjs', import.meta.url));
const own = { settings: null, timeoutMs: sized(60_000, 240_000) };

type Faults = Readonly<Record<string, string | number>>;

interface OnBadDisk {
  readonly server: RunningProcess;
  /** Its calls go wrong so from now on; none: it works. */
  disk(faults: Faults): Promise<void>;
}

/** The built program, whose calls of files a wrapper below it can make go wrong. */
async function startOn(stage: Stage, more?: object): Promise<OnBadDisk> {
  const control = join(stage.directory, 'bad-disk.json');
  const disk = (faults: Faults): Promise<void> => writeFile(control, JSON.stringify(faults));
  await disk({});
  const server = await stage.startProcess(
    { ...routesTo(stage.upstream), ...more },
    { execArgv: ['--import', BAD_DISK], env: { BAD_DISK: control } },
  );
  return { server, disk };
}

/** Well again by itself, and what is pulled is kept. */
async function recovers(server: RunningProcess, blob: Blob): Promise<void> {
  await until(
    () => condition(server),
    (seen) => WELL.test(seen),
    20_000,
  );
  await cachedAgain(server, blob);
}

function blobsOf(stage: Stage, ...sizes: readonly number[]): Blob[] {
  const blobs = sizes.map((size, at) => randomBlob(size, at + 1));
  for (const blob of blobs) stage.upstream.blob(ALPINE, blob);
  return blobs;
}

const FAULTS: readonly (readonly [how: string, faults: Faults])[] = [
  ['every write', { write: 'EIO' }],
  ['every sync', { sync: 'EIO' }],
  ['every open, for want of descriptors', { open: 'EMFILE' }],
  ['every open', { open: 'EIO' }],
  ['every write, without room', { write: 'ENOSPC' }],
  ['every write, read-only', { write: 'EROFS', sync: 'EROFS' }],
];

describe.concurrent('[R38] a disk that fails, with pulls going on', () => {
  for (const [how, faults] of FAULTS.slice(0, sized(3, FAULTS.length))) {
    scenario(
      `${how}: every pull is whole, it is said, and it is cached again when it works again`,
      async (stage) => {
        const { server, disk } = await startOn(stage);
        const [held, cold, large, later] = blobsOf(stage, 300_000, 70_000, 9 * MIB, 200_000);
        const image = stage.upstream.image(ALPINE, '3');
        await pull(server, held!);
        await server.settled();
        await disk(faults);
        const statuses = await Promise.all([
          pull(server, cold!),
          pull(server, large!),
          pull(server, large!),
          pull(server, held!),
        ]);
        expect(await (await server.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
        await server.settled();
        expect(await pull(server, cold!)).toContain('fwd=bypass');
        const during = await until(
          () => condition(server),
          (seen) => DEGRADED.test(seen),
        );
        expect((await server.metrics()).sum('entrepot_bypass_total', { reason: 'storage' })).toBeGreaterThan(0);
        await disk({});
        await recovers(server, later!);
        await recovers(server, large!);
        table(`a disk that fails ${how}`, { 'Cache-Status': statuses.join(' | '), 'readiness, entrepot_degraded': during });
      },
      own,
    );
  }

  scenario(
    'reads of what is held: an upstream goes on in the middle of the answer',
    async (stage) => {
      const { server, disk } = await startOn(stage);
      const [large, small] = blobsOf(stage, 9 * MIB, 90_000);
      for (const blob of [large!, small!]) await pull(server, blob);
      await server.settled();
      await disk({ read: 'EIO', every: 5 });
      for (let round = 0; round < 4; round += 1) await Promise.all([pull(server, large!), pull(server, small!)]);
      await disk({});
      expect(server.records.filter(({ msg }) => msg === 'quarantined')).toEqual([]);
      expect(await pull(server, large!)).toContain('; hit');
    },
    own,
  );

  scenario(
    '[R40] stale handles, one call in a hundred: no client notices, and nothing is fetched again',
    async (stage) => {
      const { server, disk } = await startOn(stage);
      const blobs = blobsOf(stage, ...times(8, (at) => 1000 + at * 200_000));
      for (const blob of blobs) await pull(server, blob);
      await server.settled();
      await disk({ open: 'ESTALE', read: 'ESTALE', every: sized(10, 100) });
      for (let round = 0; round < sized(3, 30); round += 1)
        for (const blob of blobs) expect(await pull(server, blob)).toContain('; hit');
      expect(stage.upstream.hits('GET blob')).toBe(8);
    },
    own,
  );

  scenario(
    'pushes are refused meanwhile, nothing that was acknowledged is lost, and the next one succeeds',
    async (stage) => {
      const settings = { routes: [{ match: 'team.test/**', upstreams: ['hosted'] }] };
      const { server, disk } = await startOn(stage, settings);
      const image = stage.upstream.image('other/app', '1', { layers: [70_000] });
      const path = '/v2/team.test/app';
      expect((await pushImage(server, path, 'v1', image)).status).toBe(201);
      const layers = times(4, (at) => randomBlob(50_000, 90 + at));
      for (const [faults, status] of [
        [{ write: 'ENOSPC' }, 507],
        [{ write: 'EIO' }, 503],
        [{ sync: 'EIO' }, 503],
        [{ write: 'EROFS' }, 503],
      ] as const) {
        await disk(faults);
        const layer = layers.pop()!;
        const refused = await pushBlob(server, path, layer);
        expect([faults, refused.status]).toEqual([faults, status]);
        expect(await (await server.get(`${path}/manifests/v1`)).sha256()).toBe(image.top.digest);
        for (const { digest } of image.layers)
          expect(await (await server.get(`${path}/blobs/${digest}`)).sha256()).toBe(digest);
        await disk({});
        await until(
          async () => (await pushBlob(server, path, layer)).status,
          (seen) => seen === 201,
        );
        expect(await (await server.get(`${path}/blobs/${layer.digest}`)).sha256()).toBe(layer.digest);
      }
    },
    own,
  );
});

describe.concurrent('[R38] a disk that is too slow', () => {
  scenario(
    'syncs that take a while: pulls do not wait for them',
    async (stage) => {
      const { server, disk } = await startOn(stage);
      const [large] = blobsOf(stage, 6 * MIB);
      await disk({ sync: 600 });
      const before = performance.now();
      await pull(server, large!);
      expect(performance.now() - before).toBeLessThan(12_000);
      await disk({});
      await recovers(server, large!);
    },
    own,
  );

  scenario(
    'syncs that take a minute: every pull is whole within the limit, later ones do not wait at all, and it recovers',
    async (stage) => {
      const { server, disk } = await startOn(stage);
      const [large, small, other] = blobsOf(stage, 9 * MIB, 90_000, 8 * MIB);
      const image = stage.upstream.image(ALPINE, '3');
      await disk({ sync: 60_000 });
      const took = async (work: () => Promise<unknown>): Promise<number> => {
        const before = performance.now();
        await work();
        return Math.round(performance.now() - before);
      };
      const first = await took(() => Promise.all([pull(server, large!), pull(server, large!)]));
      expect(first).toBeLessThan(25_000);
      const then = await took(async () => {
        await pull(server, other!);
        await pull(server, small!);
        expect(await (await server.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
      });
      expect(then).toBeLessThan(15_000);
      const during = await until(
        () => condition(server),
        (seen) => DEGRADED.test(seen),
      );
      const last = await took(() => pull(server, other!));
      expect(last).toBeLessThan(8000);
      await disk({});
      await recovers(server, other!);
      table('a disk whose syncs take a minute, ms', { first, later: then, last, 'readiness, entrepot_degraded': during });
    },
    { ...own, ...(full ? {} : { whyNot: 'it takes a minute: npm run accept:disk', optional: true }) },
  );
});
