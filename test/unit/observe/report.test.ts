import { describe, expect, test } from 'vitest';
import type { HouseEvent, Outcome } from '../../../src/observe/events.ts';
import { createMetrics } from '../../../src/observe/metrics.ts';
import { createReporter } from '../../../src/observe/report.ts';
import { recordingLog, requestEvent } from './recorder.ts';

const DIGEST = `sha256:${'b'.repeat(64)}`;

function reporter(accesslog = true, reserve = 0) {
  const { log, records } = recordingLog({ level: 'info' });
  const metrics = createMetrics({ version: '0', processMetrics: false });
  const seen: HouseEvent[] = [];
  const report = createReporter({
    log,
    metrics,
    known: { registries: () => new Set(['docker.io']), upstreams: () => new Set(['hub-a']) },
    accesslog: () => accesslog,
    reserveOf: (upstream) => (upstream === 'hub-a' ? reserve : 0),
    onRequest: (event) => seen.push(event),
  });
  const messages = (): unknown[] => records().map(({ msg }) => msg);
  return { report, records, messages, text: () => metrics.text(), seen };
}

describe('a request', () => {
  test('is one record with exactly the contract’s fields', () => {
    const { report, records } = reporter();
    report(
      requestEvent(
        { path: '/v2/library/alpine/manifests/latest?token=cAnArY' },
        { tried: [{ upstream: 'b', error: 'connect', ms: 3.14159 }] },
      ),
    );
    expect(records()).toHaveLength(1);
    expect(records()[0]).toEqual({
      time: expect.any(String) as string,
      level: 'info',
      msg: 'request',
      request_id: 'r1',
      client: '10.0.0.7',
      client_kind: 'docker',
      user_agent: 'docker/29.0.0 go/go1.25',
      user: null,
      method: 'GET',
      path: '/v2/library/alpine/manifests/latest',
      status: 200,
      registry: 'docker.io',
      repository: 'library/alpine',
      reference: 'latest',
      digest: `sha256:${'a'.repeat(64)}`,
      type: 'manifest',
      route: 'hub',
      outcome: 'hit',
      upstream: 'hub-a',
      tried: [{ upstream: 'b', error: 'connect', ms: 3.1 }],
      bytes: 1000,
      size: 1000,
      first_byte_ms: 1.2,
      ms: 2.3,
      age_s: 12,
      aborted: false,
    });
  });

  test('is not logged without accesslog, and counted all the same', async () => {
    const { report, records, text, seen } = reporter(false);
    report(requestEvent());
    expect(records()).toEqual([]);
    expect(seen).toHaveLength(1);
    expect(await text()).toContain('entrepot_requests_total{type="manifest",route="hub",registry="docker.io",outcome="hit"} 1');
  });

  test.each<[Outcome, number, number]>([
    ['hit', 1, 0],
    ['stale', 1, 0],
    ['revalidated', 1, 0],
    ['miss', 0, 1],
    ['collapsed', 0, 1],
    ['bypass', 0, 1],
    ['negative', 0, 0],
    ['denied', 0, 0],
    ['error', 0, 0],
  ])('%s counts %i hits and %i misses; requests are their sum', async (outcome, hits, misses) => {
    const { report, text } = reporter();
    report(requestEvent({}, { outcome, type: 'blob' }));
    const shown = await text();
    expect(shown).toContain(`registry_proxy_hits_total{type="blob"} ${hits}\n`);
    expect(shown).toContain(`registry_proxy_misses_total{type="blob"} ${misses}\n`);
    expect(shown).toContain(`registry_proxy_requests_total{type="blob"} ${hits + misses}\n`);
    expect(shown).toContain(`registry_proxy_pushed_bytes_total{type="blob"} ${(hits + misses) * 1000}\n`);
  });

  test('10,000 made-up registries, upstreams, methods and repositories add no series (S50)', async () => {
    const { report, text } = reporter();
    const make = (at: number): void => {
      report(requestEvent({ method: `M${at}` }, { registry: `r${at}.test`, repository: `x/${at}`, reference: `t${at}` }));
      report({ kind: 'upstream-request', upstream: `r${at}.test`, what: 'manifest', status: 200, ms: 1 });
      report({ kind: 'verify-failed', upstream: `r${at}.test`, digest: DIGEST, whole: true });
    };
    make(0);
    const before = (await text()).split('\n').length;
    for (let at = 1; at <= 10_000; at += 1) make(at);
    expect((await text()).split('\n').length).toBe(before);
    expect(await text()).toContain('registry="other"');
  });

  test('is in flight until it has ended', async () => {
    const { report, text } = reporter();
    report({ kind: 'request started', handler: 'blob' });
    expect(await text()).toContain('registry_http_in_flight_requests{handler="blob"} 1');
    report(requestEvent({ handler: 'blob' }));
    const after = await text();
    expect(after).toContain('registry_http_in_flight_requests{handler="blob"} 0');
    expect(after).toContain('registry_http_requests_total{code="200",handler="blob",method="get"} 1');
  });

  test('a refusal is counted by who refused', async () => {
    const { report, text } = reporter();
    report(requestEvent({ status: 403 }, { outcome: 'denied', upstream: undefined }));
    report(requestEvent({ status: 403 }, { outcome: 'denied', upstream: 'hub-a' }));
    expect(await text()).toContain('entrepot_denied_total{action="pull",reason="route"} 1');
    expect(await text()).toContain('entrepot_denied_total{action="pull",reason="upstream"} 1');
  });
});

