import { describe, expect, test } from 'vitest';
import { createDebugApp, type DebugOptions } from '../../../src/http/debug.ts';
import { createHealth, type HealthCheck } from '../../../src/http/health.ts';
import { fileLook, httpLook, tcpLook } from '../../../src/http/health-looks.ts';
import { createStallWatch } from '../../../src/http/outlet.ts';
import { createBuffers } from '../../../src/http/buffers.ts';
import { createSender } from '../../../src/http/sender.ts';
import { soon } from '../../../src/system/turn.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { startEdge, type Edge } from './edge.ts';

function startDebug(options: Partial<DebugOptions>): Promise<Edge> {
  const clock = createFakeClock();
  const send = createSender({ clock, buffers: createBuffers(0), stalls: createStallWatch(clock, 60_000), soon });
  const fetch = createDebugApp({
    send,
    report: () => undefined,
    readiness: () => ({ ready: true, degraded: [] }),
    health: () => ({}),
    down: () => ({}),
    metrics: { path: '/prom', read: () => Promise.resolve({ contentType: 'text/plain; version=0.0.4', text: 'up 1\n' }) },
    ...options,
  });
  return startEdge({ handler: { fetch } });
}

describe('the debug listener', () => {
  test('/metrics at its path', async () => {
    const edge = await startDebug({});
    const reply = await edge.get('/prom');
    expect([reply.headers.get('content-type'), await reply.text()]).toEqual(['text/plain; version=0.0.4', 'up 1\n']);
    expect((await edge.get('/metrics')).status).toBe(404);
  });

  test('without prometheus there are none', async () => {
    const edge = await startDebug({ metrics: undefined });
    expect((await edge.get('/metrics')).status).toBe(404);
  });

  test('[S50] the main listener has neither metrics nor health', async () => {
    const edge = await startEdge();
    for (const path of ['/metrics', '/debug/health']) expect((await edge.get(path)).status).toBe(404);
  });

  test.each([
    [{ ready: true, degraded: [] }, 200, {}],
    [{ ready: true, degraded: ['storage'] }, 200, { degraded: ['storage'] }],
    [{ ready: false, reason: 'draining', degraded: [] }, 503, { reason: 'draining' }],
  ])('/readyz of %j is %i', async (readiness, status, body) => {
    const edge = await startDebug({ readiness: () => readiness });
    const reply = await edge.get('/readyz');
    expect([reply.status, await reply.json()]).toEqual([status, body]);
  });

  test('/debug/health answers as the official registry', async () => {
    const well = await (await startDebug({})).get('/debug/health');
    expect([well.status, await well.text()]).toEqual([200, '{}']);
    const ill = await (await startDebug({ health: () => ({ 'file /x': 'file exists' }) })).get('/debug/health');
    expect([ill.status, await ill.json()]).toEqual([503, { 'file /x': 'file exists' }]);
  });

  test('/debug/health tells of upstreams that are down, which makes nobody restart us', async () => {
    const reply = await (await startDebug({ down: () => ({ 'upstream hub': 'no answer' }) })).get('/debug/health');
    expect([reply.status, await reply.json()]).toEqual([200, { 'upstream hub': 'no answer' }]);
  });
});

describe('[S51] health', () => {
  const check = (look: HealthCheck['look'], threshold = 1): HealthCheck => ({
    name: 'it',
    intervalMs: 10_000,
    timeoutMs: 3000,
    threshold,
    look,
  });

  test('looks by its interval however often it is asked, and says what failed last', async () => {
    const clock = createFakeClock();
    let looks = 0;
    let broken = false;
    const health = createHealth(
      [check(() => (looks++, broken ? Promise.reject(new Error('read-only')) : Promise.resolve()))],
      clock,
    );
    health.start();
    await clock.advance(0);
    for (let asked = 0; asked < 5000; asked++) expect(health.failing()).toEqual({});
    expect(looks).toBe(1);
    broken = true;
    await clock.advance(10_000);
    expect([looks, health.failing()]).toEqual([2, { it: 'read-only' }]);
    broken = false;
    await clock.advance(10_000);
    expect(health.failing()).toEqual({});
    health.stop();
    expect(clock.pending()).toBe(0);
  });

  test('a threshold forgives so many failures less one', async () => {
    const clock = createFakeClock();
    const health = createHealth([check(() => Promise.reject(new Error('no')), 3)], clock);
    health.start();
    await clock.advance(10_000);
    expect(health.failing()).toEqual({});
    await clock.advance(10_000);
    expect(health.failing()).toEqual({ it: 'no' });
    health.stop();
  });

  test('a look that hangs has failed after its timeout, its signal aborts, and the next comes', async () => {
    const clock = createFakeClock();
    const signals: AbortSignal[] = [];
    const health = createHealth([check((signal) => (signals.push(signal), new Promise(() => undefined)))], clock);
    health.start();
    await clock.advance(3000);
    expect(health.failing()).toEqual({ it: 'no answer within 3000 ms' });
    expect(signals[0]?.aborted).toBe(true);
    await clock.advance(10_000);
    expect(signals).toHaveLength(2);
    health.stop();
  });

  test('stop during a look is for good', async () => {
    const clock = createFakeClock();
    const health = createHealth([check(() => Promise.resolve())], clock);
    health.start();
    health.stop();
    await clock.advance(0);
    expect(clock.pending()).toBe(0);
  });

  test('http, tcp and file looks', async () => {
    const edge = await startEdge();
    const { signal } = new AbortController();
    const url = `http://127.0.0.1:${edge.port}`;
    await expect(httpLook({ url: `${url}/v2/`, headers: {}, status: 200 })(signal)).resolves.toBeUndefined();
    await expect(httpLook({ url: `${url}/nothing`, headers: {}, status: 200 })(signal)).rejects.toThrow('404');
    await expect(httpLook({ url: `${url}/nothing`, headers: { a: ['b', 'c'] }, status: 404 })(signal)).resolves.toBeUndefined();
    await expect(tcpLook('127.0.0.1', edge.port)(signal)).resolves.toBeUndefined();
    await edge.listener.drain(0);
    await expect(tcpLook('127.0.0.1', edge.port)(signal)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(fileLook('/x', () => Promise.resolve(true))(signal)).rejects.toThrow('file exists');
    await expect(fileLook('/x', () => Promise.resolve(false))(signal)).resolves.toBeUndefined();
  });
});
