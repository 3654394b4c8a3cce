import { describe, expect, test } from 'vitest';
import type { PullRequest, PullTarget } from '../../../src/pull/pull.ts';
import { newTrace } from '../../../src/pull/trace.ts';
import { sleep } from '../../../src/system/clock.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { buildImage, type ManifestBlob } from '../../fakes/images.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { ABSENT, createScriptedPort, trouble, type PortScript, type Said, type Supply } from '../../fakes/scripted-port.ts';
import { bytesOf, createHouse, settle, sha256, type House, type HouseOptions } from './house.ts';

const [one, two] = ['one', 'two'].map((label) => buildImage({ label }).top) as [ManifestBlob, ManifestBlob];
const HOLDER = 'docker.io/a/b';
const TTL = 300_000;
/** How long an answer takes that is slow. */
const SLOW = 20_000;

function supply({ bytes, mediaType, digest }: ManifestBlob): Supply {
  return { bytes, mediaType, digest };
}

/** An upstream that looks at once and answers much later. */
const slowly =
  (clock: FakeClock, said: Said, ms = SLOW): PortScript =>
  async () => {
    await sleep(clock, ms);
    return said;
  };

/** What was asked, while an answer takes as long as it does. */
async function during<T>(clock: FakeClock, ms: number, asked: Promise<T>): Promise<T> {
  await settle();
  await clock.advance(ms);
  return asked;
}

const shown = async (house: House, method: 'GET' | 'HEAD' = 'GET') => {
  const { headers } = await house.manifest('a/b', '3', { method });
  return [headers['docker-content-digest'], headers['cache-status']];
};

function requestOf(house: House): PullRequest {
  const target = house.parse('/v2/a/b/manifests/3', undefined) as PullTarget;
  return { method: 'GET', target, signal: new AbortController().signal, trace: newTrace('1') };
}

/** Asserts that what was asked for at the clock's `since` is served until its ttl has passed since then, and not a moment longer. */
async function expectFreshSince(house: House, since: number, method: 'GET' | 'HEAD' = 'GET') {
  await house.clock.advance(since + TTL - 1 - house.clock.monotonic());
  expect(await shown(house, method)).toEqual([one.digest, 'entrepot; hit; ttl=0']);
  await house.clock.advance(1);
  expect((await shown(house, method))[0]).toBe(two.digest);
}

/** `slow` looks at once and answers late; `quick` asks beside it, as another process over the same store. */
async function rivals(policy: HouseOptions['policy'] = {}) {
  const shared = { disk: createMemoryDisk(), metadata: createMemoryMetadata(), clock: createFakeClock(), policy };
  const [late, soon] = [createScriptedPort('late', () => supply(one)), createScriptedPort('soon', () => supply(two))];
  const slow = await createHouse({ chain: [late], ...shared });
  const quick = await createHouse({ chain: [soon], ...shared, process: 1 });
  return { slow, quick, late, soon, clock: shared.clock };
}

/** Tag `3` is held as two and tag `4` as one, and it is time to ask for both again. */
async function bothDue() {
  const clock = createFakeClock();
  const hub = createScriptedPort('hub', () => supply(two));
  const house = await createHouse({ chain: [hub], clock });
  await house.manifest('a/b', '3');
  hub.say(() => supply(one));
  await house.manifest('a/b', '4');
  await clock.advance(TTL);
  return { clock, hub, house };
}