describe('a change of state is logged once per change', () => {
  const down = { kind: 'upstream-down', upstream: 'hub-a', message: 'connect refused', ms: 1000 } as const;
  const up = { kind: 'upstream-up', upstream: 'hub-a' } as const;
  const refused = { kind: 'credentials-refused', upstream: 'hub-a', message: '401' } as const;
  const accepted = { kind: 'credentials-accepted', upstream: 'hub-a' } as const;
  const full = {
    kind: 'bypass',
    reason: 'storage',
    error: new Error('write', { cause: Object.assign(new Error('no space'), { code: 'ENOSPC' }) }),
  } as const;
  const kept = { kind: 'kept', digest: DIGEST, bytes: 1 } as const;
  const low = { kind: 'ratelimit', upstream: 'hub-a', limit: 100, remaining: 5, limited: false, us: 0, others: 0 } as const;
  const enough = { ...low, remaining: 90 };

  test.each<[string, readonly HouseEvent[], readonly string[]]>([
    ['upstream', [up, down, down, up, up, down], ['upstream down', 'upstream up', 'upstream down']],
    [
      'credentials',
      [accepted, refused, refused, accepted, refused],
      ['credentials refused', 'credentials accepted', 'credentials refused'],
    ],
    ['budget', [enough, low, low, enough, { ...low, limited: true, remaining: undefined }], ['budget low', 'budget low']],
    [
      'budget that hardly rises',
      [low, { ...low, remaining: 15 }, low, { ...low, remaining: 20 }, low],
      ['budget low', 'budget low'],
    ],
    ['disk', [kept, full, full, kept, kept, full], ['disk full', 'disk ok', 'disk full']],
  ])('%s', (_name, events, expected) => {
    const { report, messages } = reporter();
    for (const event of events) report(event);
    expect(messages()).toEqual(expected);
  });

  test.each([
    [50, [90, 49, 60, 99, 49, 100, 49], 2],
    [50, [90, 49, 40, 60, 45], 1],
    [500, [100, 99, 99, 100, 98], 2],
    [0, [90, 49, 11, 10], 0],
  ])('a budget is low below a route’s reserve, %i pulls, too: %j', (reserve, remainders, times) => {
    const { report, messages } = reporter(true, reserve);
    for (const remaining of remainders) report({ ...low, remaining });
    expect(messages()).toEqual(Array.from({ length: times }, () => 'budget low'));
  });

  test('what is spent is counted, by us and by others, and both are there at once', async () => {
    const { report, text } = reporter();
    report({ ...low, remaining: 90 });
    expect(await text()).toContain('entrepot_upstream_ratelimit_spent_total{upstream="hub-a",by="others"} 0');
    report({ ...low, remaining: 80, us: 1, others: 9 });
    report({ ...low, limit: undefined, remaining: undefined, limited: true });
    expect(await text()).toContain('entrepot_upstream_ratelimit_spent_total{upstream="hub-a",by="us"} 1');
    expect(await text()).toContain('entrepot_upstream_ratelimit_spent_total{upstream="hub-a",by="others"} 9');
  });

  test('one upstream’s state is not another’s', () => {
    const { report, messages } = reporter();
    report(down);
    report({ ...down, upstream: 'other' });
    expect(messages()).toEqual(['upstream down', 'upstream down']);
  });

  test('degraded is a gauge that goes back', async () => {
    const { report, messages, text } = reporter();
    report({ kind: 'bypass', reason: 'metadata', error: new Error('timeout') });
    expect(await text()).toContain('entrepot_degraded{reason="metadata"} 1');
    expect(await text()).toContain('entrepot_bypass_total{reason="metadata"} 1');
    report(kept);
    expect(await text()).toContain('entrepot_degraded{reason="metadata"} 0');
    expect(messages()).toEqual(['degraded', 'recovered']);
  });

  test('trouble that a look found is no bypass, and ends by itself alone', async () => {
    const { report, messages, text } = reporter();
    report({ kind: 'degraded', reason: 'storage', error: Object.assign(new Error('full'), { code: 'ENOSPC' }) });
    report({ kind: 'degraded', reason: 'metadata', error: new Error('timeout') });
    report({ kind: 'recovered', reason: 'storage' });
    const shown = await text();
    expect(shown).toContain('entrepot_degraded{reason="storage"} 0');
    expect(shown).toContain('entrepot_degraded{reason="metadata"} 1');
    expect(shown).not.toContain('entrepot_bypass_total{');
    expect(messages()).toEqual(['disk full', 'degraded', 'disk ok']);
  });

  test.each<[HouseEvent, string, string]>([
    [{ kind: 'verify-failed', upstream: 'hub-a', digest: DIGEST, whole: true }, 'verify failed', 'error'],
    [{ kind: 'quarantined', digest: DIGEST, why: 'size' }, 'quarantined', 'error'],
    [
      { kind: 'tag-moved', repository: 'docker.io/library/alpine', tag: 'latest', from: DIGEST, to: DIGEST },
      'tag moved',
      'info',
    ],
    [{ kind: 'reloaded', config: 'config.yml', restart: ['http.addr'] }, 'reloaded', 'info'],
    [{ kind: 'reload-failed', config: 'config.yml', message: 'config.yml:1:1: http' }, 'reload failed', 'error'],
    [{ kind: 'draining', requests: 3 }, 'draining', 'info'],
    [{ kind: 'plain-http', address: '[::]:5000' }, 'plain http', 'warn'],
  ])('%j is the record "%s"', (event, message, level) => {
    const { report, records } = reporter();
    report(event);
    expect(records()).toMatchObject([{ msg: message, level }]);
  });

  test('the same wrong file is said once, until it was right', () => {
    const { report, messages } = reporter();
    const wrong = { kind: 'reload-failed', config: 'c', message: 'c:1:1: http' } as const;
    for (const event of [
      wrong,
      wrong,
      { ...wrong, message: 'c:2:1: log' },
      { kind: 'reloaded', config: 'c', restart: [] } as const,
      wrong,
    ])
      report(event);
    expect(messages()).toEqual(['reload failed', 'reload failed', 'reloaded', 'reload failed']);
  });

  test('a refused reload stands in a metric until one succeeds', async () => {
    const { report, text } = reporter();
    report({ kind: 'reload-failed', config: 'c', message: 'm' });
    expect(await text()).toContain('entrepot_config_last_reload_successful 0');
    report({ kind: 'reloaded', config: 'c', restart: [] });
    expect(await text()).toContain('entrepot_config_last_reload_successful 1');
  });

  test('a refused certificate stands in it too, whatever becomes of the configuration', async () => {
    const { report, text, messages } = reporter();
    const certificate = { part: 'certificate', config: 'http.tls' } as const;
    report({ kind: 'reload-failed', ...certificate, message: 'm' });
    report({ kind: 'reload-failed', ...certificate, message: 'm' });
    report({ kind: 'reloaded', config: 'c', restart: [] });
    expect(await text()).toContain('entrepot_config_last_reload_successful 0');
    expect(messages()).toEqual(['reload failed', 'reloaded']);
    report({ kind: 'reloaded', ...certificate, restart: [] });
    expect(await text()).toContain('entrepot_config_last_reload_successful 1');
  });

  test('what is left of a certificate is said when it changes, and stands in a metric', async () => {
    const { report, text, records } = reporter();
    const expires = Date.UTC(2027, 0, 1);
    for (const left of ['enough', 'enough', 'little', 'little', 'none', 'enough', 'little'] as const)
      report({ kind: 'certificate', name: 'http.tls', expires, left });
    const record = { msg: 'certificate expires', name: 'http.tls', expires: '2027-01-01T00:00:00.000Z' };
    expect(records()).toMatchObject([
      { level: 'warn', ...record },
      { level: 'error', ...record },
      { level: 'warn', ...record },
    ]);
    expect(await text()).toContain(`entrepot_certificate_expiry_timestamp_seconds{name="http.tls"} ${expires / 1000}`);
  });

  test('listening carries addresses, config, rootdirectory and version', () => {
    const { report, records } = reporter();
    report({
      kind: 'listening',
      addresses: { main: '127.0.0.1:5000' },
      config: '/c.yml',
      rootdirectory: '/data',
      version: '1',
    });
    expect(records()).toMatchObject([
      { msg: 'listening', addresses: { main: '127.0.0.1:5000' }, config: '/c.yml', rootdirectory: '/data', version: '1' },
    ]);
  });
});

