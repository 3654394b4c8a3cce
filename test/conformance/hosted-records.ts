import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MetadataEvent } from '../../src/metadata/events.ts';
import { OWNER_KEY, repositorySlot } from '../../src/metadata/keys.ts';
import { FILL_HOLD_MS, HOLD_MS } from '../../src/metadata/records-holders.ts';
import { createRecords, type Records, type UploadRecord } from '../../src/metadata/records.ts';
import { createFakeClock, type FakeClock } from '../fakes/fake-clock.ts';
import { hostedPush, mustBeWhole, push, pushBlob, sweep, type Bytes } from './hosted-house.ts';
import { bytes, type StoreUnderTest } from './metadata-store.ts';
import { digest, linkRecord, tagRecord } from './records.ts';

const APP = 'local/corp/app';
const OTHER = 'local/corp/other';
const upload = (offset: number, at = 1): UploadRecord => ({ part: 'p', offset, started: 1, at });
const referrer = (size: number) => ({ mediaType: 'm', size, artifactType: 'a/b', annotations: { k: 'v' } });

/** What the records of pushed content must do over every store. */
export function hostedRecordsConformance(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`records of pushed content over ${name}`, () => {
    let under: StoreUnderTest;
    let clock: FakeClock;
    let records: Records;
    let others: Records;
    let events: MetadataEvent[];
    let disk: Bytes;

    beforeEach(async () => {
      under = await make();
      clock = createFakeClock(1000);
      events = [];
      disk = new Set();
      records = createRecords(under.store, { clock, report: (event) => events.push(event) });
      others = createRecords(under.other, { clock });
    });
    afterEach(() => under.clean());

    const tagNames = async (repository = APP): Promise<string[]> =>
      (await records.hostedTags(repository, undefined, 1000)).map(({ tag }) => tag);

    test('an upload begins once, moves on from where it stands, and ends', async () => {
      expect(await records.putUpload(APP, 'u', undefined, upload(0))).toBe(true);
      expect(await others.putUpload(APP, 'u', undefined, upload(9))).toBe(false);
      expect(await others.putUpload(APP, 'u', upload(1), upload(9))).toBe(false);
      expect(await others.putUpload(APP, 'u', upload(0), upload(5, 2))).toBe(true);
      expect(await records.upload(APP, 'u')).toEqual(upload(5, 2));
      expect(await records.upload(OTHER, 'u')).toBeUndefined();
      expect(await records.dropUpload(APP, 'u', upload(0))).toBe(false);
      expect(await records.uploads(undefined, 10)).toMatchObject([{ repository: APP, id: 'u', record: upload(5, 2), at: 2 }]);
      expect(await records.dropUpload(APP, 'u', upload(5, 2))).toBe(true);
      expect(await records.dropUpload(APP, 'u')).toBe(false);
      expect(await records.putUpload(APP, 'u', upload(5, 2), upload(6))).toBe(false);
      expect(await records.uploads(undefined, 10)).toEqual([]);
    });

    test('[S41] of two nodes that move one upload, one does', async () => {
      await records.putUpload(APP, 'u', undefined, upload(0));
      for (let at = 0; at < 20; at++) {
        const now = await records.upload(APP, 'u');
        const moved = await Promise.all(
          [records, others].map((node, who) => node.putUpload(APP, 'u', now, upload(at * 2 + who + 1))),
        );
        expect(moved.filter(Boolean)).toHaveLength(1);
        expect((await others.upload(APP, 'u'))?.offset).toBe(at * 2 + 1 + moved.indexOf(true));
      }
    });

    test('all uploads are listed in pages, with those that a crash left', async () => {
      const ids = Array.from({ length: 5 }, (_, at) => `u${at}`);
      const long = 'x'.repeat(600);
      for (const id of [...ids, long]) await records.putUpload(id < 'u3' ? APP : OTHER, id, undefined, upload(0));
      const seen: string[] = [];
      for (let after: string | undefined; ;) {
        const page = await others.uploads(after, 2);
        seen.push(...page.map(({ id }) => id));
        after = page.at(-1)?.cursor;
        if (page.length < 2) break;
      }
      expect(seen.toSorted()).toEqual([...ids, long].toSorted());
    });

    test('a pushed manifest is there with all that belongs to it', async () => {
      expect(await pushBlob(records, disk, APP, 'layer')).toBe(true);
      expect(await records.owner(APP)).toBeUndefined();
      const what = { tags: ['1', '1.0', '1'], needs: [digest('layer')], at: 7 };
      expect(await push(records, disk, APP, 'm', what)).toEqual({
        kind: 'done',
        moved: [
          { tag: '1', from: undefined },
          { tag: '1.0', from: undefined },
        ],
      });
      expect(await records.owner(APP)).toEqual({ by: 'push', at: 7 });
      expect(await records.link(APP, digest('m'))).toEqual(hostedPush('m', what).link);
      expect((await records.link(APP, digest('layer')))?.at).toBe(7);
      expect((await records.described(APP, digest('layer')))?.size).toBe(1);
      const tag = { digest: digest('m'), mediaType: hostedPush('m').link.mediaType, size: 1, checked: 7, upstream: 'hosted' };
      expect(await records.tag(APP, '1')).toEqual(tag);
      expect(await records.hostedTag(APP, '1')).toEqual(tag);
      expect(await records.tagHistory(APP, '1', 9)).toEqual([{ at: 7, digest: digest('m'), upstream: 'hosted' }]);
      expect(await push(records, disk, APP, 'm2', { tags: ['1'], at: 8 })).toEqual({
        kind: 'done',
        moved: [{ tag: '1', from: digest('m') }],
      });
      expect(await push(records, disk, APP, 'm2', { tags: ['1'], at: 9 })).toEqual({ kind: 'done', moved: [] });
      expect((await records.tagHistory(APP, '1', 9)).map(({ at }) => at)).toEqual([8, 7]);
      expect(await records.owner(APP)).toEqual({ by: 'push', at: 7 });
      expect(await tagNames()).toEqual(['1', '1.0']);
      await mustBeWhole(records, disk, [APP]);
    });

    test('an immutable tag is never moved, and nothing of that push is there', async () => {
      await push(records, disk, APP, 'a', { tags: ['v1'] });
      const refused = await push(others, disk, APP, 'b', { tags: ['new', 'v1'], immutable: true });
      expect(refused).toEqual({ kind: 'immutable', tag: 'v1' });
      expect(await records.link(APP, digest('b'))).toBeUndefined();
      expect(await tagNames()).toEqual(['v1']);
      expect(await push(records, disk, APP, 'a', { tags: ['v1'], immutable: true })).toEqual({ kind: 'done', moved: [] });
      const first = { tags: ['v2'], immutable: true };
      const both = await Promise.all([push(records, disk, APP, 'c', first), push(others, disk, APP, 'd', first)]);
      expect(both.map(({ kind }) => kind).toSorted()).toEqual(['done', 'immutable']);
    });

    test('[S10] a manifest whose child is not linked here is refused, wherever else it is', async () => {
      await pushBlob(records, disk, OTHER, 'layer');
      const refused = await push(records, disk, APP, 'm', { tags: ['1'], needs: [digest('layer')] });
      expect(refused).toEqual({ kind: 'missing', digest: digest('layer') });
      expect([await records.link(APP, digest('m')), await records.owner(APP)]).toEqual([undefined, undefined]);
      expect(await tagNames()).toEqual([]);
      expect(await records.repositories(undefined, 10)).toEqual([OTHER]);
    });

    test('nothing is linked whose bytes are not held', async () => {
      expect(await records.putHosted(APP, hostedPush('m', { tags: ['1'] }))).toEqual({ kind: 'unheld' });
      const blob = { kind: 'blob', size: 1, by: 'push', at: 5 } as const;
      expect(await records.putHostedLink(APP, digest('x'), blob)).toBe(false);
      expect(await records.link(APP, digest('x'))).toBeUndefined();
      expect(await records.tag(APP, '1')).toBeUndefined();
    });

    test('what an upstream granted is adopted by the manifest that needs it, if it is held', async () => {
      await records.putLink(APP, digest('layer'), linkRecord(3));
      const what = { needs: [digest('layer')], at: 9 };
      expect(await push(records, disk, APP, 'm', what)).toEqual({ kind: 'missing', digest: digest('layer') });
      disk.add(digest('layer'));
      await records.putBlob(digest('layer'), { size: 3, public: true, state: 'held', at: 1 });
      expect(await push(records, disk, APP, 'm', what)).toMatchObject({ kind: 'done' });
      expect(await records.link(APP, digest('layer'))).toMatchObject({ by: 'push', at: 9, size: 3 });
      expect(await records.hostedDigests(undefined, 9)).toContain(digest('layer'));
      await records.putLink(APP, digest('layer'), linkRecord(3));
      expect(await records.link(APP, digest('layer'))).toMatchObject({ by: 'push' });
      await mustBeWhole(records, disk, [APP]);
    });

    test('a blob that is a manifest too stays one', async () => {
      await push(records, disk, APP, 'm', { tags: ['1'] });
      expect(await pushBlob(records, disk, APP, 'm', 8)).toBe(true);
      expect(await records.link(APP, digest('m'))).toMatchObject({ kind: 'manifest', mediaType: expect.any(String), at: 8 });
      expect(await records.dropLink(APP, digest('m'))).toBe(false);
      await mustBeWhole(records, disk, [APP]);
    });

    test('[S14] with the first push the tags from upstream are gone, and none comes back', async () => {
      for (const tag of ['1', '2', '3']) await records.putTag(APP, tag, tagRecord('mirrored'));
      expect(await records.hostedTag(APP, '1')).toBeUndefined();
      const what = { tags: ['1'], immutable: true };
      expect(await push(records, disk, APP, 'm', what)).toEqual({ kind: 'done', moved: [{ tag: '1', from: undefined }] });
      expect((await records.tags(APP, undefined, 9)).map(({ tag }) => tag)).toEqual(['1']);
      expect(await others.putTag(APP, '2', tagRecord('late'))).toBe(digest('late'));
      expect(await others.putTag(APP, '1', tagRecord('late'))).toBe(digest('late'));
      expect(await others.dropTag(APP, '1')).toBe(false);
      expect((await records.tags(APP, undefined, 9)).map(({ record }) => record.digest)).toEqual([digest('m')]);
    });

    test('[S14] an upstream that answers while the first push comes takes no tag from it', async () => {
      for (let at = 0; at < 20; at++) {
        const repository = `${APP}${at}`;
        await Promise.all([
          push(records, disk, repository, 'm', { tags: ['1'] }),
          others.putTag(repository, '1', tagRecord('mirrored')),
          others.dropTag(repository, '1'),
        ]);
        expect((await records.hostedTag(repository, '1'))?.digest).toBe(digest('m'));
      }
    });

    test('[S14] an owner that cannot be read is still one', async () => {
      await under.store.commit(repositorySlot(APP), [{ key: OWNER_KEY, value: bytes('junk') }]);
      expect(await records.owner(APP)).toEqual({ by: 'push', at: 0 });
      expect(events).toHaveLength(1);
    });

    test('two pushers of one tag leave a history in which each move starts where the last ended', async () => {
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, at) => push(at % 2 === 0 ? records : others, disk, APP, `m${at}`, { tags: ['1'] })),
      );
      const moves = (await records.tagHistory(APP, '1', 100)).toReversed();
      expect(moves).toHaveLength(20);
      for (const [at, result] of results.entries()) {
        const place = moves.findIndex((move) => move.digest === digest(`m${at}`));
        expect(result).toEqual({ kind: 'done', moved: [{ tag: '1', from: moves[place - 1]?.digest }] });
      }
      expect((await records.tag(APP, '1'))?.digest).toBe(moves.at(-1)?.digest);
      await mustBeWhole(records, disk, [APP]);
    });

    test('a manifest goes with all its tags and its referrer entry, and history notes it', async () => {
      await push(records, disk, APP, 'm', { tags: ['1', '2'], subject: digest('s'), referrer: referrer(1) });
      await push(records, disk, APP, 'n', { tags: ['3'] });
      expect(await others.dropHosted(APP, digest('m'), { ...hostedPush('m').link, at: 4 })).toBeUndefined();
      expect(await others.dropHosted(APP, digest('m'))).toEqual({ tags: ['1', '2'] });
      expect(await others.dropHosted(APP, digest('m'))).toBeUndefined();
      expect(await records.link(APP, digest('m'))).toBeUndefined();
      expect(await records.referrers(APP, digest('s'), undefined, 9)).toEqual([]);
      expect(await tagNames()).toEqual(['3']);
      expect(await records.tagHistory(APP, '1', 1)).toEqual([
        { at: 1000, digest: digest('m'), upstream: 'hosted', deleted: true },
      ]);
      await records.putLink(APP, digest('u'), { ...linkRecord(), kind: 'manifest', mediaType: 'm' });
      expect(await records.dropHosted(APP, digest('u'))).toBeUndefined();
      expect(await records.link(APP, digest('u'))).toBeDefined();
    });

    test('a deleted tag leaves its manifest, and the owner', async () => {
      await push(records, disk, APP, 'm', { tags: ['1'], at: 5 });
      const before = await records.hostedTag(APP, '1');
      await push(records, disk, APP, 'm', { tags: ['1'], at: 6 });
      expect(await others.dropHostedTag(APP, '1', before)).toBeUndefined();
      expect(await others.dropHostedTag(APP, '1')).toBe(digest('m'));
      expect(await others.dropHostedTag(APP, '1')).toBeUndefined();
      expect((await records.tagHistory(APP, '1', 9)).map(({ deleted }) => deleted)).toEqual([true, undefined]);
      expect(await records.dropHosted(APP, digest('m'))).toEqual({ tags: [] });
      expect(await records.owner(APP)).toEqual({ by: 'push', at: 5 });
      expect(await records.repositories(undefined, 9)).toEqual([]);
    });

    test('[S53] referrers of a subject, in pages, of this repository alone', async () => {
      const subject = digest('s');
      const names = ['a', 'b', 'c', 'd', 'e'].toSorted((one, two) => (digest(one) < digest(two) ? -1 : 1));
      for (const [size, each] of names.entries()) {
        await push(records, disk, APP, each, { subject, referrer: referrer(size) });
      }
      await push(records, disk, APP, 'f', { subject: digest('t'), referrer: referrer(9) });
      await push(records, disk, OTHER, 'g', { subject, referrer: { ...referrer(9), artifactType: undefined } });
      const first = await records.referrers(APP, subject, undefined, 2);
      expect(first).toEqual(names.slice(0, 2).map((each, size) => ({ digest: digest(each), record: referrer(size) })));
      const rest = await records.referrers(APP, subject, first[1]?.digest, 99);
      expect(rest.map((each) => each.digest)).toEqual(names.slice(2).map(digest));
      expect((await records.referrers(OTHER, subject, undefined, 9))[0]?.record.artifactType).toBeUndefined();
    });

    test('disowned, nothing that was pushed is left; what an upstream granted stays', async () => {
      const tags = Array.from({ length: 450 }, (_, at) => `t${at}`);
      await push(records, disk, APP, 'm', { tags, subject: digest('s'), referrer: referrer(1) });
      // One after the other: each change of a repository starts anew when another comes between.
      for (let at = 0; at < 210; at++) await pushBlob(records, disk, APP, `blob ${at}`);
      await records.putLink(APP, digest('u'), linkRecord());
      expect(await others.disown(APP)).toBe(true);
      expect(await others.disown(APP)).toBe(false);
      expect(await records.owner(APP)).toBeUndefined();
      expect(await records.tags(APP, undefined, 9)).toEqual([]);
      expect((await records.links(APP, undefined, 999)).map((each) => each.digest)).toEqual([digest('u')]);
      expect(await records.referrers(APP, digest('s'), undefined, 9)).toEqual([]);
      expect(await records.putTag(APP, '1', tagRecord('mirrored'))).toBeUndefined();
      expect((await records.tag(APP, '1'))?.digest).toBe(digest('mirrored'));
    });

    test('a push that races a deletion of the same manifest is either whole or gone', async () => {
      for (let at = 0; at < 20; at++) {
        await push(records, disk, APP, 'm', { tags: ['1'] });
        await Promise.all([
          push(records, disk, APP, 'm', { tags: ['1', '2'] }),
          others.dropHosted(APP, digest('m')),
          others.dropHostedTag(APP, '2'),
        ]);
        await mustBeWhole(records, disk, [APP]);
      }
    });

    test('[R28] a digest is deleted only while nothing holds it, and a push that meets that writes it again', async () => {
      await pushBlob(records, disk, APP, 'x');
      const blob = await records.blob(digest('x'));
      expect(await records.markDeleting(digest('x'), blob)).toBe(false);
      expect(await records.dropLink(APP, digest('x'), linkRecord())).toBe(false);
      expect(await records.dropLink(APP, digest('x'), await records.link(APP, digest('x')))).toBe(true);
      // Another push may be about to link it.
      expect(await records.dropHolder(APP, digest('x'))).toBe(false);
      expect(await records.markDeleting(digest('x'), blob)).toBe(false);
      clock.jump(HOLD_MS);
      expect(await records.dropHolder(APP, digest('x'))).toBe(true);
      expect(await records.forget(digest('x'))).toBe(false);
      expect(await records.markDeleting(digest('x'), undefined)).toBe(false);
      expect(await records.markDeleting(digest('x'), { ...blob!, at: 6 })).toBe(false);
      expect(await records.markDeleting(digest('x'), blob)).toBe(true);
      expect(await records.markDeleting(digest('x'), await records.blob(digest('x')))).toBe(false);
      expect(await others.hold(APP, digest('x'), { kind: 'blob', by: 'push' })).toBe(false);
      expect(await others.putBlob(digest('x'), blob!)).toBe(false);
      await others.dropBlob(digest('x'));
      await others.putLink(OTHER, digest('x'), linkRecord());
      expect(await others.link(OTHER, digest('x'))).toBeUndefined();
      expect(await others.blob(digest('x'))).toEqual({ ...blob, state: 'deleting' });
      expect(await others.hostedDigests(undefined, 9)).toEqual([digest('x')]);
      expect(await others.forget(digest('x'))).toBe(true);
      expect(await records.hostedDigests(undefined, 9)).toEqual([]);
      expect(await pushBlob(others, disk, APP, 'x')).toBe(true);
      await mustBeWhole(records, disk, [APP]);
    });

    test('[R28] what an upstream grants and loses takes no hold from a push', async () => {
      await records.putBlob(digest('x'), { size: 1, public: true, state: 'held', at: 1 });
      await records.hold(APP, digest('x'), { kind: 'blob', by: 'push' });
      await others.putLink(APP, digest('x'), linkRecord());
      expect(await others.dropLink(APP, digest('x'))).toBe(true);
      expect(await others.markDeleting(digest('x'), await others.blob(digest('x')))).toBe(false);
    });

    test('[R28] what holds a digest for a link stands for its time, whatever else says so meanwhile', async () => {
      await records.putBlob(digest('x'), { size: 1, public: true, state: 'held', at: 1 });
      const held = async (): Promise<boolean> => !(await others.dropHolder(APP, digest('x')));
      await records.hold(APP, digest('x'), { kind: 'blob', by: 'upstream' });
      clock.jump(FILL_HOLD_MS - 1);
      expect(await held()).toBe(true);
      clock.jump(1);
      expect(await held()).toBe(false);
      await records.hold(APP, digest('x'), { kind: 'blob', by: 'push' });
      await others.hold(APP, digest('x'), { kind: 'blob', by: 'upstream' });
      clock.jump(HOLD_MS - 1);
      expect(await held()).toBe(true);
      clock.jump(1);
      expect(await held()).toBe(false);
    });

    test('what is marked is listed until it is forgotten, whoever brought it', async () => {
      await records.putBlob(digest('x'), { size: 1, public: true, state: 'held', at: 1 });
      expect(await records.hostedDigests(undefined, 9)).toEqual([]);
      expect(await records.markDeleting(digest('x'), await records.blob(digest('x')))).toBe(true);
      expect(await others.hostedDigests(undefined, 9)).toEqual([digest('x')]);
      expect(await records.forget(digest('x'))).toBe(true);
      expect(await others.hostedDigests(undefined, 9)).toEqual([]);
    });

    test('[R28] pushes that race collection lose nothing', async () => {
      for (let at = 0; at < 20; at++) {
        clock.jump(HOLD_MS);
        const [blob, mounted, result] = await Promise.all([
          pushBlob(records, disk, APP, 'x'),
          pushBlob(others, disk, OTHER, 'x'),
          push(records, disk, APP, 'm', { tags: ['1'] }),
          sweep(others, disk),
        ]);
        await mustBeWhole(records, disk, [APP, OTHER]);
        expect((await records.link(APP, digest('x'))) !== undefined).toBe(blob);
        expect((await records.link(OTHER, digest('x'))) !== undefined).toBe(mounted);
        expect((await records.hostedTag(APP, '1')) !== undefined).toBe(result.kind === 'done');
        await Promise.all([
          records.dropLink(APP, digest('x')),
          others.dropLink(OTHER, digest('x')),
          records.dropHosted(APP, digest('m')),
        ]);
      }
      clock.jump(HOLD_MS);
      await sweep(records, disk);
      expect([...disk, ...(await records.hostedDigests(undefined, 9))]).toEqual([]);
    });
  });
}
