import { describe, expect } from 'vitest';
import type { Reply } from '../fakes/http-client.ts';
import { randomBlob, type Blob } from '../fakes/images.ts';
import { createGate, type Gate } from '../fakes/scripted-behaviour.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { scenario, times, type Stage } from './harness.ts';
import type { RunningHere } from './in-process.ts';
import type { Settings } from './settings.ts';

const BYTES = 3_000_000;
const HELD_AT = 2_000_000;
const HERE = '/v2/library/one';
const THERE = '/v2/other.test/some/two';
const own = { settings: null };

/** docker.io, beside whatever registry a client names. */
const beside = (hub: Pick<ScriptedUpstream, 'url'>, other: Pick<ScriptedUpstream, 'url'>): Settings => ({
  upstreams: { hub: { url: hub.url }, other: { url: other.url } },
  routes: [
    { match: 'docker.io/**', name: 'hub', upstreams: ['hub'], negativettl: '0s' },
    { match: '**', name: 'any', upstreams: ['other'], negativettl: '0s' },
  ],
});

interface Both {
  readonly blob: Blob;
  readonly hub: ScriptedUpstream;
  readonly other: ScriptedUpstream;
  readonly server: RunningHere;
  readonly get: (at: string) => ReturnType<RunningHere['get']>;
}

/** The same blob in two registries, and a server that has nothing yet. */
async function both(stage: Stage, settings: Settings = {}, bytes = BYTES): Promise<Both> {
  const { upstream: hub } = stage;
  const other = await stage.addUpstream();
  const blob = randomBlob(bytes, 61);
  for (const name of ['library/one', 'library/two']) hub.blob(name, blob);
  other.blob('some/two', blob);
  const server = await stage.start({ ...beside(hub, other), ...settings });
  return { blob, hub, other, server, get: (at) => server.get(`${at}/blobs/${blob.digest}`) };
}

/** One client of each, whose upstreams have come so far. */
async function underWay({ blob, hub, other, get }: Both, at = HELD_AT) {
  const gates: readonly [Gate, Gate] = [createGate(), createGate()];
  hub.blob('library/one', blob).holdAfter(at, gates[0]);
  other.blob('some/two', blob).holdAfter(at, gates[1]);
  const replies = [await get(THERE), await get(HERE)] as const;
  await Promise.all(gates.map(({ reached }) => reached));
  return { theirs: replies[0], ours: replies[1], open: () => gates[0].open(), openTheirs: () => gates[1].open() };
}

/** So much of it is here by then. */
async function readTo(reply: Reply, bytes: number): Promise<void> {
  for (let left = bytes; left > 0;) left -= (await reply.next())?.length ?? Infinity;
}

const gets = ({ hub, other }: Both): readonly number[] => [hub.hits('GET blob'), other.hits('GET blob')];
const running = async ({ server }: Both): Promise<number> => (await server.metrics()).sum('entrepot_fills_running');

describe('[promise 2] while another registry’s fill of the digest', () => {
  scenario(
    'stands still, eight clients share one transfer, from two repositories, and wait for nobody else',
    async (stage) => {
      const stood = await both(stage);
      const { blob, other, get } = stood;
      const gate = createGate();
      other.blob('some/two', blob).holdAfter(1_000_000, gate);
      const theirs = await get(THERE);
      await gate.reached;
      const asked = times(8, async (at: number) => (await get(at % 4 === 3 ? '/v2/library/two' : HERE)).bytes());
      for (const bytes of await Promise.all(asked)) expect(bytes.equals(blob.bytes)).toBe(true);
      expect(gets(stood)).toEqual([1, 1]);
      gate.open();
      expect((await theirs.bytes()).equals(blob.bytes)).toBe(true);
      expect(gets(stood)).toEqual([1, 1]);
    },
    own,
  );

  scenario(
    'has not been answered, nobody waits for that',
    async (stage) => {
      const stood = await both(stage);
      const { blob, other, get } = stood;
      other.blob('some/two', blob).blackHole();
      const end = new AbortController();
      const silent = stood.server.get(`${THERE}/blobs/${blob.digest}`, { signal: end.signal }).catch(() => undefined);
      await other.received('GET blob');
      const asked = times(4, async () => (await get(HERE)).bytes());
      for (const bytes of await Promise.all(asked)) expect(bytes.equals(blob.bytes)).toBe(true);
      expect(gets(stood)).toEqual([1, 1]);
      end.abort();
      await silent;
    },
    own,
  );

  scenario(
    'is cut for good, it is cut alone',
    async (stage) => {
      const stood = await both(stage);
      const { blob, other } = stood;
      other
        .blob('some/two', blob)
        .cutAfter(HELD_AT + 10_000)
        .once();
      const { theirs, ours, open, openTheirs } = await underWay(stood);
      expect(await running(stood)).toBe(2);
      other.blob('some/two', blob).status(404);
      openTheirs();
      const { broken, bytes } = await theirs.untilBroken();
      expect([broken, bytes.length < BYTES]).toEqual([true, true]);
      open();
      expect((await ours.bytes()).equals(blob.bytes)).toBe(true);
      expect(stood.hub.hits('GET blob')).toBe(1);
    },
    own,
  );

  scenario(
    'ends first, the other goes on to its end, and both registries have it',
    async (stage) => {
      const stood = await both(stage);
      const { blob, get, server } = stood;
      const { theirs, ours, open, openTheirs } = await underWay(stood);
      open();
      expect((await ours.bytes()).equals(blob.bytes)).toBe(true);
      await server.logged('fill ended', ({ registry, outcome }) => registry === 'docker.io' && outcome === 'done');
      // Whoever comes now has it from the disk, whatever the other is at.
      expect(String((await get(HERE)).headers['cache-status'])).toContain('; hit');
      openTheirs();
      expect((await theirs.bytes()).equals(blob.bytes)).toBe(true);
      await server.settled();
      for (const at of [HERE, THERE]) expect(String((await get(at)).headers['cache-status'])).toContain('; hit');
      expect(gets(stood)).toEqual([1, 1]);
      expect((await server.metrics()).sum('entrepot_fills_total', { outcome: 'done' })).toBe(2);
    },
    own,
  );

  scenario(
    'brings other bytes, those are nobody’s but its own',
    async (stage) => {
      const stood = await both(stage);
      const { blob, other, server } = stood;
      other.blob('some/two', blob).otherBytes(Buffer.alloc(BYTES, 'garbage'));
      const { theirs, ours, open, openTheirs } = await underWay(stood);
      openTheirs();
      expect((await theirs.untilBroken()).bytes.length).toBeLessThan(BYTES);
      await server.logged('fill ended', ({ registry }) => registry === 'other.test');
      open();
      expect((await ours.bytes()).equals(blob.bytes)).toBe(true);
      await server.settled();
      expect((await (await stood.get(HERE)).bytes()).equals(blob.bytes)).toBe(true);
      expect(stood.hub.hits('GET blob')).toBe(1);
      const wrong = async (upstream: string): Promise<number> =>
        (await server.metrics()).sum('entrepot_verify_failures_total', { upstream });
      expect([await wrong('hub'), await wrong('other')]).toEqual([0, 1]);
    },
    own,
  );
});

