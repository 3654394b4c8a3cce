import { afterEach, beforeEach, expect, test } from 'vitest';
import { createPlace, faultsOf, heldDigests, imageOf, pushWhole, type Place } from '../faults/push-and-collect.ts';
import { randomBlob } from '../fakes/images.ts';

const HOUR_MS = 500;
const layers = [randomBlob(700, 1), randomBlob(800, 2)];
const kept = imageOf('team/app', 'v1', [layers[0]!], 11);
const retired = imageOf('team/app', 'pr-1', layers, 12);
const pause = (): Promise<void> => Promise.resolve();
const graceToPass = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, HOUR_MS * 1.2));
const digestsOf = ({ manifest, blobs }: typeof kept): string[] => [manifest, ...blobs].map(({ digest }) => digest);

let place: Place;
beforeEach(() => {
  place = createPlace(HOUR_MS, {
    routes: [
      {
        match: 'local/**',
        upstreams: ['hosted'],
        name: 'own',
        quota: '1MB',
        retention: [
          { match: 'v*', keep: 'forever' },
          { match: '*', unpulled: '30m' },
        ],
      },
    ],
    names: { default: 'local' },
  });
});
afterEach(() => place.remove());

test('collect, through the running server: a dry run, then what it said; retention first', async () => {
  const server = await place.start();
  try {
    for (const image of [kept, retired]) await pushWhole(server, image, undefined, pause);
    await graceToPass();
    const dry = await place.command('collect', '--config', 'config.yml', '--dry-run', '--delete-untagged');
    expect(dry).toContain('would go: tag local/team/app:pr-1, which was last used ');
    expect(dry).toMatch(/would free .* in 3 files, 1 tags, 1 manifests, 2 blobs of repositories, 0 uploads/);
    expect(dry).toMatch(/^quota own: [\d.]+ KiB of 977 KiB$/m);
    expect(await place.command('status', '--config', 'config.yml')).toMatch(/^quota +own: [\d.]+ KiB of 977 KiB$/m);
    expect(heldDigests(place.directory)).toHaveLength(6);

    const lines = await place.command('collect', '--config', 'config.yml', '--delete-untagged', '--json');
    const steps = lines
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { kind: string });
    expect(steps.map(({ kind }) => kind)).toEqual([
      'tag',
      'manifest',
      'link',
      'link',
      'blob',
      'blob',
      'blob',
      'quota',
      'collected',
    ]);
    const used = [kept.manifest, ...kept.blobs].reduce((sum, { size }) => sum + size, 0);
    expect(steps.at(-2)).toEqual({ kind: 'quota', route: 'own', limit: 1_000_000, used, reserved: 0 });
    expect(heldDigests(place.directory).sort()).toEqual(digestsOf(kept).sort());
    expect(await faultsOf(server, kept, 'v1')).toEqual([]);
    expect((await server.get('/v2/team/app/manifests/pr-1')).status).toBe(404);
    expect(await server.logged('collected', ({ dryrun }) => dryrun === undefined)).toMatchObject({ tags: 1, blobs: 3 });
    const metrics = await server.metrics();
    expect(metrics.sum('entrepot_task_last_success_timestamp_seconds')).toBeGreaterThan(1e9);
  } finally {
    await server.stop();
  }
});

test('registry garbage-collect FILE, where no server runs', async () => {
  const first = await place.start();
  for (const image of [kept, retired]) await pushWhole(first, image, undefined, pause);
  await first.stop();
  await graceToPass();
  expect(await place.command('registry', 'garbage-collect', '--quiet', '-m', 'config.yml')).toBe('');
  expect(heldDigests(place.directory).sort()).toEqual(digestsOf(kept).sort());
  const second = await place.start();
  try {
    expect(await faultsOf(second, kept, 'v1')).toEqual([]);
    await pushWhole(second, retired, undefined, pause);
    expect(await faultsOf(second, retired, 'pr-1')).toEqual([]);
  } finally {
    await second.stop();
  }
});
