import { describe, expect } from 'vitest';
import { createFullListener, createSilentListener, type DeadListener } from '../fakes/dead-listener.ts';
import { randomBlob, type Blob } from '../fakes/images.ts';
import { scenario, times, type Stage } from './harness.ts';
import type { Running } from './running.ts';
import { ALPINE, blobPath } from './paths.ts';
import { chainTo, routesTo } from './settings.ts';

const own = { settings: null };

/** Failures in a row that open the breaker. */
const FAILURES = 5;

/** A server whose first upstream is dead and whose second has `blobs`. */
async function withDead(stage: Stage, dead: Pick<DeadListener, 'url'>, options = {}): Promise<Running & { blobs: Blob[] }> {
  const { upstream } = stage;
  const blobs = times(FAILURES + 100, (at) => randomBlob(100, at + 1));
  for (const blob of blobs) upstream.blob(ALPINE, blob);
  const timeout = { connect: '200ms', headers: '200ms' };
  const server = await stage.start(chainTo({ dead: { url: dead.url, timeout, ...options }, hub: { url: upstream.url } }));
  return Object.assign(Object.create(server) as typeof server, { blobs });
}

async function pull(server: Running, blob: Blob): Promise<void> {
  const reply = await server.get(blobPath(blob));
  expect([reply.status, await reply.sha256()]).toEqual([200, blob.digest]);
}

/** Why the first upstream was passed by, of each request. */
function reasons(server: Running): string[] {
  const requests = server.records.filter(({ msg, tried }) => msg === 'request' && (tried as unknown[]).length > 0);
  return requests.map(({ tried }) => {
    const [first] = tried as readonly { readonly error: string }[];
    return /passed over/.test(first?.error ?? '') ? 'passed over' : (first?.error ?? '');
  });
}

const dead = [
  ['one that accepts and never answers', () => createSilentListener(), /no answer within 200 ms/],
  ['one whose queue of connections is full', () => createFullListener(), /no connection to .* within 200 ms/],
] as const;

for (const [what, listen, why] of dead) {
  describe.concurrent(`a dead first upstream: ${what}`, () => {
    scenario(
      'a request loses the limit at most, and once the breaker is open nothing: it is not dialled',
      async (stage) => {
        const listener = await listen();
        stage.defer(() => listener.close());
        const server = await withDead(stage, listener);
        const [first, rest] = [server.blobs.slice(0, FAILURES), server.blobs.slice(FAILURES)];
        for (const blob of first) await pull(server, blob);
        expect(listener.tries()).toBe(FAILURES);
        await server.logged('upstream down');
        const probes = async (): Promise<number> =>
          (await server.metrics()).sum('entrepot_upstream_errors_total', { upstream: 'dead' });
        const failedBefore = await probes();
        for (const blob of rest) await pull(server, blob);
        await server.logged('request', ({ digest }) => digest === rest.at(-1)!.digest);
        // Who looks whether it is there again dials too, but nobody waits for it.
        expect(listener.tries() - FAILURES).toBeLessThanOrEqual((await probes()) - failedBefore + 1);
        const said = reasons(server);
        expect(said.length).toBe(FAILURES + rest.length);
        for (const each of said.slice(0, FAILURES)) expect(each).toMatch(why);
        expect(said.slice(FAILURES)).toEqual(rest.map(() => 'passed over'));
        expect((await server.metrics()).sum('entrepot_upstream_up', { upstream: 'dead' })).toBe(0);
        const health = await server.debug('/debug/health');
        expect([health.status, await health.json()]).toEqual([200, { 'upstream dead': expect.stringMatching(why) as unknown }]);
      },
      own,
    );
  });
}

describe.concurrent('an upstream that comes back', () => {
  scenario('is found by a probe, tried with one request, and then up', async (stage) => {
    const { upstream, server } = stage;
    const second = randomBlob(100, 2);
    upstream.blob(ALPINE, second);
    upstream.all.status(503);
    for (let turn = 0; turn < FAILURES; turn++) expect((await server.get(blobPath(randomBlob(50, turn)))).status).toBe(502);
    await server.logged('upstream down');
    upstream.all.clear();
    upstream.forget();
    expect((await server.get(blobPath(second))).status).toBe(502);
    await upstream.received('GET ping');
    expect(upstream.hits('blob')).toBe(0);
    expect((await server.metrics()).sum('entrepot_upstream_up', { upstream: 'hub' })).toBe(0);
    await pull(server, second);
    await server.logged('upstream up');
    expect((await server.metrics()).sum('entrepot_upstream_up', { upstream: 'hub' })).toBe(1);
    expect(await (await server.debug('/debug/health')).json()).toEqual({});
  });

  scenario(
    'with a check is found down without any request',
    async (stage) => {
      const { upstream } = stage;
      upstream.all.status(500);
      const server = await stage.start(routesTo(upstream, {}, { check: '1s' }));
      await server.logged('upstream down');
      expect(upstream.hits('GET ping')).toBe(upstream.requests.length);
      expect(upstream.requests.length).toBe(FAILURES);
    },
    own,
  );
});