describe('two fills of one digest', () => {
  scenario(
    '[promise 5] have room for one: the other passes by, and the limit holds',
    async (stage) => {
      const MIB = 1024 * 1024;
      const stood = await both(stage, { cache: { maxsize: '16MiB', keepfree: '0%' } }, 10 * MIB);
      const { blob, hub, other, get, server } = stood;
      const gate = createGate();
      other.blob('some/two', blob).holdAfter(HELD_AT, gate);
      const theirs = await get(THERE);
      await gate.reached;
      const asked = times(2, async () => (await get(HERE)).bytes());
      const stored = async (): Promise<number> => {
        const metrics = await server.metrics();
        return ['cached', 'partial'].reduce((sum, kind) => sum + metrics.sum('entrepot_storage_bytes', { kind }), 0);
      };
      expect(await stored()).toBeLessThanOrEqual(16 * MIB);
      for (const bytes of await Promise.all(asked)) expect(bytes.equals(blob.bytes)).toBe(true);
      gate.open();
      expect((await theirs.bytes()).equals(blob.bytes)).toBe(true);
      await server.settled();
      expect(await stored()).toBeLessThanOrEqual(16 * MIB);
      expect((await server.metrics()).sum('entrepot_bypass_total', { reason: 'room' })).toBeGreaterThan(0);
      expect(other.hits('GET blob')).toBe(1);
      expect(hub.hits('GET blob')).toBeGreaterThan(0);
      // What is set aside for the one that is kept is set aside once.
      expect(await stored()).toBe(10 * MIB);
    },
    own,
  );

  scenario(
    '[promise 3] are both parked at the end, and each goes on after it',
    async (stage) => {
      const stood = await both(stage);
      const { blob, hub, other, server } = stood;
      const { theirs, ours, open, openTheirs } = await underWay(stood);
      for (const reply of [theirs, ours]) await readTo(reply, 1_000_000);
      await server.stop();
      await Promise.all([theirs.untilBroken(), ours.untilBroken()]);
      open();
      openTheirs();
      const again = await stage.start(beside(hub, other));
      for (const at of [HERE, THERE])
        expect((await (await again.get(`${at}/blobs/${blob.digest}`)).bytes()).equals(blob.bytes)).toBe(true);
      for (const upstream of [hub, other]) {
        const [first, second, ...more] = upstream.seen('GET blob').map(({ range }) => range?.from ?? 0);
        expect([first, more]).toEqual([0, []]);
        expect(second).toBeGreaterThanOrEqual(1_000_000);
      }
    },
    own,
  );

  scenario(
    'are four at most: for who comes from a fifth registry it passes by, and whole',
    async (stage) => {
      const stood = await both(stage);
      const { blob, other, get } = stood;
      const gate = createGate();
      other.blob('some/two', blob).holdAfter(HELD_AT, gate);
      const held = [];
      for (const name of ['a', 'b', 'c', 'd']) held.push(await get(`/v2/${name}.test/some/two`));
      expect([await running(stood), other.hits('GET blob')]).toEqual([4, 4]);
      const passed = times(2, async () => get(HERE));
      for (const reply of await Promise.all(passed)) {
        expect(String(reply.headers['cache-status'])).toContain('fwd=bypass');
        expect((await reply.bytes()).equals(blob.bytes)).toBe(true);
      }
      expect([await running(stood), stood.hub.hits('GET blob')]).toEqual([4, 2]);
      // One of the four has a place for all its clients.
      held.push(await get('/v2/b.test/some/two'));
      gate.open();
      for (const reply of held) expect((await reply.bytes()).equals(blob.bytes)).toBe(true);
      expect(other.hits('GET blob')).toBe(4);
    },
    own,
  );
});
