import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestOf, type Digest } from '../../src/oci/digest.ts';
import type { MetadataEvent } from '../../src/metadata/events.ts';
import { repositorySlot, tagKey } from '../../src/metadata/keys.ts';
import { MOVES_KEPT } from '../../src/metadata/tag-moves.ts';
import { PINS_MAX } from '../../src/metadata/records-pins.ts';
import { createRecords, type LinkRecord, type Records, type TagMove, type TagRecord } from '../../src/metadata/records.ts';
import { createFakeClock, type FakeClock } from '../fakes/fake-clock.ts';
import { bytes, type StoreUnderTest } from './metadata-store.ts';

export const digest = (of: string): Digest => digestOf(Buffer.from(of));
export const tagRecord = (of: string, checked = 1): TagRecord => ({
  digest: digest(of),
  mediaType: 'application/vnd.oci.image.index.v1+json',
  size: of.length,
  checked,
  upstream: 'hub',
});
export const linkRecord = (size = 1): LinkRecord => ({ kind: 'blob', size, by: 'upstream', upstream: 'hub', at: 5 });

const UBUNTU = 'docker.io/library/ubuntu';
const FILL = { registry: 'docker.io', digest: digest('x') };
const ELSEWHERE = { ...FILL, registry: 'quay.io:5000' };

type Said = Pick<TagMove, 'digest' | 'upstream'>;

