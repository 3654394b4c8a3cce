import { describe, expect, test } from 'vitest';
import type { RoutePolicy } from '../../../src/pull/route.ts';
import { newTrace } from '../../../src/pull/trace.ts';
import { createWatch, watchOnce, type WatchDeps } from '../../../src/pull/watch.ts';
import { buildImage, type ManifestBlob } from '../../fakes/images.ts';
import { createScriptedPort, trouble } from '../../fakes/scripted-port.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { createHouse, settle } from './house.ts';

const [one, two] = ['one', 'two'].map((label) => buildImage({ label }).top) as [ManifestBlob, ManifestBlob];
const HOUR = 3_600_000;
const HOLDER = 'docker.io/a/b';

/** A house whose tag was pulled, with a watcher beside it. */
async function stage(policy: Partial<RoutePolicy> = { cooldownMs: 72 * HOUR }) {
  let current = one;
  const hub = createScriptedPort('hub', () => ({ bytes: current.bytes, mediaType: current.mediaType, digest: current.digest }));
  const house = await createHouse({ chain: [hub], policy });
  await house.manifest('a/b', '3').catch(() => undefined);
  await house.records.putTag(HOLDER, '3', {
    digest: one.digest,
    mediaType: one.mediaType,
    size: one.size,
    checked: house.clock.now(),
    upstream: 'hub',
  });
  const { router, records, clock } = house.deps;
  const deps: WatchDeps = {
    clock,
    records,
    router,
    random: createSeededRandom(3),
    look({ registry, repository, tag }, signal) {
      const name = { registry, repository, shown: repository, ns: undefined, base: '' };
      const target = { kind: 'manifest', name, reference: { kind: 'tag', tag } } as const;
      return house.pulls.watch({ method: 'HEAD', target, signal, trace: newTrace('') });
    },
  };
  const before = hub.asked.length;
  return {
    hub,
    house,
    deps,
    clock,
    move: (to: ManifestBlob) => void (current = to),
    watchOnce: async () => {
      const watching = watchOnce(deps, new AbortController().signal);
      await settle();
      await clock.advance(60_000);
      return watching;
    },
    asked: () => hub.asked.slice(before).map(({ method, reference }) => `${method} ${reference}`),
    history: async () => [...new Set((await records.tagHistory(HOLDER, '3', 9)).map(({ digest }) => digest))],
  };
}

describe('the watcher', () => {
  test('sees a move that nobody pulls, by HEAD alone, and moves nothing', async () => {
    const at = await stage();
    at.move(two);
    await at.clock.advance(HOUR);
    expect(await at.watchOnce()).toBe(1);
    expect(at.asked()).toEqual(['HEAD 3']);
    expect(await at.history()).toEqual([two.digest, one.digest]);
    expect((await at.house.records.tag(HOLDER, '3'))?.digest).toBe(one.digest);
  });

  test('begins within the first hour and comes back a few times a day, until it is stopped', async () => {
    const at = await stage();
    const watch = createWatch(at.deps);
    watch.start();
    await at.clock.advance(5 * 60_000 - 1);
    expect(at.asked()).toEqual([]);
    for (let hour = 0; hour < 24; hour += 1) await at.clock.advance(HOUR);
    const rounds = at.asked().length;
    expect(rounds).toBeGreaterThanOrEqual(3);
    expect(rounds).toBeLessThanOrEqual(7);
    watch.stop();
    await at.clock.advance(24 * HOUR);
    expect(at.asked()).toHaveLength(rounds);
    expect(at.clock.pending()).toBe(0);
  });

  test.each([
    ['routes without cooldown and date', { cooldownMs: 0 }],
    ['offline ones', { cooldownMs: 1, offline: true }],
  ])('leaves %s alone', async (_, policy) => {
    const at = await stage(policy);
    await at.clock.advance(HOUR);
    expect([await at.watchOnce(), at.asked()]).toEqual([0, []]);
  });

  test('asks for the tags of a pinned route', async () => {
    const at = await stage({ asof: 0 });
    await at.clock.advance(HOUR);
    expect(await at.watchOnce()).toBe(1);
  });

  test.each([
    ['down', { up: false }],
    ['busy', { busy: 0.5 }],
    ['out of budget', { budget: 0 }],
  ])('leaves an upstream alone that is %s', async (_, standing) => {
    const at = await stage();
    await at.clock.advance(HOUR);
    at.hub.stand(standing);
    expect([await at.watchOnce(), at.asked()]).toEqual([0, []]);
  });

  test('forgets a tag that nobody asked for lately; one that is pulled again it knows', async () => {
    const at = await stage();
    await at.clock.advance(15 * 24 * HOUR);
    expect(await at.watchOnce()).toBe(0);
    at.house.records.used(HOLDER, { digest: one.digest, tag: '3', bytes: true });
    await at.house.records.writeUses();
    expect(await at.watchOnce()).toBe(1);
  });

  test('an upstream that fails ends no round', async () => {
    const at = await stage();
    await at.house.records.putTag(HOLDER, '4', {
      digest: one.digest,
      mediaType: one.mediaType,
      size: one.size,
      checked: at.clock.now(),
      upstream: 'hub',
    });
    await at.clock.advance(HOUR);
    at.hub.say(() => trouble('hub'));
    expect(await at.watchOnce()).toBe(2);
  });
});
