import { describe, expect, test } from 'vitest';
import { LOOK_MS, PERIOD_MS } from '../../../src/evict/scrubber.ts';
import { createPace, rateFor } from '../../../src/evict/pace.ts';
import { ageQuarantine, QUARANTINE_BYTES_MAX, QUARANTINE_MS } from '../../../src/evict/quarantine.ts';
import { takeTurn } from '../../../src/evict/turn.ts';
import type { ScrubberDeps } from '../../../src/evict/scrubber.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { gate, settle } from '../pull/house.ts';
import { createScrubHouse, type ScrubHouse } from './scrub-house.ts';

const MIB = 1024 * 1024;

/** Many small blobs that records know, and some of a MiB. */
async function holding(options: { small?: number; large?: number } = {}): Promise<ScrubHouse> {
  const house = await createScrubHouse({ chain: [] });
  for (const [size, count] of [
    [1000, options.small ?? 30],
    [MIB, options.large ?? 0],
  ] as const)
    for (let at = 0; at < count; at += 1) {
      const digest = await house.orphan(size);
      await house.records.putBlob(digest, { size, public: false, state: 'held', at: 0 });
    }
  return house;
}

/** What is read, in order; a few may be slow. */
function watched(house: ScrubHouse): { blobs: ScrubberDeps['blobs']; read: string[] } {
  const read: string[] = [];
  const { blobs } = house;
  return {
    read,
    blobs: {
      ...blobs,
      async verify(digest, options) {
        const verified = await blobs.verify(digest, options);
        read.push(digest);
        return verified;
      },
    },
  };
}

/** Lets time pass in steps, so that what waits for the disk in between goes on. */
async function pass(house: ScrubHouse, ms: number, steps = 20): Promise<void> {
  for (let step = 0; step < steps; step += 1) {
    await house.clock.advance(ms / steps);
    await settle(30);
  }
}

const rounds = (house: ScrubHouse): number => house.told.filter(({ kind }) => kind === 'scrubbed').length;

describe('the background scrub', () => {
  test('[R39] reads everything once a period, and not more often', async () => {
    const house = await holding();
    const { blobs, read } = watched(house);
    const scrubber = house.scrubber({ blobs });
    scrubber.start();
    await pass(house, 2 * LOOK_MS);
    expect([read.length, new Set(read).size, rounds(house)]).toEqual([30, 30, 1]);
    await pass(house, PERIOD_MS - 4 * LOOK_MS, 200);
    expect([read.length, rounds(house)]).toEqual([30, 1]);
    await pass(house, 6 * LOOK_MS, 30);
    expect([read.length, rounds(house)]).toEqual([60, 2]);
    await scrubber.stop();
    expect(house.clock.pending()).toBe(0);
  });

  test('goes on where it was after a restart, and tells when the last round had ended', async () => {
    const house = await holding({ small: 0, large: 24 });
    const first = watched(house);
    const scrubber = house.scrubber({ blobs: first.blobs });
    scrubber.start();
    // At its slowest: one of these a second.
    await pass(house, 60_000, 4);
    await pass(house, 12_000, 24);
    await scrubber.stop();
    const before = first.read.length;
    expect(before).toBeGreaterThan(3);
    expect(before).toBeLessThan(20);
    const second = watched(house);
    const restarted = house.scrubber({ blobs: second.blobs });
    restarted.start();
    await pass(house, 60_000, 4);
    await pass(house, 40_000, 80);
    expect(rounds(house)).toBe(1);
    expect(before + second.read.length).toBe(24);
    await restarted.stop();
    const third = house.scrubber();
    third.start();
    await settle();
    expect(house.told.at(-1)).toMatchObject({ kind: 'scrubbed-before' });
    await third.stop();
  });

  test('one process at a time: another goes on between sittings, and nothing is read twice', async () => {
    const house = await holding({ small: 0, large: 8 });
    const both = [watched(house), watched(house)];
    const scrubbers = both.map(({ blobs }, at) => house.scrubber({ blobs, holder: `host ${at} s` }));
    for (const scrubber of scrubbers) scrubber.start();
    await pass(house, 60_000, 4);
    await pass(house, 30_000, 60);
    expect(both.flatMap(({ read }) => read)).toHaveLength(8);
    expect(rounds(house)).toBe(1);
    for (const scrubber of scrubbers) await scrubber.stop();
  });

  test('an operator’s scrub comes first, and reads everything at once', async () => {
    const house = await holding({ small: 0, large: 16 });
    const { blobs, read } = watched(house);
    const scrubber = house.scrubber({ blobs });
    scrubber.start();
    await pass(house, 60_000, 4);
    await pass(house, 5_000, 10);
    const slowly = read.length;
    expect(slowly).toBeLessThan(10);
    const kinds: string[] = [];
    const asked = (async () => {
      for await (const { kind } of scrubber.scrubNow({ repair: true })) kinds.push(kind);
    })();
    await pass(house, 5000, 20);
    await asked;
    expect(kinds.at(-1)).toBe('scrubbed');
    expect(read.length - slowly).toBeGreaterThanOrEqual(16);
    // The round that it broke into need not be ended any more.
    const then = read.length;
    await pass(house, 3 * LOOK_MS, 60);
    expect(read.length).toBe(then);
    await scrubber.stop();
  });

  test('a round that an operator asked for ends with the server, which waits for it', async () => {
    const house = await holding({ small: 3 });
    const { opened, open } = gate();
    const blobs: ScrubberDeps['blobs'] = {
      ...house.blobs,
      verify: async (...asked) => opened.then(() => house.blobs.verify(...asked)),
    };
    const scrubber = house.scrubber({ blobs });
    const asked = (async () => {
      for await (const _ of scrubber.scrubNow({ repair: true }));
    })().catch((error: unknown) => error);
    await settle(30);
    let stopped = false;
    const stopping = scrubber.stop().then(() => (stopped = true));
    await settle(30);
    expect(stopped).toBe(false);
    open();
    await stopping;
    expect(await asked).toMatchObject({ message: 'scrubbing stops' });
    // Its turn was given back, and nothing of it waits for a timer.
    await (await takeTurn('scrub', { ...house.deps, holder: 'other' })).end();
    expect([house.clock.pending(), house.disk.openFiles()]).toEqual([0, []]);
  });

  test('where another process does not give way the operator is told', async () => {
    const house = await holding();
    const turn = await takeTurn('scrub', { ...house.deps, holder: 'other' });
    const asked = (async () => {
      for await (const step of house.scrubber().scrubNow({ repair: false })) return step.kind;
      return 'nothing';
    })().catch((error: unknown) => error);
    await pass(house, 120_000, 130);
    expect(await asked).toMatchObject({ message: 'another scrub is running: wait for its end' });
    await turn.end();
  });

  test('trouble is told of, and looked at again later', async () => {
    const house = await holding();
    const lift = house.disk.fail({ on: 'list', as: 'EIO' });
    const scrubber = house.scrubber();
    scrubber.start();
    await pass(house, 70_000);
    expect(house.told).toMatchObject([{ kind: 'scrub-failed', error: { code: 'EIO' } }]);
    lift();
    await pass(house, LOOK_MS, 30);
    expect(rounds(house)).toBe(1);
    await scrubber.stop();
  });

  test('a wall clock that was set back hides no round that is due', async () => {
    const house = await holding({ small: 3 });
    await house.records.bookmarks.put('scrub', {
      started: house.clock.now() + PERIOD_MS,
      ended: house.clock.now() + PERIOD_MS,
    });
    const scrubber = house.scrubber();
    scrubber.start();
    await pass(house, 70_000);
    expect(rounds(house)).toBe(1);
    await scrubber.stop();
  });
});