/** What the records must do over every store. */
export function recordsConformance(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`records over ${name}`, () => {
    let under: StoreUnderTest;
    let clock: FakeClock;
    let records: Records;
    let others: Records;
    let events: MetadataEvent[];

    beforeEach(async () => {
      under = await make();
      clock = createFakeClock(1000);
      events = [];
      records = createRecords(under.store, { clock, report: (event) => events.push(event) });
      others = createRecords(under.other, { clock });
    });
    afterEach(() => under.clean());

    test('a tag is kept with its moves, newest first, and yields what it pointed to', async () => {
      expect(await records.tag(UBUNTU, '24.04')).toBeUndefined();
      expect(await records.putTag(UBUNTU, '24.04', tagRecord('a', 1))).toBeUndefined();
      expect(await records.putTag(UBUNTU, '24.04', tagRecord('a', 2))).toBe(digest('a'));
      expect(await records.putTag(UBUNTU, '24.04', { ...tagRecord('b', 3), failed: 4, gone: 5 })).toBe(digest('a'));
      await records.putTag(UBUNTU, '24.04-slim', tagRecord('c', 4));
      expect(await records.tag(UBUNTU, '24.04')).toEqual({ ...tagRecord('b', 3), failed: 4, gone: 5 });
      expect(await records.tagHistory(UBUNTU, '24.04', 10)).toEqual([
        { at: 3, digest: digest('b'), upstream: 'hub' },
        { at: 1, digest: digest('a'), upstream: 'hub' },
      ]);
      expect(await records.tagHistory(UBUNTU, '24.04', 1)).toHaveLength(1);
      expect((await records.tags(UBUNTU, undefined, 10)).map(({ tag }) => tag)).toEqual(['24.04', '24.04-slim']);
      expect((await records.tags(UBUNTU, '24.04', 10)).map(({ tag }) => tag)).toEqual(['24.04-slim']);
    });

    test('pins are kept by their text, each once, until they are taken away', async () => {
      const texts = ['docker.io/library/*', 'ghcr.io/acme/app:v*', `x.test/${'y'.repeat(600)}`];
      expect(await records.pins()).toEqual([]);
      for (const text of texts) expect(await records.pin(text)).toBe(true);
      await clock.advance(10);
      expect(await others.pin(texts[0]!)).toBe(true);
      expect(new Set(await others.pins())).toEqual(new Set(texts.map((text) => ({ text, at: 1000 }))));
      expect(await others.unpin(texts[2]!)).toBe(true);
      expect(await records.unpin(texts[2]!)).toBe(false);
      expect((await records.pins()).map(({ text }) => text)).toEqual(texts.slice(0, 2));
    });

    test('there are no more pins than can be compared with everything', async () => {
      for (let at = 0; at < PINS_MAX; at += 1) await records.pin(`a.test/${at}`);
      expect(await records.pin('a.test/one-more')).toBe(false);
      expect(await records.pin('a.test/7')).toBe(true);
      expect(await records.pins()).toHaveLength(PINS_MAX);
    });

    test('what of an official registry’s data was deleted here is remembered, and that all of it was imported', async () => {
      const names = ['latest', digest('a'), 'x'.repeat(128)];
      for (const name of names) expect(await records.official.isWithheld(UBUNTU, name)).toBe(false);
      for (const name of names) await records.official.withhold(UBUNTU, name, 1);
      for (const name of names) expect(await others.official.isWithheld(UBUNTU, name)).toBe(true);
      expect(await records.official.isWithheld('docker.io/library/debian', 'latest')).toBe(false);
      // It is no content: the repository is not listed for it.
      expect(await records.repositories(undefined, 10)).toEqual([]);
      expect(await records.official.imported()).toBeUndefined();
      await records.official.noteImported(5);
      expect(await others.official.imported()).toBe(5);
    });

    test('a dropped tag is gone, its history is not', async () => {
      await records.putTag(UBUNTU, 'a', tagRecord('a'));
      expect(await records.dropTag(UBUNTU, 'a')).toBe(true);
      expect(await records.dropTag(UBUNTU, 'a')).toBe(false);
      expect(await records.tag(UBUNTU, 'a')).toBeUndefined();
      expect(await records.putTag(UBUNTU, 'a', tagRecord('a', 9))).toBeUndefined();
      expect((await records.tagHistory(UBUNTU, 'a', 10)).map(({ at }) => at)).toEqual([9, 1]);
    });

    test('a move may be noted without the tag, once; not of what is owned', async () => {
      await records.putTag(UBUNTU, 'a', tagRecord('a'));
      const move = { at: 5, digest: digest('b'), upstream: 'hub' };
      expect(await records.noteMove(UBUNTU, 'a', move)).toBe(true);
      expect(await others.noteMove(UBUNTU, 'a', { ...move, at: 6 })).toBe(false);
      expect(await records.noteMove(UBUNTU, 'a', { ...move, at: 7, deleted: true })).toBe(true);
      expect(await records.noteMove(UBUNTU, 'a', { ...move, at: 8 })).toBe(true);
      expect((await others.tagHistory(UBUNTU, 'a', 9)).map(({ at }) => at)).toEqual([8, 7, 5, 1]);
      expect((await records.tag(UBUNTU, 'a'))?.digest).toBe(digest('a'));
    });

    test('[R20] what was asked for earlier does not replace what was asked for later', async () => {
      expect(await records.putTag(UBUNTU, 'a', tagRecord('a', 10), 30)).toBeUndefined();
      expect(await others.putTag(UBUNTU, 'a', tagRecord('b', 9), 40)).toBe(digest('b'));
      expect(await others.putTag(UBUNTU, 'a', tagRecord('a', 9), 40)).toBe(digest('a'));
      expect(await records.tag(UBUNTU, 'a')).toEqual(tagRecord('a', 10));
      expect(await others.putTag(UBUNTU, 'a', tagRecord('b', 10), 50)).toBe(digest('a'));
      expect(await records.putTag(UBUNTU, 'a', { ...tagRecord('b', 10), gone: 20 }, 50)).toBe(digest('b'));
      expect(await others.putTag(UBUNTU, 'a', tagRecord('a', 19), 60)).toBe(digest('a'));
      expect(await others.putTag(UBUNTU, 'a', { ...tagRecord('b', 10), gone: 20, failed: 60 }, 60)).toBe(digest('b'));
      expect(await others.tag(UBUNTU, 'a')).toEqual({ ...tagRecord('b', 10), gone: 20, failed: 60 });
      expect(await others.tagHistory(UBUNTU, 'a', 9)).toEqual([
        { at: 50, asked: 10, digest: digest('b'), upstream: 'hub' },
        { at: 30, asked: 10, digest: digest('a'), upstream: 'hub' },
      ]);
    });

    test('[R34] what was written as of later than now stands in nobody’s way', async () => {
      await records.putTag(UBUNTU, 'a', tagRecord('a', 100), 100);
      expect(await records.putTag(UBUNTU, 'a', tagRecord('b', 50), 99)).toBe(digest('a'));
      expect(await records.putTag(UBUNTU, 'a', tagRecord('a', 40), 50)).toBe(digest('a'));
      expect(await records.tag(UBUNTU, 'a')).toEqual(tagRecord('b', 50));
      const move = { digest: digest('c'), upstream: 'hub' };
      expect(await records.noteMove(UBUNTU, 'a', { ...move, at: 49, asked: 48 })).toBe(true);
    });

    test('[R20] nor do moves that are noted; nor does a dropped tag come back', async () => {
      const [b, c] = ['b', 'c'].map((name) => ({ digest: digest(name), upstream: 'hub' })) as [Said, Said];
      expect(await records.noteMove(UBUNTU, 'a', { ...b, at: 30, asked: 10 })).toBe(true);
      expect(await others.noteMove(UBUNTU, 'a', { ...c, at: 40, asked: 9 })).toBe(false);
      // Asked for beside each other: the later question counts, although the earlier was answered before.
      expect(await others.noteMove(UBUNTU, 'a', { ...c, at: 40, asked: 11 })).toBe(true);
      expect(await records.putTag(UBUNTU, 'a', tagRecord('b', 10), 50)).toBe(digest('b'));
      expect(await records.tag(UBUNTU, 'a')).toBeUndefined();
      // The same as was noted: it only was asked for earlier.
      expect(await records.putTag(UBUNTU, 'a', tagRecord('c', 10), 50)).toBeUndefined();
      expect(await records.noteMove(UBUNTU, 'a', { ...c, at: 60, asked: 55, deleted: true })).toBe(true);
      await records.dropTag(UBUNTU, 'a');
      expect(await others.putTag(UBUNTU, 'a', tagRecord('c', 54), 61)).toBe(digest('c'));
      expect(await records.tag(UBUNTU, 'a')).toBeUndefined();
      expect(await others.putTag(UBUNTU, 'a', tagRecord('c', 56), 61)).toBeUndefined();
      expect((await records.tagHistory(UBUNTU, 'a', 9)).map(({ at }) => at)).toEqual([61, 60, 50, 40, 30]);
    });

    test('[R20] of those that race what was asked for last stands', async () => {
      const times = Array.from({ length: 12 }, (_, at) => (at * 7) % 12);
      await Promise.all(
        times.map((at) => (at % 2 === 0 ? records : others).putTag(UBUNTU, 'a', tagRecord(`at ${at}`, at), 100)),
      );
      expect(await records.tag(UBUNTU, 'a')).toEqual(tagRecord('at 11', 11));
      const asked = (await others.tagHistory(UBUNTU, 'a', 20)).map((move) => move.asked ?? NaN);
      expect(asked).toEqual([...asked].sort((one, other) => other - one));
    });

    test('all moves of a repository come tag by tag, newest first, from behind any tag', async () => {
      for (const tag of ['1', '10', '1-a', '1.a'])
        for (let at = 0; at < 3; at++) await records.putTag(UBUNTU, tag, tagRecord(`${tag} ${at}`, at));
      const told = async (after?: string) => {
        const found: string[] = [];
        for await (const { tag, move } of others.moves(UBUNTU, after)) found.push(`${tag}@${move.at}`);
        return found;
      };
      const [a, b, c, d] = ['1', '1-a', '1.a', '10'].map((tag) => [2, 1, 0].map((at) => `${tag}@${at}`));
      expect(await told()).toEqual([...a!, ...b!, ...c!, ...d!]);
      expect(await told('1')).toEqual([...b!, ...c!, ...d!]);
      expect(await told('1.0')).toEqual([...c!, ...d!]);
      expect(await told('2')).toEqual([]);
    });

    test('what was released of a tag is remembered, the last of it', async () => {
      expect(await records.release(UBUNTU, 'a')).toBeUndefined();
      await records.putRelease(UBUNTU, 'a', { digest: digest('a'), at: 1 });
      await records.putRelease(UBUNTU, 'a', { digest: digest('b'), at: 2 });
      expect(await others.release(UBUNTU, 'a')).toEqual({ digest: digest('b'), at: 2 });
      expect(await records.release(UBUNTU, 'b')).toBeUndefined();
    });

    test('history keeps its bound', async () => {
      for (let at = 0; at < MOVES_KEPT + 5; at++) await records.putTag(UBUNTU, 'a', tagRecord(String(at), at));
      const moves = await records.tagHistory(UBUNTU, 'a', MOVES_KEPT * 2);
      expect(moves).toHaveLength(MOVES_KEPT);
      expect(moves[0]?.at).toBe(MOVES_KEPT + 4);
      expect(moves.at(-1)?.at).toBe(5);
    });

    test('rivals that move one tag leave a history in which each move starts where the last ended', async () => {
      const befores = await Promise.all(
        Array.from({ length: 30 }, (_, at) => (at % 2 === 0 ? records : others).putTag(UBUNTU, 'a', tagRecord(String(at), at))),
      );
      const moves = (await records.tagHistory(UBUNTU, 'a', 100)).toReversed();
      expect(moves).toHaveLength(30);
      for (const [at, before] of befores.entries()) {
        const place = moves.findIndex((move) => move.digest === digest(String(at)));
        expect(before).toBe(moves[place - 1]?.digest);
      }
    });

    test('a link, its reverse entry and its repository come and go together', async () => {
      await records.putLink(UBUNTU, digest('x'), linkRecord());
      await records.putLink('ghcr.io/a/b', digest('x'), { ...linkRecord(2), kind: 'manifest', mediaType: 'm', by: 'public' });
      expect(await records.link(UBUNTU, digest('x'))).toEqual(linkRecord());
      expect(await records.link(UBUNTU, digest('y'))).toBeUndefined();
      expect(await records.holders(digest('x'), undefined, 10)).toEqual([UBUNTU, 'ghcr.io/a/b']);
      expect(await records.holders(digest('x'), UBUNTU, 10)).toEqual(['ghcr.io/a/b']);
      expect(await records.repositories(undefined, 10)).toEqual([UBUNTU, 'ghcr.io/a/b']);
      expect(await records.dropLink(UBUNTU, digest('x'))).toBe(true);
      expect(await records.dropLink(UBUNTU, digest('x'))).toBe(false);
      expect(await records.link(UBUNTU, digest('x'))).toBeUndefined();
      expect(await records.holders(digest('x'), undefined, 10)).toEqual(['ghcr.io/a/b']);
      expect(await records.repositories(undefined, 10)).toEqual(['ghcr.io/a/b']);
    });

    test('links list by digest, in pages', async () => {
      const digests = ['a', 'b', 'c', 'd', 'e'].map(digest).toSorted();
      for (const each of digests) await records.putLink(UBUNTU, each, linkRecord());
      const first = await records.links(UBUNTU, undefined, 2);
      expect(first.map((entry) => entry.digest)).toEqual(digests.slice(0, 2));
      const rest = await records.links(UBUNTU, digests[1], 10);
      expect(rest.map((entry) => entry.digest)).toEqual(digests.slice(2));
      expect(rest[0]?.record).toEqual(linkRecord());
    });

    test('a repository is listed while it has a link or a tag, and in pages', async () => {
      const names = ['a.io/a', 'a.io/a-b', 'a.io/a/b', 'b.io/a'];
      for (const name of names.toReversed()) await records.putTag(name, 't', tagRecord('a'));
      await records.putLink('a.io/a', digest('x'), linkRecord());
      await records.dropTag('a.io/a', 't');
      await records.dropTag('a.io/a-b', 't');
      expect(await records.repositories(undefined, 2)).toEqual(['a.io/a', 'a.io/a/b']);
      expect(await records.repositories('a.io/a/b', 2)).toEqual(['b.io/a']);
      await records.putDescribed('c.io/a', [{ digest: digest('x'), record: { size: 1, mediaType: 'm', public: true } }]);
      expect(await records.repositories('b.io/a', 2)).toEqual([]);
    });

    test('a name longer than any key', async () => {
      const long = `a.io/${'b/'.repeat(400)}c`;
      await records.putLink(long, digest('x'), linkRecord());
      await records.putTag(long, 't', tagRecord('a'));
      expect(await records.link(long, digest('x'))).toEqual(linkRecord());
      expect(await records.link(`${long}d`, digest('x'))).toBeUndefined();
      expect(await records.holders(digest('x'), undefined, 10)).toEqual([long]);
      expect(await records.repositories(undefined, 10)).toEqual([long]);
      expect(await records.holders(digest('x'), long, 10)).toEqual([]);
    });

    test('described children, blobs and parts', async () => {
      const child = { size: 7, mediaType: 'm', public: false };
      await records.putDescribed(UBUNTU, [
        { digest: digest('x'), record: child },
        { digest: digest('y'), record: { ...child, public: true } },
      ]);
      await records.putDescribed(UBUNTU, []);
      expect(await records.described(UBUNTU, digest('x'))).toEqual(child);
      expect((await records.described(UBUNTU, digest('y')))?.public).toBe(true);
      expect(await records.link(UBUNTU, digest('x'))).toBeUndefined();
      await records.putBlob(digest('x'), { size: 7, public: true, state: 'held', at: 3 });
      expect(await records.blob(digest('x'))).toEqual({ size: 7, public: true, state: 'held', at: 3 });
      await records.dropBlob(digest('x'));
      expect(await records.blob(digest('x'))).toBeUndefined();
      await records.putPart(FILL, { id: 'p', generation: 2, synced: 64, size: undefined, at: 3 });
      expect(await records.part(FILL)).toStrictEqual({ id: 'p', generation: 2, synced: 64, size: undefined, at: 3 });
      const prefix = { bytes: 70, digest: digest('first 70') };
      await records.putPart(FILL, { id: 'p', generation: 2, synced: 64, prefix, size: undefined, at: 3 });
      expect((await records.part(FILL))?.prefix).toEqual(prefix);
      expect(await records.part(ELSEWHERE)).toBeUndefined();
      await records.putPart(ELSEWHERE, { id: 'q', generation: 0, synced: 9, size: undefined, at: 3 });
      await records.dropPart(FILL);
      expect(await records.part(FILL)).toBeUndefined();
      expect((await records.part(ELSEWHERE))?.id).toBe('q');
    });

    test('a lease has one holder until it ends, and its fence only grows', async () => {
      const first = await records.takeLease(FILL, 'one', 100, 200);
      expect(first.taken).toBe(true);
      expect(await others.takeLease(FILL, 'two', 199, 300)).toEqual({ taken: false, lease: first.lease });
      const second = await others.takeLease(FILL, 'two', 200, 300);
      expect(second.taken).toBe(true);
      expect(second.lease.fence).toBeGreaterThan(first.lease.fence);
      expect(await records.renewLease(FILL, first.lease, { until: 999 })).toBe(false);
      expect(await records.dropLease(FILL, first.lease)).toBe(false);
      expect(await others.renewLease(FILL, second.lease, { until: 400, part: 'p', frontier: 9, state: 'running' })).toBe(true);
      expect(await records.lease(FILL)).toEqual({
        ...second.lease,
        until: 400,
        part: 'p',
        frontier: 9,
        state: 'running',
      });
      expect(await others.dropLease(FILL, second.lease)).toBe(true);
      expect(await records.lease(FILL)).toBeUndefined();
      expect(await others.renewLease(FILL, second.lease, { until: 500 })).toBe(false);
      const third = await records.takeLease(FILL, 'one', 0, 1);
      expect(third.lease.fence).toBeGreaterThan(second.lease.fence);
    });

    test('a lease of one registry is none of another', async () => {
      const one = await records.takeLease(FILL, 'one', 100, 200);
      expect(await records.lease(ELSEWHERE)).toBeUndefined();
      const two = await others.takeLease(ELSEWHERE, 'two', 100, 200);
      expect([one.taken, two.taken]).toEqual([true, true]);
      expect(await records.renewLease(FILL, one.lease, { until: 300, frontier: 7 })).toBe(true);
      expect(await others.lease(ELSEWHERE)).toEqual(two.lease);
      expect(await others.renewLease(FILL, two.lease, { until: 300 })).toBe(false);
    });

    test('of many that want a lease at once, one takes it and all are told of it', async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, at) => (at % 2 ? records : others).takeLease(FILL, `h${at}`, 0, 100)),
      );
      const [taken, ...more] = answers.filter((answer) => answer.taken);
      expect(more).toEqual([]);
      for (const answer of answers) expect(answer.lease).toEqual(taken?.lease);
    });

    test('cached lists and memories', async () => {
      const listing = { body: '{}', headers: { link: '<x>' }, checked: 1, upstream: 'hub' };
      await records.putListing(UBUNTU, 'tags?n=1', listing);
      expect(await records.listing(UBUNTU, 'tags?n=1')).toEqual(listing);
      expect(await records.listing(UBUNTU, 'tags?n=2')).toBeUndefined();
      await records.putListing(UBUNTU, 'tags?n=2', listing);
      await records.dropListing(UBUNTU, 'tags?n=1');
      await records.dropListing(UBUNTU, 'tags?n=3');
      expect([await records.listing(UBUNTU, 'tags?n=1'), await records.listing(UBUNTU, 'tags?n=2')]).toEqual([
        undefined,
        listing,
      ]);
      await records.remember('hub', 'a'.repeat(2000), { value: 'v', until: 9 });
      expect(await records.remembered('hub', 'a'.repeat(2000))).toEqual({ value: 'v', until: 9 });
      expect(await records.remembered('hub', 'a'.repeat(2001))).toBeUndefined();
      expect(await records.remembered('other', 'a'.repeat(2000))).toBeUndefined();
    });

    test('uses are written after the interval, and counted by all processes together', async () => {
      records.used(UBUNTU, { tag: 'a', digest: digest('x'), bytes: true });
      clock.jump(5);
      records.used(UBUNTU, { tag: 'a', digest: digest('x'), bytes: false });
      records.used(UBUNTU, { digest: digest('y'), bytes: true });
      others.used(UBUNTU, { tag: 'b', digest: digest('x'), bytes: false });
      expect(await records.pulls(UBUNTU)).toBeUndefined();
      // What waits is known where it waits, lest it be evicted meanwhile.
      expect(await records.lastUse(digest('x'))).toBe(1005);
      await clock.advance(10_000);
      await expect.poll(async () => await records.pulls(UBUNTU)).toEqual({ pulls: 3, last: 1005 });
      await expect.poll(async () => await records.lastUse(digest('y'))).toBe(1005);
      expect(await records.lastUse(digest('x'))).toBe(1005);
    });

    test('[decision 16] two processes that count the same tag at once lose no pull', async () => {
      let between = async (): Promise<void> => {
        between = () => Promise.resolve();
        others.used(UBUNTU, { tag: 'a', digest: digest('x'), bytes: false });
        await others.close();
      };
      const { store } = under;
      const interrupted = createRecords(
        {
          get: (slot, key) => store.get(slot, key),
          list: (slot, collection, after, limit) => store.list(slot, collection, after, limit),
          entries: () => store.entries(),
          flushed: () => store.flushed(),
          ping: () => store.ping(),
          close: () => store.close(),
          async commit(slot, changes, conditions) {
            if (slot === repositorySlot(UBUNTU)) await between();
            return store.commit(slot, changes, conditions);
          },
        },
        { clock },
      );
      interrupted.used(UBUNTU, { tag: 'a', digest: digest('x'), bytes: false });
      await clock.advance(10_000);
      await expect.poll(async () => await records.pulls(UBUNTU)).toMatchObject({ pulls: 2 });
    });

    test('a value that does not decode is absent, is reported, and can be replaced', async () => {
      const junk = ['', '{', '[]', 'null', '{"digest":"sha256:x"}', JSON.stringify({ ...tagRecord('a'), size: -1 })];
      for (const [at, value] of junk.entries()) {
        await under.store.commit(repositorySlot(UBUNTU), [{ key: tagKey(`t${at}`), value: bytes(value) }]);
        expect(await records.tag(UBUNTU, `t${at}`)).toBeUndefined();
      }
      expect(events).toHaveLength(junk.length);
      expect(events[0]).toEqual({ kind: 'metadata-undecodable', slot: repositorySlot(UBUNTU), collection: 'tags', id: 't0' });
      await records.putTag(UBUNTU, 'u', tagRecord('a'));
      expect((await records.tags(UBUNTU, undefined, 1)).map(({ tag }) => tag)).toEqual(['u']);
      expect(await records.putTag(UBUNTU, 't0', tagRecord('b'))).toBeUndefined();
      expect(await records.tag(UBUNTU, 't0')).toEqual(tagRecord('b'));
    });

    test('fields of a later version are passed over', async () => {
      const value = bytes(JSON.stringify({ ...tagRecord('a'), colour: 'red' }));
      await under.store.commit(repositorySlot(UBUNTU), [{ key: tagKey('a'), value }]);
      expect(await records.tag(UBUNTU, 'a')).toEqual(tagRecord('a'));
    });

    test('after close nothing that was used is forgotten', async () => {
      records.used(UBUNTU, { digest: digest('x'), bytes: true });
      await records.close();
      expect(await others.lastUse(digest('x'))).toBe(1000);
    });
  });
}
