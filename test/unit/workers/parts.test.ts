import { describe, expect, test } from 'vitest';
import { clientsOfAll } from '../../../src/admin/clients-of-all.ts';
import { statusOfAll } from '../../../src/admin/status-of-all.ts';
import type { Status } from '../../../src/admin/status.ts';
import { createMetrics, textOfShares } from '../../../src/observe/metrics.ts';
import { processors } from '../../../src/system/processors.ts';
import { addCounted, type MetricShare } from '../../../src/workers/counted.ts';
import { ALONE } from '../../../src/workers/siblings.ts';
import { counter } from './scene.ts';

describe('processors', () => {
  const files = (held: Readonly<Record<string, string>>) => (path: string) => {
    const text = held[path];
    if (text === undefined) throw new Error('ENOENT');
    return text;
  };
  const all = processors(files({}));

  test.each([
    ['no group', {}, all],
    ['no limit', { '/sys/fs/cgroup/cpu.max': 'max 100000\n' }, all],
    ['one', { '/sys/fs/cgroup/cpu.max': '100000 100000\n' }, 1],
    ['half of one', { '/sys/fs/cgroup/cpu.max': '50000 100000\n' }, 1],
    ['more than there are', { '/sys/fs/cgroup/cpu.max': '99900000 100000\n' }, all],
    [
      'one, by cgroups 1',
      { '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '100000', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000' },
      1,
    ],
    [
      'no limit, by cgroups 1',
      { '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000' },
      all,
    ],
  ])('%s', (_name, held, expected) => {
    expect(processors(files(held))).toBe(expected);
  });
});

test('what was counted is added by name and labels, whatever their order; states are not', () => {
  const gauge: MetricShare = { ...counter('running', 4), type: 'gauge' };
  const sums = addCounted([
    [counter('pulls', 1, { type: 'blob', route: 'hub' }), gauge],
    [counter('pulls', 2, { route: 'hub', type: 'blob' }), counter('pushes', 5)],
    [counter('pulls', 4, { route: 'hub', type: 'manifest' })],
  ]);
  expect(sums.map(({ name, values }) => [name, values.map(({ value }) => value)])).toEqual([
    ['pulls', [3, 4]],
    ['pushes', [5]],
  ]);
});

describe('metrics of several processes', () => {
  test('are summed where each has some, and looked up once where all see the same', async () => {
    const [one, two] = [
      createMetrics({ version: '1', processMetrics: false }),
      createMetrics({ version: '1', processMetrics: false }),
    ];
    for (const [metrics, times] of [
      [one, 1],
      [two, 2],
    ] as const) {
      metrics.count('entrepot_evictions_total', {}, times);
      metrics.record('entrepot_request_seconds', { type: 'blob', outcome: 'hit' }, 0.003);
      metrics.set('entrepot_fills_running', {}, times);
      metrics.set('entrepot_degraded', { reason: 'storage' }, times - 1);
      metrics.set('entrepot_upstream_up', { upstream: 'hub' }, 2 - times);
      metrics.set('entrepot_disk_free_bytes', {}, 1000 * times);
    }
    two.set('entrepot_cache_max_bytes', {}, 5);
    const shares = structuredClone([await one.share(), await two.share()]);
    const lines = (await textOfShares(shares)).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        'entrepot_evictions_total 3',
        'entrepot_request_seconds_count{type="blob",outcome="hit"} 2',
        'entrepot_request_seconds_bucket{le="0.005",type="blob",outcome="hit"} 2',
        'entrepot_fills_running 3',
        'entrepot_degraded{reason="storage"} 1',
        'entrepot_upstream_up{upstream="hub"} 0',
        'entrepot_disk_free_bytes 1000',
        'entrepot_cache_max_bytes 5',
        'entrepot_build_info{version="1"} 1',
        'entrepot_config_last_reload_successful 1',
      ]),
    );
  });
});

test('a client that came to several workers is one', () => {
  const client = { address: '10.0.0.1', kind: 'docker', userAgent: 'old', requests: 2, bytes: 10, first: 5, last: 7 };
  const later = { ...client, userAgent: 'new', requests: 3, bytes: 1, first: 6, last: 9 };
  const other = { ...client, kind: 'containerd', last: 8 };
  expect(clientsOfAll([[client, other], [later]])).toEqual([
    { ...client, userAgent: 'new', requests: 5, bytes: 11, first: 5, last: 9 },
    other,
  ]);
});

describe('one status of several processes', () => {
  const upstream = {
    name: 'hub',
    url: 'https://hub.test',
    up: true,
    latencyMs: 5,
    credentialsValid: true,
    lastError: undefined,
    rateLimit: { limit: 100, remaining: 40 },
    running: 1,
  };
  const cache = { evicted: { blobs: 1, bytes: 10, ageMs: 500 }, reuse: { uses: 1, points: [{ bytes: 100, hitRatio: 1 }] } };
  const own = {
    requests: { blob: { hit: 3 }, manifest: {} },
    hitRatio: { blob: 1, manifest: undefined },
    cache,
    upstreams: [upstream],
    fills: [{ digest: 'a' }],
    warnings: ['both', 'mine'],
  } as unknown as Status;
  const other = {
    requests: { blob: { hit: 1, miss: 4 }, manifest: { miss: 1 } },
    hitRatio: { blob: 0.2, manifest: 0 },
    cache: { evicted: { blobs: 2, bytes: 5, ageMs: 300 }, reuse: { uses: 3, points: [{ bytes: 100, hitRatio: 0 }] } },
    upstreams: [
      {
        ...upstream,
        up: false,
        credentialsValid: false,
        lastError: 'down',
        rateLimit: { limit: 100, remaining: 30 },
        running: 2,
      },
    ],
    fills: [{ digest: 'b' }],
    warnings: ['both', 'theirs'],
  } as unknown as Status;

  test('adds what each counted, and tells of the worst', () => {
    const status = statusOfAll(own, [other], { workers: [], restarted: 1 }, 2);
    expect(status.requests).toEqual({ blob: { hit: 4, miss: 4 }, manifest: { miss: 1 } });
    expect(status.hitRatio).toEqual({ blob: 0.5, manifest: 0 });
    expect(status.cache).toMatchObject({
      evicted: { blobs: 3, bytes: 15, ageMs: 300 },
      reuse: { uses: 4, points: [{ bytes: 100, hitRatio: 0.25 }] },
    });
    expect(status.upstreams).toEqual([
      {
        ...upstream,
        up: false,
        credentialsValid: false,
        lastError: 'down',
        rateLimit: { limit: 100, remaining: 30 },
        running: 3,
      },
    ]);
    expect(status.fills).toEqual([{ digest: 'a' }, { digest: 'b' }]);
    expect(status.warnings).toEqual([
      'both',
      'mine',
      'theirs',
      '2 writes to the log were dropped: nobody reads the log fast enough',
    ]);
    expect(status.workers?.restarted).toBe(1);
  });
});

test('a process that is alone has the duties at once, and nobody to ask', async () => {
  let begun = false;
  ALONE.onDuty(() => (begun = true));
  expect([begun, await ALONE.gather('anything')]).toEqual([true, []]);
  await expect(ALONE.ask('anything')).rejects.toThrow('no primary');
});