describe('a tag is as old as its question (RFC 9111, 4.2.3)', () => {
  test('[R20] where a GET brought it', async () => {
    const clock = createFakeClock();
    const hub = createScriptedPort('hub', slowly(clock, supply(one)));
    const house = await createHouse({ chain: [hub], clock });
    await during(clock, SLOW, house.manifest('a/b', '3'));
    hub.say(() => supply(two));
    await expectFreshSince(house, 0);
  });

  test('[R20] where a HEAD confirmed it', async () => {
    const clock = createFakeClock();
    const hub = createScriptedPort('hub', () => supply(one));
    const house = await createHouse({ chain: [hub], clock });
    await house.manifest('a/b', '3');
    await clock.advance(TTL);
    hub.say(slowly(clock, supply(one)));
    await during(clock, SLOW, house.manifest('a/b', '3'));
    hub.say(() => supply(two));
    await expectFreshSince(house, TTL);
  });

  test('[R20] where it came to be what is held already', async () => {
    const { clock, hub, house } = await bothDue();
    hub.say(slowly(clock, supply(one)));
    await during(clock, SLOW, house.manifest('a/b', '3'));
    hub.say(() => supply(two));
    await expectFreshSince(house, TTL);
    expect(hub.gets()).toHaveLength(2);
  });

  test('[P21] where only a HEAD was asked for', async () => {
    const clock = createFakeClock();
    const hub = createScriptedPort('hub', slowly(clock, supply(one)));
    const house = await createHouse({ chain: [hub], clock });
    await during(clock, SLOW, house.manifest('a/b', '3', { method: 'HEAD' }));
    hub.say(() => supply(two));
    await expectFreshSince(house, 0, 'HEAD');
  });

  test('[P21] a HEAD that is remembered gives what it moves to no second life', async () => {
    const { clock, hub, house } = await bothDue();
    // Of another digest than the record's: answered and remembered by the HEAD alone, and moved to by the GET.
    await house.manifest('a/b', '3', { method: 'HEAD' });
    await clock.advance(TTL - 10_000);
    expect((await shown(house))[0]).toBe(one.digest);
    hub.say(() => supply(two));
    await expectFreshSince(house, TTL);
  });

  test('[R20] in a chain since its first was asked', async () => {
    const clock = createFakeClock();
    const first = createScriptedPort('first', slowly(clock, ABSENT));
    const second = createScriptedPort('second', () => supply(one));
    const house = await createHouse({ chain: [first, second], clock });
    await during(clock, SLOW, house.manifest('a/b', '3'));
    first.say(() => supply(two));
    await expectFreshSince(house, 0);
  });

  test('[R20] of two that are asked beside each other since the first was', async () => {
    const clock = createFakeClock();
    const first = createScriptedPort('first', slowly(clock, supply(two)));
    const second = createScriptedPort('second', () => supply(one));
    const house = await createHouse({ chain: [first, second], clock, policy: { hedgeTags: true } });
    expect((await during(clock, 1_000, house.manifest('a/b', '3'))).headers['docker-content-digest']).toBe(one.digest);
    first.say(() => supply(two));
    await clock.advance(SLOW);
    await expectFreshSince(house, 0);
  });

  test('[P42] of those who joined a question since that was asked', async () => {
    const clock = createFakeClock();
    const hub = createScriptedPort('hub', slowly(clock, supply(one)));
    const house = await createHouse({ chain: [hub], clock });
    const first = house.manifest('a/b', '3');
    await clock.advance(SLOW - 1_000);
    const joined = house.manifest('a/b', '3');
    await during(clock, 1_000, Promise.all([first, joined]));
    expect(hub.asked).toHaveLength(1);
    hub.say(() => supply(two));
    await expectFreshSince(house, 0);
  });

  for (const [what, jump] of [
    ['back', -30_000],
    ['far back', -3_600_000],
    ['ahead', 3_600_000],
  ] as const)
    test(`[R34] wherever the clock jumps meanwhile: ${what}`, async () => {
      const clock = createFakeClock();
      const hub = createScriptedPort('hub', slowly(clock, supply(one)));
      const house = await createHouse({ chain: [hub], clock });
      const asked = house.manifest('a/b', '3');
      await clock.advance(SLOW / 2);
      clock.jump(jump);
      await during(clock, SLOW / 2, asked);
      hub.say(() => supply(two));
      await expectFreshSince(house, 0);
    });

  test('[R34] by whole milliseconds, and rather too old than too young', async () => {
    const clock = createFakeClock();
    const fine = { ...clock, monotonic: () => clock.monotonic() * 1.00001 };
    const hub = createScriptedPort('hub', slowly(clock, supply(one)));
    const house = await createHouse({ chain: [hub], clock: fine });
    const began = clock.now();
    await during(clock, SLOW, house.manifest('a/b', '3'));
    expect((await house.records.tag(HOLDER, '3'))?.checked).toBe(began - 1);
  });

  test('[R26] an absence too: what was pushed while its 404 was on its way is there when its ttl has passed', async () => {
    const clock = createFakeClock();
    const hub = createScriptedPort('hub', slowly(clock, ABSENT));
    const house = await createHouse({ chain: [hub], clock });
    const refused = house.manifest('a/b', '3').catch((error: unknown) => error);
    expect(await during(clock, SLOW, refused)).toMatchObject({ status: 404 });
    hub.say(() => supply(one));
    await clock.advance(30_000 - SLOW - 1);
    await expect(house.manifest('a/b', '3')).rejects.toMatchObject({ status: 404 });
    await clock.advance(1);
    expect((await shown(house))[0]).toBe(one.digest);
  });

  test('[R21] and that a tag which is kept is gone', async () => {
    const clock = createFakeClock();
    const hub = createScriptedPort('hub', () => supply(one));
    const house = await createHouse({ chain: [hub], clock });
    await house.manifest('a/b', '3');
    await clock.advance(TTL);
    // With something stale at hand nobody waits for longer.
    hub.say(slowly(clock, ABSENT, 4_000));
    await during(clock, 4_000, house.manifest('a/b', '3'));
    hub.say(() => supply(two));
    await clock.advance(TTL - 4_000 - 1);
    expect((await shown(house))[0]).toBe(one.digest);
    await clock.advance(1);
    expect((await shown(house))[0]).toBe(two.digest);
  });

  test('and a list', async () => {
    const clock = createFakeClock();
    const list = (tag: string): Supply => ({ bytes: Buffer.from(JSON.stringify({ name: 'a/b', tags: [tag] })) });
    const hub = createScriptedPort('hub', slowly(clock, list('old')));
    const house = await createHouse({ chain: [hub], clock });
    const target = house.parse('/v2/a/b/tags/list', undefined);
    if (target.kind !== 'tags') throw new Error(target.kind);
    const tags = async (): Promise<unknown> => {
      const { body } = await house.lists.tags(target.name, new URLSearchParams(), { trace: newTrace('1') });
      return body.kind === 'bytes' ? (JSON.parse(Buffer.from(body.bytes).toString()) as { tags: unknown }).tags : undefined;
    };
    await during(clock, SLOW, tags());
    hub.say(() => list('new'));
    await clock.advance(TTL - SLOW - 1);
    expect(await tags()).toEqual(['old']);
    await clock.advance(1);
    expect(await tags()).toEqual(['new']);
  });
});

