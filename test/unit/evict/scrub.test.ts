import { describe, expect, test } from 'vitest';
import { endEvictions } from '../../../src/evict/evict.ts';
import { takeTurn } from '../../../src/evict/turn.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import { leaveGone } from '../../../src/evict/reconcile.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { buildImage, randomBlob } from '../../fakes/images.ts';
import { ABSENT, createScriptedPort, type ScriptedPort } from '../../fakes/scripted-port.ts';
import { readBlob } from '../../conformance/blob-store.ts';
import { bytesOf, settle } from '../pull/house.ts';
import { createScrubHouse, type ScrubHouse } from './scrub-house.ts';

const layers = [randomBlob(3000, 1), randomBlob(400_000, 2), randomBlob(4_600_000, 3)];
const image = buildImage({ layers: [300] });
const WRONG = 'the bytes on disk are not those of the digest';

function registry(): ScriptedPort {
  return createScriptedPort('hub', ({ kind, reference }) => {
    if (kind === 'manifest' && (reference === image.top.digest || reference === '3'))
      return { bytes: image.top.bytes, mediaType: image.top.mediaType, digest: image.top.digest, anonymous: true };
    const blob = kind === 'blob' ? [...layers, image.config].find(({ digest }) => digest === reference) : undefined;
    return blob === undefined ? ABSENT : { bytes: blob.bytes, anonymous: true };
  });
}

const ALL = [...layers.map(({ digest }) => digest), image.config.digest, image.top.digest];

/** The three layers, a config and a manifest, of `docker.io/a/b`. */
async function holding(): Promise<{ house: ScrubHouse; hub: ScriptedPort }> {
  const hub = registry();
  const house = await createScrubHouse({ chain: [hub] });
  for (const digest of ALL.slice(0, -1)) await bytesOf(await house.blob('a/b', digest));
  await house.manifest('a/b', '3');
  await settle();
  await house.hours(2);
  return { house, hub };
}

async function held({ blobs }: ScrubHouse, digest: Digest): Promise<boolean> {
  return (await blobs.look(digest)) !== undefined && digestOf(await readBlob(blobs, digest)) === digest;
}

/** Pushed to `local/team/app`, as far as the records say. */
async function hosted(house: ScrubHouse, bytes: Buffer): Promise<Digest> {
  const digest = digestOf(bytes);
  const { records, clock, blobs } = house;
  await records.hold('local/team/app', digest, { kind: 'blob', by: 'push' });
  const part = await blobs.part('0'.repeat(32), false);
  await part.write(bytes, 0);
  await part.publish(digest);
  part.release();
  await records.putBlob(digest, { size: bytes.length, public: false, state: 'held', at: clock.now() });
  await records.putHostedLink('local/team/app', digest, { kind: 'blob', size: bytes.length, by: 'push', at: clock.now() });
  return digest;
}

