import { describe, expect } from 'vitest';
import type { Reply } from '../fakes/http-client.ts';
import { ADDRESS, createScriptedHub, hubAccount, type HubOptions, type ScriptedHub } from '../fakes/scripted-hub.ts';
import { scenario, times, type Stage } from './harness.ts';
import { readMetrics } from './metrics.ts';
import { manifestPath, refusalOf } from './paths.ts';
import type { RunningHere } from './in-process.ts';
import { chainTo, type Settings } from './settings.ts';

const own = { settings: null, timeoutMs: 60_000 };
const path = (tag: string): string => manifestPath(tag, 'library/app');

async function hubOf(stage: Stage, options: HubOptions): Promise<ScriptedHub> {
  const hub = await createScriptedHub(options);
  stage.defer(() => hub.close());
  return hub;
}

/** Each account of the hub is an upstream; every tag is to be asked again at once. */
function accounts({ url }: ScriptedHub, names: readonly string[], policy: Settings = {}, options: Settings = {}): Settings {
  const upstreams = Object.fromEntries(names.map((name) => [name, { ...hubAccount(url, name), ...options }]));
  return chainTo(upstreams, { balance: 'budget', replicas: true, tagttl: '0s', retry: '0s', ...policy });
}

async function expectStale(server: RunningHere, hub: ScriptedHub, tag: string): Promise<void> {
  const reply = await server.get(path(tag));
  expect([reply.status, reply.headers['docker-content-digest']]).toEqual([200, hub.manifest(tag).digest]);
  expect(reply.headers['cache-status']).toMatch(/^entrepot; hit; ttl=-?\d+; detail=stale$/);
  expect(reply.headers['warning']).toMatch(/^299 entrepot "/);
}

async function expectLimited(reply: Reply): Promise<void> {
  expect(await refusalOf(reply)).toBe('429 TOOMANYREQUESTS');
  expect(reply.headers['retry-after']).toMatch(/^[1-9]\d*$/);
}

function low(server: RunningHere): unknown[] {
  return server.records.filter(({ msg }) => msg === 'budget low').map(({ upstream }) => upstream);
}

describe('acceptance: two accounts with 10 and 100 pulls left', () => {
  scenario(
    'no client sees 429 until both are spent, then stale, then 429 with Retry-After',
    async (stage) => {
      const hub = await hubOf(stage, { accounts: { ann: 10, ben: 100 }, anonymous: 0 });
      const server = await stage.start(accounts(hub, ['ann', 'ben']));
      for (const at of times(110, (each) => each)) {
        const reply = await server.get(path(`tag-${at}`));
        expect([at, reply.status]).toEqual([at, 200]);
        expect(await reply.sha256()).toBe(hub.manifest(`tag-${at}`).digest);
      }
      expect([hub.pulls('ann'), hub.pulls('ben'), hub.pulls(ADDRESS), hub.refusals()]).toEqual([10, 100, 0, 0]);

      await expectLimited(await server.get(path('one-more')));
      await expectStale(server, hub, 'tag-0');
      await expectStale(server, hub, 'tag-109');
      const asked = hub.hits('GET') + hub.hits('HEAD');
      for (const at of times(20, (each) => each)) {
        await expectStale(server, hub, `tag-${at}`);
        await expectLimited(await server.get(path(`new-${at}`)));
      }
      expect(hub.hits('GET') + hub.hits('HEAD')).toBe(asked);
      expect(hub.refusals()).toBeLessThanOrEqual(2);
      expect(low(server)).toHaveLength(2);
      expect(new Set(low(server))).toEqual(new Set(['ann', 'ben']));
    },
    own,
  );

  scenario(
    'an address that is spent, to the last HEAD, keeps no account from spending what it has',
    async (stage) => {
      const hub = await hubOf(stage, { accounts: { ann: 3 }, anonymous: 0, refusesHead: true });
      const server = await stage.start(accounts(hub, ['ann']));
      for (const tag of ['a', 'b', 'c']) expect((await server.get(path(tag))).status).toBe(200);
      await expectLimited(await server.get(path('d')));
      await expectStale(server, hub, 'a');
      expect(hub.pulls('ann')).toBe(3);
    },
    own,
  );

  scenario(
    'asked for by all at once: just as many pulls succeed as were left',
    async (stage) => {
      const hub = await hubOf(stage, { accounts: { ann: 10, ben: 100 } });
      const server = await stage.start(accounts(hub, ['ann', 'ben']));
      const replies = await Promise.all(times(130, (at) => server.get(path(`tag-${at}`))));
      const statuses = replies.map(({ status }) => status);
      expect(statuses.filter((status) => status === 200)).toHaveLength(110);
      for (const reply of replies) if (reply.status !== 200) await expectLimited(reply);
      expect([hub.left('ann'), hub.left('ben')]).toEqual([0, 0]);
    },
    own,
  );

  scenario(
    'fifty clients when three are left: three images, and few questions more',
    async (stage) => {
      const hub = await hubOf(stage, { accounts: { ann: 2, ben: 1 } });
      const server = await stage.start(accounts(hub, ['ann', 'ben'], {}, { concurrency: 4 }));
      const replies = await Promise.all(times(50, (at) => server.get(path(`tag-${at}`))));
      expect(replies.filter(({ status }) => status === 200)).toHaveLength(3);
      for (const reply of replies) if (reply.status !== 200) await expectLimited(reply);
      // Who waits for one of four slots hears what those before heard.
      expect(hub.refusals()).toBeLessThanOrEqual(8);
    },
    own,
  );

  scenario(
    'fifty clients for one image cost one pull, and nothing where a tag of it is held',
    async (stage) => {
      const hub = await hubOf(stage, { accounts: { ann: 3 } });
      const server = await stage.start(accounts(hub, ['ann']));
      const replies = await Promise.all(times(50, () => server.get(path('3'))));
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
      expect((await server.get(path(hub.manifest('3').digest))).status).toBe(200);
      for (const _ of times(5, () => 0)) expect((await server.get(path('3'))).headers['cache-status']).toContain('fwd=stale');
      expect([hub.pulls('ann'), hub.left('ann')]).toEqual([1, 2]);
    },
    own,
  );
});

describe('[R11] a budget that is nearly spent', () => {
  scenario(
    'below the reserve nobody is asked about what is held; what is not held still comes, to the last pull',
    async (stage) => {
      const hub = await hubOf(stage, { accounts: { ann: 8 } });
      const server = await stage.start(accounts(hub, ['ann'], { ratelimit: { reserve: 5 } }));
      for (const tag of ['a', 'b', 'c', 'd']) expect((await server.get(path(tag))).status).toBe(200);
      const heads = hub.hits('HEAD');
      for (const _ of times(10, () => 0)) await expectStale(server, hub, 'a');
      expect([hub.hits('HEAD'), hub.left('ann')]).toEqual([heads, 4]);
      for (const tag of ['e', 'f', 'g', 'h']) expect((await server.get(path(tag))).status).toBe(200);
      await expectLimited(await server.get(path('i')));
      expect(low(server)).toEqual(['ann']);
    },
    own,
  );

  scenario(
    'a pause is kept across a restart, and held tags are served all the while',
    async (stage) => {
      const hub = await hubOf(stage, { accounts: { ann: 1 } });
      const settings = accounts(hub, ['ann']);
      const first = await stage.start(settings);
      expect((await first.get(path('held'))).status).toBe(200);
      await expectLimited(await first.get(path('other')));
      await first.stop();
      const [gets, heads] = [hub.hits('GET'), hub.hits('HEAD')];
      const second = await stage.start(settings);
      await expectLimited(await second.get(path('other')));
      await expectStale(second, hub, 'held');
      expect([hub.hits('GET'), hub.hits('HEAD')]).toEqual([gets, heads]);
    },
    own,
  );
});

describe('who has spent it', () => {
  scenario(
    'us and others apart, two upstreams on one account together, and nobody’s name',
    async (stage) => {
      const hub = await hubOf(stage, { accounts: { ann: 90 } });
      const one = hubAccount(hub.url, 'ann');
      const server = await stage.start(chainTo({ one, two: one }, { balance: 'round-robin', replicas: true, tagttl: '0s' }));
      for (const at of times(10, (each) => each)) expect((await server.get(path(`tag-${at}`))).status).toBe(200);
      hub.others('ann', 7);
      expect((await server.get(path('last'))).status).toBe(200);
      const text = await (await server.debug('/metrics')).text();
      const metrics = readMetrics(text);
      const spent = (by: string): number => metrics.sum('entrepot_upstream_ratelimit_spent_total', { by });
      expect([spent('us'), spent('others')]).toEqual([11, 7]);
      expect(metrics.sum('entrepot_upstream_ratelimit_remaining', { upstream: 'one' })).toBe(90 - 18);
      expect(metrics.sum('entrepot_upstream_ratelimit_remaining', { upstream: 'two' })).toBe(90 - 18);
      for (const said of [text, JSON.stringify(server.records)]) expect(said).not.toContain('source-of');
    },
    own,
  );
});
