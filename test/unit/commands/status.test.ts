import { expect, test } from 'vitest';
import type { Status } from '../../../src/admin/status.ts';
import { printStatus } from '../../../src/commands/status.ts';
import type { UpstreamStatus } from '../../../src/upstream/upstream.ts';

const GIB = 1024 ** 3;

function upstream(name: string, more: Partial<UpstreamStatus>): UpstreamStatus {
  return {
    name,
    url: `https://${name}.test`,
    up: true,
    latencyMs: 12.3,
    credentialsValid: undefined,
    lastError: undefined,
    rateLimit: undefined,
    running: 0,
    ...more,
  };
}

test('the budget of each upstream is shown, and for how long a 429 is waited out', () => {
  const status: Status = {
    version: '1.2.3',
    started: '2026-01-01T00:00:00.000Z',
    uptimeMs: 1000,
    disk: undefined,
    requests: { blob: {}, manifest: {} },
    hitRatio: { blob: undefined, manifest: undefined },
    upstreams: [
      upstream('plenty', { rateLimit: { limit: 100, remaining: 76 } }),
      upstream('spent', { rateLimit: { limit: 100, remaining: 0 }, pausedMs: 61_000 }),
      upstream('unsaid', { pausedMs: 2000 }),
      upstream('free', {}),
    ],
    offline: { all: false, routes: [] },
    hosted: [
      { name: 'own', push: true },
      { name: 'mixed', push: false },
    ],
    quotas: [
      { route: 'own', limit: 50 * 1024 ** 3, used: 3 * 1024 ** 2, reserved: 2048 },
      { route: 'mixed', limit: 1024, used: 0, reserved: 0 },
    ],
    cache: {
      maxBytes: 50 * GIB,
      usedBytes: 45 * GIB,
      cachedBytes: 44 * GIB,
      blobs: 12_345,
      asideBytes: GIB,
      quarantineBytes: 2048,
      watermarks: { high: 47.5 * GIB, low: 42.5 * GIB },
      keepFreeBytes: 10 * GIB,
      excessBytes: 2048,
      evicted: { blobs: 70, bytes: 3 * GIB, ageMs: 90_000_000 },
      reuse: {
        uses: 1_000,
        points: [
          { bytes: 25 * GIB, hitRatio: 0.41 },
          { bytes: 50 * GIB, hitRatio: 0.6 },
        ],
      },
      pins: [
        { text: 'docker.io/library/*', by: 'configuration' },
        { text: 'ghcr.io/acme/app:v1', by: 'command' },
      ],
    },
    fills: ['docker.io', 'quay.io'].map((registry, at) => ({
      registry,
      digest: 'sha256:5f',
      size: at === 0 ? 4096 : undefined,
      frontier: 2048,
      followers: at,
      upstream: 'hub',
    })),
    partialFills: 0,
    warnings: [],
  };
  const lines = printStatus(status).split('\n');
  const row = (name: string): string => lines.find((line) => line.startsWith(`${name} `)) ?? '';
  expect(row('plenty')).toMatch(/ 12 ms +76 of 100 +-/);
  expect(row('spent')).toMatch(/ 0 of 100, asked again in 1m 1s +-/);
  expect(row('unsaid')).toMatch(/ -, asked again in 2s +-/);
  expect(row('hosted')).toMatch(/ own \(push\), mixed$/);
  const quotas = lines.filter((line) => line.startsWith('quota ')).map((line) => line.replace(/^quota +/, ''));
  expect(quotas).toEqual(['own: 3.0 MiB of 50 GiB, 2.0 KiB more being pushed', 'mixed: 0 B of 1.0 KiB']);
  expect(row('free')).toMatch(/ 12 ms +- +-/);
  expect(row('cache')).toMatch(/ 45 GiB of 50 GiB: 12345 blobs, 1\.0 GiB for fills, 2\.0 KiB in quarantine$/);
  expect(row('makes room')).toMatch(/ at 48 GiB down to 43 GiB; 10 GiB of the disk stay free; 2\.0 KiB too much now$/);
  expect(row('evicted')).toMatch(/ 70 blobs, 3\.0 GiB since the start; the last had not been used for 1d 1h$/);
  expect(row('would hit')).toMatch(/ 41\.0 % with 25 GiB, 60\.0 % with 50 GiB; of 1000 pulls since the start$/);
  // One digest, which two registries bring at the same time.
  const fills = lines.filter((line) => line.startsWith('sha256:5f')).map((line) => line.split(/ {2,}/));
  expect(fills).toEqual([
    ['sha256:5f', 'docker.io', '2.0 KiB of 4.0 KiB', '0', 'hub'],
    ['sha256:5f', 'quay.io', '2.0 KiB of unknown', '1', 'hub'],
  ]);
  expect(row('pinned')).toMatch(/ docker\.io\/library\/\* \(configuration\), ghcr\.io\/acme\/app:v1$/);
});