describe('a round', () => {
  test('reads all that is held, finds nothing where nothing is wrong, and changes nothing', async () => {
    const { house, hub } = await holding();
    const asked = hub.asked.length;
    const { found, whole } = await house.scrub();
    expect(found).toEqual([]);
    const bytes = 3000 + 400_000 + 4_600_000 + image.config.size + image.top.size;
    expect(whole).toMatchObject({ repair: true, blobs: 5, bytes, damaged: 0, repaired: 0, orphans: 0 });
    expect(hub.asked.length).toBe(asked);
    for (const digest of ALL) expect(await held(house, digest)).toBe(true);
    expect(await house.records.bookmarks.get('scrub')).toEqual({ started: house.clock.now(), ended: house.clock.now() });
  });

  test('[R39] finds every damaged file, moves it away, and has it again from the upstream; links stay', async () => {
    const { house, hub } = await holding();
    for (const digest of ALL) await house.flip(digest, 17);
    const { found, whole } = await house.scrub();
    const all = [...ALL].sort();
    expect(found).toMatchObject(all.map((digest) => ({ kind: 'damaged', digest, repaired: true, hosted: false, why: WRONG })));
    expect(whole).toMatchObject({ damaged: 5, repaired: 5 });
    expect(house.told.filter(({ kind }) => kind === 'quarantined')).toHaveLength(5);
    expect((await house.blobs.quarantined()).map(({ digest }) => digest).sort()).toEqual([...ALL].sort());
    await settle();
    for (const digest of ALL) expect(await held(house, digest)).toBe(true);
    const gets = hub.gets().length;
    for (const digest of ALL.slice(0, -1)) await bytesOf(await house.blob('a/b', digest));
    await house.manifest('a/b', '3');
    expect(hub.gets().length).toBe(gets);
    expect((await house.scrub()).found).toEqual([]);
  });

  test('ends where it is told to, in the middle of a directory too, and goes on from there', async () => {
    const house = await createScrubHouse({ chain: [] });
    for (let at = 0; at < 600; at += 1) {
      const digest = await house.orphan(at + 1);
      await house.records.putBlob(digest, { size: at + 1, public: false, state: 'held', at: 0 });
    }
    let left = 0;
    let read = 0;
    for (const count of [1, 100, 101, 103, 200]) {
      left = count;
      await house.scrub({
        bookmark: (await house.records.bookmarks.get('scrub')) ?? { started: 0 },
        pace: async () => void (read += 1),
        isOver: () => --left === 0,
      });
    }
    expect(read).toBe(505);
    expect(await house.records.bookmarks.get('scrub')).toMatchObject({ at: expect.stringMatching(/^sha256\/\S+ sha256:/) });
    expect((await house.scrub({ bookmark: (await house.records.bookmarks.get('scrub'))! })).whole).toMatchObject({ blobs: 95 });
  });

  test('without repairs only tells, and leaves no place to go on from', async () => {
    const { house } = await holding();
    await house.flip(ALL[0]!, 1);
    const orphan = await house.orphan(70);
    await house.hours(2);
    const { found, whole } = await house.scrub({ repair: false });
    expect(found).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ kind: 'damaged', digest: ALL[0], repaired: false, repositories: ['docker.io/a/b'] }),
        { kind: 'orphan', digest: orphan, bytes: 70 },
      ]),
    );
    expect(whole).toMatchObject({ repair: false, damaged: 1, repaired: 0, orphans: 1 });
    expect(await house.blobs.look(ALL[0]!)).toBeDefined();
    expect(await house.blobs.look(orphan)).toBeDefined();
    expect(await house.blobs.quarantined()).toEqual([]);
    expect(await house.records.bookmarks.get('scrub')).toBeUndefined();
    // But nobody is given the damaged one.
    expect(await house.blobs.open(ALL[0]!)).toBeUndefined();
  });

  test('what no upstream has is told, and is a miss from then on', async () => {
    const hub = registry();
    const house = await createScrubHouse({ chain: [hub] });
    await bytesOf(await house.blob('a/b', ALL[1]!));
    await settle();
    const offline = await createScrubHouse({
      chain: [hub],
      policy: { offline: true },
      disk: house.disk,
      metadata: house.metadata,
      clock: house.clock,
      process: 1,
    });
    await house.flip(ALL[1]!, 0);
    const asked = hub.asked.length;
    const { found } = await offline.scrub();
    expect(found).toMatchObject([{ digest: ALL[1], repaired: false, hosted: false }]);
    expect(hub.asked.length).toBe(asked);
    expect(await house.records.link('docker.io/a/b', ALL[1]!)).toBeDefined();
    await bytesOf(await house.blob('a/b', ALL[1]!));
    await settle();
    expect(await held(house, ALL[1]!)).toBe(true);
  });

  test('pushed content is told of loudly, asked of no upstream, and kept in quarantine', async () => {
    const { house, hub } = await holding();
    const bytes = Buffer.alloc(900, 'pushed');
    const digest = await hosted(house, bytes);
    await house.flip(digest, 3);
    const asked = hub.asked.length;
    const { found, whole } = await house.scrub();
    expect(found).toEqual([
      {
        kind: 'damaged',
        digest,
        bytes: 900,
        why: WRONG,
        repositories: ['local/team/app'],
        hosted: true,
        repaired: false,
      },
    ]);
    expect(whole).toMatchObject({ damaged: 1, repaired: 0 });
    expect(hub.asked.length).toBe(asked);
    const told = house.told.find(({ kind }) => kind === 'quarantined');
    expect(told).toMatchObject({
      digest,
      why: `${WRONG}; it was pushed to local/team/app, and a push of the same bytes heals it`,
    });
    // The same bytes again.
    await hosted(house, bytes);
    expect(await held(house, digest)).toBe(true);
  });

  test('what was replaced while it was read is left alone', async () => {
    const { house } = await holding();
    await house.flip(ALL[0]!, 1);
    const again = async (): Promise<void> => {
      const part = await house.blobs.part('1'.repeat(32), false);
      await part.write(layers[0]!.bytes, 0);
      await part.publish(ALL[0]!);
      part.release();
    };
    const { verify } = house.blobs;
    const blobs = {
      ...house.blobs,
      verify: async (...asked: Parameters<typeof verify>) => {
        const verified = await verify(...asked);
        if (asked[0] === ALL[0]) await again();
        return verified;
      },
    };
    const deps = { ...house.deps, blobs };
    const scrubber = new (await import('../../../src/evict/scrubber.ts')).Scrubber(deps);
    const steps = [];
    for await (const step of scrubber.scrubNow({ repair: true })) steps.push(step);
    expect(steps.at(-1)).toMatchObject({ kind: 'scrubbed', damaged: 1, repaired: 1 });
    expect(await house.blobs.quarantined()).toEqual([]);
    expect(await held(house, ALL[0]!)).toBe(true);
  });
});