describe('fills and upstreams', () => {
  test('are counted', async () => {
    const { report, text } = reporter();
    report({ kind: 'fill-started', registry: 'docker.io', digest: DIGEST });
    report({ kind: 'fill-started', registry: 'docker.io', digest: DIGEST });
    report({ kind: 'fill-followers', count: 4 });
    report({ kind: 'fill-ended', registry: 'docker.io', digest: DIGEST, outcome: 'done', bytes: 10, ms: 5 });
    report({ kind: 'resumed', upstream: 'hub-a', digest: DIGEST, from: 5 });
    report({ kind: 'upstream-request', upstream: 'hub-a', what: 'blob', status: 206, ms: 20 });
    report({ kind: 'upstream-error', upstream: 'hub-a', reason: 'cut', message: 'cut' });
    report({ kind: 'upstream-bytes', upstream: 'hub-a', bytes: 7, what: 'manifest' });
    report({ kind: 'upstream-bytes', upstream: 'hub-a', bytes: 2, what: 'token' });
    const shown = await text();
    for (const line of [
      'entrepot_fills_running 1',
      'entrepot_fills_total{outcome="done"} 1',
      'entrepot_fill_followers 4',
      'entrepot_upstream_resumes_total{upstream="hub-a"} 1',
      'entrepot_upstream_requests_total{upstream="hub-a",kind="blob",status="206"} 1',
      'entrepot_upstream_errors_total{upstream="hub-a",reason="cut"} 1',
      'entrepot_upstream_bytes_total{upstream="hub-a"} 9',
      'registry_proxy_pulled_bytes_total{type="manifest"} 7',
      'registry_proxy_pulled_bytes_total{type="blob"} 0',
    ]) {
      expect(shown).toContain(`${line}\n`);
    }
  });
});