describe('answers that overtake each other', () => {
  test('[R20] one that was asked for earlier moves nothing back, and goes to its own client', async () => {
    const { slow, quick, late, clock } = await rivals();
    late.say(slowly(clock, supply(one)));
    const asked = slow.manifest('a/b', '3');
    await clock.advance(1_000);
    await quick.manifest('a/b', '3');
    expect(sha256(await bytesOf(await during(clock, SLOW, asked)))).toBe(one.digest);
    for (const house of [slow, quick])
      expect(await shown(house)).toEqual([two.digest, `entrepot; hit; ttl=${(TTL - SLOW) / 1000}`]);
    expect((await slow.records.tagHistory(HOLDER, '3', 9)).map(({ digest }) => digest)).toEqual([two.digest]);
    expect([...slow.events, ...quick.events].filter(({ kind }) => kind === 'tag-moved')).toEqual([]);
  });

  test('[R20] one that was asked for later counts, however slow', async () => {
    const { slow, quick, late, soon, clock } = await rivals();
    late.say(slowly(clock, supply(one)));
    soon.say(async () => {
      await sleep(clock, SLOW + 3_000 - clock.monotonic());
      return supply(two);
    });
    const first = slow.manifest('a/b', '3');
    await clock.advance(1_000);
    const second = quick.manifest('a/b', '3');
    await during(clock, SLOW, first);
    await during(clock, 2_000, second);
    expect((await shown(slow))[0]).toBe(two.digest);
    expect(await slow.records.tagHistory(HOLDER, '3', 9)).toMatchObject([{ digest: two.digest }, { digest: one.digest }]);
  });

  test('[R20] a HEAD that confirms what was moves nothing back', async () => {
    const { slow, quick, late, clock } = await rivals();
    await slow.manifest('a/b', '3');
    await clock.advance(TTL);
    late.say(slowly(clock, supply(one)));
    const asked = slow.manifest('a/b', '3');
    await clock.advance(1_000);
    await quick.manifest('a/b', '3');
    await during(clock, SLOW, asked);
    expect((await shown(slow))[0]).toBe(two.digest);
  });

  test('[R21] one that was asked for earlier does not bring back what is gone', async () => {
    const { slow, quick, late, soon, clock } = await rivals();
    await slow.manifest('a/b', '3');
    await clock.advance(TTL);
    late.say(slowly(clock, supply(one)));
    soon.say(() => ABSENT);
    const asked = slow.manifest('a/b', '3');
    await clock.advance(1_000);
    await quick.manifest('a/b', '3');
    await during(clock, SLOW, asked);
    expect((await slow.manifest('a/b', '3')).headers['warning']).toBe('299 entrepot "the tag is gone upstream"');
  });

  test('[R21] nor what was dropped; what is asked for later does', async () => {
    const { slow, quick, late, soon, clock } = await rivals({ onDelete: 'drop', tagTtlMs: 1_000 });
    late.say(slowly(clock, supply(one)));
    const asked = slow.manifest('a/b', '3');
    await clock.advance(1_000);
    await quick.manifest('a/b', '3');
    await clock.advance(1_000);
    soon.say(() => ABSENT);
    await expect(quick.manifest('a/b', '3')).rejects.toMatchObject({ status: 404 });
    expect(sha256(await bytesOf(await during(clock, SLOW, asked)))).toBe(one.digest);
    expect(await slow.records.tag(HOLDER, '3')).toBeUndefined();
    late.say(() => supply(one));
    expect((await shown(slow))[0]).toBe(one.digest);
    expect(await slow.records.tag(HOLDER, '3')).toMatchObject({ digest: one.digest });
  });

  test('[R21] a failure that is noted late brings back no tag that was dropped', async () => {
    const { slow, quick, late, soon, clock } = await rivals({ onDelete: 'drop' });
    await quick.manifest('a/b', '3');
    await clock.advance(TTL);
    late.say(slowly(clock, trouble('late'), 4_000));
    const asked = slow.manifest('a/b', '3');
    await clock.advance(1_000);
    soon.say(() => ABSENT);
    await expect(quick.manifest('a/b', '3')).rejects.toMatchObject({ status: 404 });
    await during(clock, 4_000, asked);
    expect(await slow.records.tag(HOLDER, '3')).toBeUndefined();
  });

  test('a question that fails later says nothing against what was found out meanwhile', async () => {
    const { slow, quick, late, clock } = await rivals();
    await slow.manifest('a/b', '3');
    await clock.advance(TTL);
    late.say(slowly(clock, trouble('late')));
    const asked = slow.manifest('a/b', '3');
    await clock.advance(1_000);
    await quick.manifest('a/b', '3');
    await during(clock, SLOW, asked);
    const record = await slow.records.tag(HOLDER, '3');
    expect([record?.digest, record?.failed]).toEqual([two.digest, undefined]);
  });

  test('[R34] what a clock that was ahead has written gives way', async () => {
    const { slow, quick, clock } = await rivals();
    clock.jump(30_000);
    await slow.manifest('a/b', '3');
    clock.jump(-30_000);
    await clock.advance(1_000);
    await quick.pulls.refresh(requestOf(quick));
    expect((await shown(slow))[0]).toBe(two.digest);
  });
});

