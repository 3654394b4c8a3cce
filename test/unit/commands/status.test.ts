import { expect, test } from 'vitest';
import type { Status } from '../../../src/admin/status.ts';
import { printStatus } from '../../../src/commands/status.ts';
import type { UpstreamStatus } from '../../../src/upstream/upstream.ts';

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
    fills: [],
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
});