describe('evictions', () => {
  const gone = { kind: 'evicted', at: 5_000, blobs: 3, bytes: 3_000, idleMs: 7_200_400, ms: 12 } as const;

  test('are one record a round, with totals', async () => {
    const { report, records, text } = reporter();
    report({ ...gone, why: 'limit' });
    report({ ...gone, why: 'limit' });
    expect(records()).toMatchObject([
      { level: 'info', msg: 'evicting', why: 'limit', blobs: 3, bytes: 3_000, idle_s: 7200, ms: 12 },
      { msg: 'evicting' },
    ]);
    const exposition = await text();
    expect(exposition).toContain('entrepot_evictions_total 6');
    expect(exposition).toContain('entrepot_evicted_bytes_total 6000');
    expect(exposition).toContain('entrepot_eviction_age_seconds 7200.4');
    expect(exposition).toContain('entrepot_task_last_success_timestamp_seconds{task="evict"} 5');
  });

  test('that were asked for, or came of age, say nothing of the size of the cache; nor is there an age before the first', async () => {
    const { report, text } = reporter();
    report({ ...gone, why: 'asked' });
    report({ ...gone, why: 'maxage' });
    expect(await text()).not.toMatch(/^entrepot_eviction_age_seconds/m);
    expect(await text()).toContain('entrepot_evictions_total 6');
  });

  test('that cannot hold the limits are said once, until they can again', () => {
    const { report, messages, records } = reporter();
    report({ kind: 'evict-stuck', bytes: 10, files: 0 });
    report({ kind: 'evict-stuck', bytes: 20, files: 0 });
    expect(records()).toMatchObject([{ level: 'warn', msg: 'cache over its limits', bytes: 10 }]);
    report({ ...gone, why: 'asked' });
    report({ kind: 'evict-stuck', bytes: 20, files: 0 });
    report({ ...gone, why: 'limit' });
    report({ kind: 'evict-stuck', bytes: 20, files: 0 });
    expect(messages()).toEqual(['cache over its limits', 'evicting', 'evicting', 'cache over its limits']);
  });

  test('that fail are said once', () => {
    const { report, messages } = reporter();
    for (let look = 0; look < 3; look += 1) report({ kind: 'evict-failed', error: new Error('down') });
    report({ ...gone, why: 'limit' });
    report({ kind: 'evict-failed', error: new Error('down') });
    expect(messages()).toEqual(['evicting failed', 'evicting', 'evicting failed']);
  });

  test('a fill that found no room is counted, and is no trouble', async () => {
    const { report, messages, text } = reporter();
    report({ kind: 'bypass', reason: 'room', error: new Error('no room') });
    expect(await text()).toContain('entrepot_bypass_total{reason="room"} 1');
    expect(await text()).toContain('entrepot_degraded{reason="storage"} 0');
    expect(messages()).toEqual([]);
  });
});