describe('a disk that cannot read', () => {
  test('one file: it is had again from the upstream', async () => {
    const { house } = await holding();
    const path = house.pathOf(ALL[1]!);
    const lift = house.disk.fail({ on: 'read', when: (call) => call.path === path, as: 'EIO', nth: 1 });
    const { found } = await house.scrub();
    lift();
    expect(found).toMatchObject([{ digest: ALL[1], repaired: true, why: 'the disk cannot read it (EIO)' }]);
    expect(await held(house, ALL[1]!)).toBe(true);
  });

  test('one file that was pushed: it stays where it is, since the disk may read it again', async () => {
    const { house } = await holding();
    const digest = await hosted(house, Buffer.alloc(70_000, 7));
    const path = house.pathOf(digest);
    const lift = house.disk.fail({ on: 'read', when: (call) => call.path === path, as: 'EIO' });
    expect((await house.scrub()).found).toMatchObject([{ digest, hosted: true, repaired: false }]);
    lift();
    expect(await held(house, digest)).toBe(true);
    expect(await house.blobs.quarantined()).toEqual([]);
  });

  test('several in a row: the round ends with its error, and not all of the cache is thrown away', async () => {
    const { house } = await holding();
    const lift = house.disk.fail({ on: 'read', as: 'EIO' });
    await expect(house.scrub()).rejects.toMatchObject({ code: 'EIO' });
    lift();
    expect((await house.blobs.quarantined()).length).toBeLessThan(3);
  });
});

