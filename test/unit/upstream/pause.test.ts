import { describe, expect, test } from 'vitest';
import type { UpstreamAnswer } from '../../../src/upstream/upstream.ts';
import { createPause, withPause } from '../../../src/upstream/with-pause.ts';
import { createProcessMemory, type Memory } from '../../../src/upstream/with-quota.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { answer, never, serve, upstreamOf, wantBlob, wantManifest } from './servers.ts';

const ABSENT: UpstreamAnswer = { kind: 'absent' };
const limited = (retryAfterSeconds?: number): UpstreamAnswer => ({ kind: 'limited', retryAfterSeconds });

interface Setting {
  readonly clock?: FakeClock;
  readonly memory?: Memory;
  readonly key?: string;
}

/** An upstream that says what `say` was told last. */
function paused({ clock = createFakeClock(), memory = createProcessMemory(), key = 'hub' }: Setting = {}) {
  let said: UpstreamAnswer = limited(7);
  let asked = 0;
  const ask = withPause(async () => (asked++, said), createPause({ clock, memory, key }));
  return {
    clock,
    memory,
    asked: () => asked,
    say: (next: UpstreamAnswer) => void (said = next),
    manifest: () => ask(wantManifest(), never),
    blob: () => ask(wantBlob(), never),
  };
}