test('the rate is what a period needs, within sense', () => {
  const GIB = 1024 * MIB;
  expect(rateFor(0, PERIOD_MS)).toBe(MIB);
  expect(rateFor(50 * GIB, PERIOD_MS)).toBe(MIB);
  expect(rateFor(1e16, PERIOD_MS)).toBe(64 * MIB);
  for (const bytes of [10_000 * GIB, 100_000 * GIB]) {
    const seconds = bytes / rateFor(bytes, PERIOD_MS);
    expect(seconds * 1000).toBeLessThan(PERIOD_MS);
    expect(seconds * 1000).toBeGreaterThan(PERIOD_MS / 2);
  }
});

test('a pace is kept on average, and what stood still is not caught up with', async () => {
  const clock = createFakeClock();
  const pace = createPace(clock, MIB, new AbortController().signal);
  const read = async (count: number): Promise<void> => {
    for (let at = 0; at < count; at += 1) await pace(MIB / 4);
  };
  let done = false;
  const reading = read(40).then(() => (done = true));
  for (let step = 0; step < 99; step += 1) {
    await clock.advance(100);
    await settle(2);
  }
  expect(done).toBe(false);
  for (let step = 0; step < 5; step += 1) await clock.advance(100);
  await reading;
  await clock.advance(3_600_000);
  const before = clock.monotonic();
  const more = read(12);
  for (let step = 0; step < 30; step += 1) {
    await clock.advance(100);
    await settle(2);
  }
  await more;
  expect(clock.monotonic() - before).toBeGreaterThan(1900);
});

test('what is in quarantine goes after a week, or when it is too much, oldest first', async () => {
  const clock = createFakeClock();
  const day = 24 * 3_600_000;
  const found = new Map<string, { size: number; at: number }>();
  const blobs = {
    quarantined: async () => [...found].map(([name, file]) => ({ name, digest: 'sha256:' as never, ...file })),
    removeQuarantined: async (name: string) => found.delete(name),
  };
  const put = (name: string, size: number, days: number): void => void found.set(name, { size, at: clock.now() - days * day });
  put('old', 5, QUARANTINE_MS / day);
  put('young', 5, 6);
  expect(await ageQuarantine({ clock, blobs })).toBe(1);
  expect([...found.keys()]).toEqual(['young']);
  put('large', QUARANTINE_BYTES_MAX, 1);
  put('last', 5, 0);
  expect(await ageQuarantine({ clock, blobs })).toBe(2);
  expect([...found.keys()]).toEqual(['last']);
  put('half', 600, 1);
  expect(await ageQuarantine({ clock, blobs, cacheMax: () => 6000 })).toBe(1);
  expect(await ageQuarantine({ clock, blobs, cacheMax: () => undefined })).toBe(0);
  put('huge', QUARANTINE_BYTES_MAX + 1, 0);
  await ageQuarantine({ clock, blobs });
  expect([...found.keys()]).toEqual([]);
});