describe('the history of a tag', () => {
  test('[decision 16] says when a move was seen, since a cooldown counts from there, and when it was asked for', async () => {
    const clock = createFakeClock();
    const hub = createScriptedPort('hub', slowly(clock, supply(one)));
    const house = await createHouse({ chain: [hub], clock });
    const began = clock.now();
    await during(clock, SLOW, house.manifest('a/b', '3'));
    expect(await house.records.tagHistory(HOLDER, '3', 9)).toEqual([
      { at: began + SLOW, asked: began, digest: one.digest, upstream: 'hub' },
    ]);
  });

  test('[decision 16] of a cooldown is not moved back by a HEAD that was asked for earlier', async () => {
    const { slow, quick, late, clock } = await rivals({ cooldownMs: 10 * TTL });
    late.say(slowly(clock, supply(one)));
    const asked = slow.manifest('a/b', '3', { method: 'HEAD' }).catch(() => undefined);
    await clock.advance(1_000);
    await quick.manifest('a/b', '3', { method: 'HEAD' }).catch(() => undefined);
    await during(clock, SLOW, asked);
    expect((await slow.records.tagHistory(HOLDER, '3', 9)).map(({ digest }) => digest)).toEqual([two.digest]);
  });

  test('what a cooldown lets through is as old as its HEAD', async () => {
    const clock = createFakeClock();
    const hub = createScriptedPort('hub', ({ reference }) => supply(reference === two.digest ? two : one));
    const house = await createHouse({ chain: [hub], clock, policy: { cooldownMs: TTL } });
    await house.manifest('a/b', '3').catch(() => undefined);
    await clock.advance(2 * TTL);
    const began = clock.now();
    hub.say(({ method }, at) => (method === 'HEAD' ? slowly(clock, supply(one))({} as never, at) : supply(one)));
    await during(clock, SLOW, house.manifest('a/b', '3'));
    expect(await house.records.tag(HOLDER, '3')).toMatchObject({ digest: one.digest, checked: began });
  });

  test('[decision 16] a look of the watcher says when it asked', async () => {
    const clock = createFakeClock();
    const hub = createScriptedPort('hub', () => supply(one));
    const house = await createHouse({ chain: [hub], clock, policy: { asof: clock.now() + 1e9 } });
    hub.say(slowly(clock, supply(two)));
    const began = clock.now();
    const looked = house.pulls.watch(requestOf(house));
    await during(clock, SLOW, looked);
    expect(await house.records.tagHistory(HOLDER, '3', 9)).toMatchObject([{ at: began + SLOW, asked: began }]);
  });
});