describe('[R11] after a 429', () => {
  test('questions of that kind are answered from here until the upstream may be asked again', async () => {
    const { clock, asked, manifest, blob } = paused();
    expect(await manifest()).toEqual(limited(7));
    await clock.advance(3000);
    expect(await manifest()).toEqual(limited(4));
    expect(asked()).toBe(1);
    await blob();
    expect(asked()).toBe(2);
    await clock.advance(4000);
    await manifest();
    expect(asked()).toBe(3);
  });

  test('without a Retry-After it is asked once a second, then ever more seldom, once a minute at least', async () => {
    const { clock, say, manifest } = paused();
    say(limited());
    const waits: number[] = [];
    for (let turn = 0; turn < 9; turn++) {
      const { retryAfterSeconds } = (await manifest()) as { retryAfterSeconds: number };
      waits.push(retryAfterSeconds);
      await clock.advance(retryAfterSeconds * 1000);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  });

  test('whatever it wants, it is looked at again after a minute, two, four … and every quarter of an hour', async () => {
    const { clock, say, manifest, asked } = paused();
    say(limited(6 * 3600));
    const waits: number[] = [];
    for (let turn = 0; turn < 6; turn++) {
      const { retryAfterSeconds } = (await manifest()) as { retryAfterSeconds: number };
      waits.push(retryAfterSeconds);
      await clock.advance(retryAfterSeconds * 1000 - 1);
      await manifest();
      await clock.advance(1);
    }
    expect(waits).toEqual([60, 120, 240, 480, 900, 900]);
    expect(asked()).toBe(6);
    say(ABSENT);
    expect(await manifest()).toEqual(ABSENT);
    say(limited(6 * 3600));
    expect(await manifest()).toEqual(limited(60));
  });

  test('a HEAD that costs nothing does not make a spent limit be looked at each minute', async () => {
    const clock = createFakeClock();
    const pause = createPause({ clock, memory: createProcessMemory(), key: 'hub' });
    const ask = withPause(async ({ method }) => (method === 'GET' ? limited(6 * 3600) : ABSENT), pause);
    const waits: number[] = [];
    for (let turn = 0; turn < 5; turn++) {
      expect(await ask(wantManifest({ method: 'HEAD' }), never)).toEqual(ABSENT);
      const { retryAfterSeconds } = (await ask(wantManifest(), never)) as { retryAfterSeconds: number };
      waits.push(retryAfterSeconds);
      await clock.advance(retryAfterSeconds * 1000);
    }
    expect(waits).toEqual([60, 120, 240, 480, 900]);
  });

  test('one to HEADs is over with the first HEAD that is answered', async () => {
    const clock = createFakeClock();
    const pause = createPause({ clock, memory: createProcessMemory(), key: 'hub' });
    let said: UpstreamAnswer = limited(3600);
    const ask = withPause(async () => said, pause);
    const head = (): Promise<UpstreamAnswer> => ask(wantManifest({ method: 'HEAD' }), never);
    for (const wait of [60, 120]) {
      expect(await head()).toEqual(limited(wait));
      await clock.advance(wait * 1000);
    }
    said = ABSENT;
    await head();
    said = limited(3600);
    expect(await head()).toEqual(limited(60));
  });

  test('a Retry-After of 0 still is a pause', async () => {
    const { say, manifest, asked } = paused();
    say(limited(0));
    expect(await manifest()).toEqual(limited(1));
    await manifest();
    expect(asked()).toBe(1);
  });

  test('many who asked at once hear it as one, and an answer of before ends nothing', async () => {
    const clock = createFakeClock();
    const open: ((said: UpstreamAnswer) => void)[] = [];
    const ask = withPause(
      () => new Promise<UpstreamAnswer>((resolve) => void open.push(resolve)),
      createPause({ clock, memory: createProcessMemory(), key: 'hub' }),
    );
    const asking = Array.from({ length: 20 }, () => ask(wantManifest(), never));
    await clock.advance(0);
    for (const [at, say] of open.entries()) say(at === 5 ? ABSENT : limited(3600));
    const answers = await Promise.all(asking);
    expect(answers.filter(({ kind }) => kind === 'limited')).toEqual(Array.from({ length: 19 }, () => limited(60)));
    await clock.advance(59_000);
    expect(await ask(wantManifest(), never)).toEqual(limited(1));
    expect(open).toHaveLength(20);
  });

  test('who waited for a slot meanwhile does not ask what is spent', async () => {
    const server = await serve((_request, response) => answer(response, 429, { 'retry-after': '60' }));
    const upstream = upstreamOf(server, { concurrency: 1 });
    const answers = await Promise.all(Array.from({ length: 10 }, () => upstream.ask(wantManifest(), never)));
    expect(answers.map(({ kind }) => kind)).toEqual(Array.from({ length: 10 }, () => 'limited'));
    expect(server.seen).toHaveLength(1);
    expect(upstream.standing('docker.io').budget).toBe(0);
  });
});

describe('a pause outlives a restart', () => {
  test('and is known to another node within seconds; another account’s is another', async () => {
    const { clock, memory, say, manifest } = paused();
    const [node, stranger] = [paused({ clock, memory }), paused({ clock, memory, key: 'other' })];
    node.say(ABSENT);
    stranger.say(ABSENT);
    expect(await node.manifest()).toEqual(ABSENT);
    say(limited(50));
    await manifest();
    const restarted = paused({ clock, memory });
    expect(await restarted.manifest()).toEqual(limited(50));
    expect(await restarted.blob()).toMatchObject({ kind: 'limited' });
    expect(restarted.asked()).toBe(1);
    await clock.advance(5000);
    expect(await node.manifest()).toEqual(limited(45));
    expect(await stranger.manifest()).toEqual(ABSENT);
    await clock.advance(45_000);
    expect(await node.manifest()).toEqual(ABSENT);
  });

  test.each([
    ['back an hour', -3_600_000],
    ['back ten years', -10 * 365 * 86_400_000],
    ['on an hour', 3_600_000],
  ])('a clock that jumped %s pauses nothing for long', async (_how, ms) => {
    const { clock, memory, say, manifest } = paused();
    say(limited(3600));
    await manifest();
    clock.jump(ms);
    const restarted = paused({ clock, memory });
    restarted.say(ABSENT);
    expect(await restarted.manifest()).toEqual(ABSENT);
    expect(await manifest()).toEqual(limited(60));
    await clock.advance(60_000);
    say(ABSENT);
    expect(await manifest()).toEqual(ABSENT);
  });

  test.each([
    ['of no time', { value: 'soon', until: Date.UTC(2026, 0, 1) + 60_000 }],
    ['until for ever', { value: String(Date.UTC(2026, 0, 1)), until: Number.MAX_SAFE_INTEGER }],
    ['until no time', { value: String(Date.UTC(2026, 0, 1)), until: Number.NaN }],
  ])('a record %s is none', async (_what, record) => {
    const memory: Memory = { recall: () => record, keep: async () => undefined };
    const { say, manifest } = paused({ memory });
    say(ABSENT);
    expect(await manifest()).toEqual(ABSENT);
  });

  test('short ones are not kept: they are over before a restart is', async () => {
    const kept: string[] = [];
    const memory: Memory = { recall: () => undefined, keep: async (key) => void kept.push(key) };
    const { say, manifest, clock } = paused({ memory });
    say(limited(2));
    await manifest();
    await clock.advance(2000);
    say(limited(90));
    await manifest();
    expect(kept).toEqual(['pause hub manifest']);
  });
});

describe('a memory in trouble costs no answer', () => {
  test('one that fails', async () => {
    const failing = async (): Promise<never> => await Promise.reject(new Error('down'));
    const { say, manifest, asked } = paused({ memory: { recall: failing, keep: failing } });
    say(limited(60));
    expect(await manifest()).toEqual(limited(60));
    expect(await manifest()).toEqual(limited(60));
    expect(asked()).toBe(1);
  });

  test('one that never answers is waited for half a second, by all together, and not again for a while', async () => {
    const hanging = (): Promise<undefined> => new Promise(() => undefined);
    const { clock, say, manifest, asked } = paused({ memory: { recall: hanging, keep: hanging } });
    say(ABSENT);
    const asking = Array.from({ length: 5 }, () => manifest());
    await clock.advance(499);
    expect(asked()).toBe(0);
    await clock.advance(1);
    expect(await Promise.all(asking)).toEqual(Array.from({ length: 5 }, () => ABSENT));
    expect(await manifest()).toEqual(ABSENT);
    expect([asked(), clock.pending()]).toEqual([6, 0]);
  });
});

describe('what an upstream publishes', () => {
  const spent = {
    'ratelimit-limit': '100;w=21600',
    'ratelimit-remaining': '0;w=21600',
    'docker-ratelimit-source': '192.0.2.7',
    'retry-after': '60',
  };

  test('is told, but for whom it counts', async () => {
    const server = await serve((_request, response) => answer(response, 429, spent));
    const upstream = upstreamOf(server);
    expect(await upstream.ask(wantManifest(), never)).toEqual({ kind: 'limited', retryAfterSeconds: 60 });
    expect(upstream.status().rateLimit).toEqual({ limit: 100, remaining: 0 });
    const event = { kind: 'ratelimit', upstream: 'hub', limit: 100, remaining: 0, limited: true, us: 0, others: 0 };
    expect(upstream.events).toContainEqual(event);
    expect(JSON.stringify([upstream.status(), upstream.events])).not.toContain('192.0.2.7');
  });

  test('is spent by GETs of manifests that came: by no HEAD, no blob and no refusal', async () => {
    const server = await serve((request, response) => {
      const isThere = request.url?.endsWith('gone') !== true;
      const headers = { ...spent, 'content-length': '2', 'docker-content-digest': `sha256:${'a'.repeat(64)}` };
      answer(response, isThere ? 200 : 404, headers, '{}');
    });
    const upstream = upstreamOf(server);
    const us = (): number => upstream.events.reduce((sum, event) => sum + (event.kind === 'ratelimit' ? event.us : 0), 0);
    await upstream.ask(wantManifest({ method: 'HEAD' }), never);
    await upstream.ask(wantBlob(), never);
    await upstream.ask(wantManifest({ reference: 'gone' }), never);
    expect(us()).toBe(0);
    await upstream.ask(wantManifest(), never);
    expect(us()).toBe(1);
  });

  test('of an account is not what it says of the address by which the account’s repositories are proven', async () => {
    const server = await serve((request, response) => {
      const isAccount = request.headers.authorization !== undefined;
      const left = isAccount ? '199' : '0';
      const source = isAccount ? 'account' : '192.0.2.7';
      const limits = { 'ratelimit-limit': '200;w=21600', 'ratelimit-remaining': left, 'docker-ratelimit-source': source };
      if (!isAccount && request.method === 'GET') return void answer(response, 401, { 'www-authenticate': 'Basic realm="x"' });
      answer(response, 200, { ...limits, 'content-length': '2', 'docker-content-digest': `sha256:${'a'.repeat(64)}` }, '{}');
    });
    const credentials = async () => ({ kind: 'password', username: 'u', password: 'p' }) as const;
    const upstream = upstreamOf(server, { credentials, use: 'quota' });
    await upstream.ask(wantManifest(), never);
    const told = upstream.events.filter(({ kind }) => kind === 'ratelimit');
    expect(server.seen.map(({ line }) => line.split(' ')[0])).toContain('HEAD');
    expect(told.every((event) => event.kind === 'ratelimit' && event.remaining === 199)).toBe(true);
    expect([upstream.status().rateLimit?.remaining, upstream.standing('docker.io').budget]).toEqual([199, 199]);
    expect(told.map((event) => (event.kind === 'ratelimit' ? event.us : 0)).reduce((sum, us) => sum + us)).toBe(1);
  });

  test('elsewhere, where its blobs are, or at a token endpoint, is not its own', async () => {
    const elsewhere = await serve((_request, response) =>
      answer(response, 200, { 'ratelimit-limit': '9', 'ratelimit-remaining': '1', 'content-length': '0' }),
    );
    const server = await serve((_request, response) => answer(response, 307, { location: `${elsewhere.origin}/x` }));
    const upstream = upstreamOf(server);
    await upstream.ask(wantBlob(), never).catch(() => undefined);
    expect(elsewhere.seen.length).toBeGreaterThan(0);
    expect(upstream.status().rateLimit).toBeUndefined();
  });
});