describe('disk and records that disagree after a crash', () => {
  test('[R43] a file that nothing leads to goes when it is an hour old, not before', async () => {
    const { house } = await holding();
    const old = await house.orphan(500);
    await house.hours(2);
    const young = await house.orphan(600);
    const { found } = await house.scrub();
    expect(found).toEqual([{ kind: 'orphan', digest: old, bytes: 500 }]);
    expect(await house.blobs.look(old)).toBeUndefined();
    expect(await house.blobs.look(young)).toBeDefined();
    expect(await house.records.blob(old)).toBeUndefined();
    // And can be pushed at once.
    expect(await house.records.hold('local/team/app', old, { kind: 'blob', by: 'push' })).toBe(true);
  });

  test.each(['syncDirectory', 'unlink'] as const)(
    '[R43] a disk that fails at %s in the middle of it leaves it to whoever evicts next, and pushable after that',
    async (on) => {
      const { house } = await holding();
      const orphan = await house.orphan(500);
      await house.hours(2);
      const lift = house.disk.fail({ on, as: 'EIO' });
      await expect(house.scrub()).rejects.toMatchObject({ code: 'EIO' });
      lift();
      expect(await house.records.hold('local/team/app', orphan, { kind: 'blob', by: 'push' })).toBe(false);
      expect(await house.records.inventory.going(undefined, 5)).toEqual([orphan]);
      const turn = await takeTurn('evict', { ...house.deps, isDead: () => true });
      expect(await endEvictions(house, turn)).toBe(1);
      await turn.end();
      expect(await house.blobs.look(orphan)).toBeUndefined();
      expect(await house.records.hold('local/team/app', orphan, { kind: 'blob', by: 'push' })).toBe(true);
    },
  );

  test('[R43] while another evicts it waits for the next round', async () => {
    const { house } = await holding();
    const orphan = await house.orphan(500);
    await house.hours(2);
    const turn = await takeTurn('evict', { ...house.deps, holder: 'other' });
    expect((await house.scrub()).found).toEqual([]);
    expect(await house.blobs.look(orphan)).toBeDefined();
    await turn.end();
    expect((await house.scrub()).found).toHaveLength(1);
  });

  test('[R43] what was pushed and is not linked yet is no orphan, however old its file is', async () => {
    const { house } = await holding();
    const digest = await house.orphan(500);
    await house.records.hold('local/team/app', digest, { kind: 'blob', by: 'push' });
    await house.hours(3);
    for (const repair of [false, true]) expect((await house.scrub({ repair })).found).toEqual([]);
    expect(await house.blobs.look(digest)).toBeDefined();
  });

  test('[R43] a record is enough, and so is a link', async () => {
    const { house } = await holding();
    const [recorded, linked] = [await house.orphan(50), await house.orphan(60)];
    await house.records.putBlob(recorded, { size: 50, public: false, state: 'held', at: 0 });
    await house.records.putLink('docker.io/c/d', linked, { kind: 'blob', size: 60, by: 'upstream', upstream: 'hub', at: 0 });
    await house.hours(3);
    expect((await house.scrub()).found).toEqual([]);
  });

  test('[R43] a file that was not counted is as old as it is, and the limits are looked at', async () => {
    const { house } = await holding();
    const uncounted = await house.orphan(60);
    const link = { kind: 'blob', size: 60, by: 'upstream', upstream: 'hub', at: 0 } as const;
    await house.records.putLink('docker.io/c/d', uncounted, link);
    const before = house.clock.now();
    await house.hours(2);
    await house.scrub();
    const entry = await house.records.inventory.entry(uncounted);
    expect(entry?.position).toBeLessThanOrEqual(before);
    expect(house.entered()).toBe(ALL.length + 1);
    await house.scrub();
    expect(house.entered()).toBe(ALL.length + 1);
  });

  test('[R43] what counts against the cache and what is on disk are made one', async () => {
    const { house } = await holding();
    const { inventory } = house.records;
    const gone = digestOf(Buffer.from('gone'));
    const begun = digestOf(Buffer.from('begun'));
    await inventory.enter(gone, { size: 44, position: house.clock.now() });
    await house.records.putBlob(gone, { size: 44, public: false, state: 'held', at: house.clock.now() });
    await house.hours(2);
    await inventory.enter(begun, { size: 55, position: house.clock.now() });
    const pushed = await hosted(house, Buffer.alloc(77, 1));
    await house.scrub();
    expect(await inventory.entry(gone)).toBeUndefined();
    expect(await house.records.blob(gone)).toBeUndefined();
    expect(await inventory.entry(begun)).toBeDefined();
    expect(await inventory.entry(pushed)).toBeUndefined();
    for (const digest of ALL) expect((await inventory.entry(digest))?.size).toBe((await house.blobs.look(digest))?.size);
  });

  test('the end of the server does not wait until all that is counted has been looked for', async () => {
    const { house } = await holding();
    const { inventory } = house.records;
    const gone = Array.from({ length: 500 }, (_, at) => digestOf(Buffer.from(`gone ${at}`)));
    for (const digest of gone) await inventory.enter(digest, { size: 44, position: house.clock.now() });
    await house.hours(2);
    const end = new AbortController();
    const turn = { check: async () => end.abort(new Error('it ends')), end: async () => undefined, leave: () => undefined };
    await expect(leaveGone(house.deps, turn, end.signal)).rejects.toThrow('it ends');
    const left = await Promise.all(gone.map(async (digest) => inventory.entry(digest)));
    expect(left.filter((entry) => entry !== undefined).length).toBeGreaterThan(300);
  });
});
