import { beforeEach, describe, expect, test } from 'vitest';
import { HOLD_MS } from '../../../src/metadata/records-holders.ts';
import { createRecords, type Records, type UploadRecord } from '../../../src/metadata/records.ts';
import { mustBeWhole, push, pushBlob, sweep, type Bytes } from '../../conformance/hosted-house.ts';
import { digest, linkRecord, tagRecord } from '../../conformance/records.ts';
import { beforeNthCommit } from '../../fakes/nth-commit.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata, type MemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

const A = 'local/a';
const B = 'local/b';
const UPLOAD: UploadRecord = { part: 'p', offset: 0, started: 1, at: 1 };

type Step = (records: Records, disk: Bytes) => Promise<unknown>;

const referrer = { mediaType: 'm', size: 1, artifactType: undefined, annotations: undefined };
const IMAGE = { tags: ['1', '2'], needs: [digest('layer')], subject: digest('s'), referrer };

/** An image as a client pushes it: no step after one that was refused. */
const pushImage: Step = async (records, disk) =>
  (await pushBlob(records, disk, A, 'layer')) && push(records, disk, A, 'm', IMAGE);

const STEPS: Readonly<Record<string, Step>> = {
  'a push': pushImage,
  'a push of another image under the same tag': async (records, disk) =>
    (await pushBlob(records, disk, A, 'layer')) && push(records, disk, A, 'n', { ...IMAGE, subject: digest('t') }),
  'a push under a new tag': (records, disk) => push(records, disk, A, 'n', { tags: ['9'] }),
  'a push of the layer elsewhere': (records, disk) => pushBlob(records, disk, B, 'layer'),
  'a deletion': (records) => records.dropHosted(A, digest('m')),
  'the deletion of a tag': (records) => records.dropHostedTag(A, '1'),
  'the deletion of the layer': (records) => records.dropLink(A, digest('layer')),
  disowning: (records) => records.disown(A),
  collection: sweep,
  'what an upstream says': async (records, disk) => {
    disk.add(digest('layer'));
    if (!(await records.putBlob(digest('layer'), { size: 1, public: true, state: 'held', at: 9 }))) return;
    await records.putLink(A, digest('layer'), linkRecord());
    await records.putTag(A, '1', tagRecord('layer'));
    await records.dropTag(A, '1');
  },
};

/** What stands before the steps, each with something that they meet differently. */
const BEFORE: Readonly<Record<string, (records: Records, disk: Bytes, clock: FakeClock) => Promise<unknown>>> = {
  nothing: () => Promise.resolve(),
  'the image': pushImage,
  'what was left to collect long ago': async (records, disk, clock) => {
    await pushImage(records, disk);
    await records.disown(A);
    clock.jump(HOLD_MS);
  },
  'mirrored tags': (records) => Promise.all(['1', '2', '3'].map((tag) => records.putTag(A, tag, tagRecord('u')))),
};

describe('pushed content, where steps cross', () => {
  let store: MemoryMetadata;
  let clock: FakeClock;
  let records: Records;
  let others: Records;
  let disk: Bytes;

  beforeEach(() => start());

  async function start(): Promise<void> {
    store = createMemoryMetadata({ async: true });
    clock = createFakeClock(1000);
    disk = new Set();
    records = createRecords(store, { clock });
    others = createRecords(store, { clock });
    await Promise.all([records.ping(), others.ping()]);
  }

  /** Runs `act` before each nth commit in turn, until `run` makes fewer. */
  async function atEveryCommit(run: (nth: number) => Promise<boolean>): Promise<void> {
    for (let nth = 1; await run(nth); nth++) await start();
  }

  const pairs = Object.keys(STEPS).flatMap((first) => Object.keys(STEPS).map((second) => [first, second] as const));

  test.each(pairs)('%s, and in the middle of it %s', async (first, second) => {
    for (const before of Object.values(BEFORE)) {
      await start();
      await atEveryCommit(async (nth) => {
        await before(records, disk, clock);
        const isReached = beforeNthCommit(store, nth, async () => {
          await STEPS[second]!(others, disk);
          await mustBeLinked();
        });
        await STEPS[first]!(records, disk);
        const reached = isReached();
        await mustBeWhole(others, disk, [A, B]);
        return reached;
      });
    }
  });

  /** In the middle of another's step an entry of a list may be missing for a moment, but nothing that is granted. */
  async function mustBeLinked(): Promise<void> {
    const pushed = (await others.links(A, undefined, 99)).filter(({ record }) => record.by === 'push');
    expect(pushed.filter(({ digest: of }) => !disk.has(of))).toEqual([]);
    for (const { record } of await others.hostedTags(A, undefined, 99)) {
      expect(await others.link(A, record.digest)).toBeDefined();
    }
  }

  test.each(Object.keys(STEPS))('wherever a crash comes in %s, all is whole and what is left is found', async (name) => {
    for (const before of Object.values(BEFORE)) {
      await start();
      await atEveryCommit(async (nth) => {
        await before(records, disk, clock);
        let left = nth;
        store.beforeCommit(() => {
          if (--left <= 0) throw new Error('the power is gone');
        });
        await STEPS[name]!(records, disk).catch(() => undefined);
        store.beforeCommit(undefined);
        await mustBeWhole(others, disk, [A, B]);
        await removeAll();
        return left <= 0;
      });
    }
  });

  /** By what lists tell alone; then nothing may be left but what is kept for good. */
  async function removeAll(): Promise<void> {
    clock.jump(HOLD_MS);
    await others.disown(A);
    for (const repository of [A, B]) {
      for (const { tag } of await others.tags(repository, undefined, 99)) await others.dropTag(repository, tag);
      for (const { digest: of } of await others.links(repository, undefined, 99)) await others.dropLink(repository, of);
    }
    clock.jump(HOLD_MS);
    await sweep(others, disk);
    const kept = /^layout | (history|revision|hosted-bytes|described|repositories) /;
    // What came from an upstream alone is eviction's.
    const left = store.keys().filter((key) => !kept.test(key) && !key.startsWith(`digest/${digest('layer')} `));
    expect(left).toEqual([]);
    expect(await others.repositories(undefined, 9)).toEqual([]);
  }

  /** Runs `act` before each nth commit of `first`, and checks what is left. */
  async function cross(first: () => Promise<unknown>, act: () => Promise<unknown>, check: () => Promise<void>): Promise<void> {
    await atEveryCommit(async (nth) => {
      await BEFORE['what was left to collect long ago']!(records, disk, clock);
      const isReached = beforeNthCommit(store, nth, act);
      await first();
      const reached = isReached();
      await check();
      return reached;
    });
  }

  test('what is held while it is collected is listed, even if nothing comes after', () =>
    cross(
      () => records.hold(B, digest('layer'), { kind: 'blob', by: 'push' }),
      () => sweep(others, disk),
      async () => expect(await others.hostedDigests(undefined, 9)).toContain(digest('layer')),
    ));

  test('a push that the wall clock jumps over leaves no link to what was collected meanwhile', () =>
    cross(
      async () => {
        const layer = digest('layer');
        if (!(await records.hold(B, layer, { kind: 'blob', by: 'push' }))) return;
        disk.add(layer);
        const isRecorded = await records.putBlob(layer, { size: 1, public: false, state: 'held', at: 5 });
        if (!isRecorded || !disk.has(layer)) return;
        await records.putHostedLink(B, layer, { kind: 'blob', size: 1, by: 'push', at: 5 });
      },
      async () => {
        clock.jump(HOLD_MS);
        await sweep(others, disk);
      },
      async () => {
        const isLinked = (await others.link(B, digest('layer'))) !== undefined;
        expect(!isLinked || disk.has(digest('layer'))).toBe(true);
      },
    ));

  test('[S14] no tag of an upstream that answers during the first push is left', () =>
    cross(
      () => records.putTag(A, '3', tagRecord('u')),
      () => push(others, disk, A, 'n', { tags: ['9'] }),
      async () => {
        const tags = (await others.tags(A, undefined, 9)).map(({ tag }) => tag);
        expect(tags).toEqual((await others.owner(A)) === undefined ? ['3'] : ['9']);
      },
    ));

  test('what is pushed while one that owns nothing any more is disowned has an owner', () =>
    atEveryCommit(async (nth) => {
      await pushImage(records, disk);
      await records.dropHosted(A, digest('m'));
      await records.dropLink(A, digest('layer'));
      const isReached = beforeNthCommit(store, nth, () => others.disown(A));
      await push(records, disk, A, 'n', { tags: ['9'] });
      const reached = isReached();
      await mustBeWhole(others, disk, [A]);
      return reached;
    }));

  test('many that do all of it at once, in any order, leave it whole', async () => {
    for (let seed = 1; seed <= 150; seed++) {
      await start();
      await BEFORE['what was left to collect long ago']!(records, disk, clock);
      const random = createSeededRandom(seed);
      store.beforeCommit(async () => {
        for (let turns = Math.floor(random.fraction() * 24); turns > 0; turns--) await Promise.resolve();
      });
      const steps = Object.values(STEPS);
      const actors = [records, others, records, others, records].map(async (node) => {
        for (let at = 0; at < 4; at++) await steps[Math.floor(random.fraction() * steps.length)]!(node, disk);
      });
      await Promise.all(actors);
      store.beforeCommit(undefined);
      await mustBeWhole(others, disk, [A, B]);
    }
  });

  test('wherever a crash comes in an upload, it is listed while it is there, and gone when it was purged', async () => {
    const steps: Step[] = [
      () => records.putUpload(A, 'u', undefined, UPLOAD),
      () => records.putUpload(A, 'u', UPLOAD, { ...UPLOAD, offset: 5 }),
      () => records.dropUpload(A, 'u'),
    ];
    for (const [at, step] of steps.entries()) {
      await start();
      await atEveryCommit(async (nth) => {
        for (const earlier of steps.slice(0, at)) await earlier(records, disk);
        let left = nth;
        store.beforeCommit(() => {
          if (--left <= 0) throw new Error('the power is gone');
        });
        await step(records, disk).catch(() => undefined);
        store.beforeCommit(undefined);
        const listed = await others.uploads(undefined, 9);
        const there = (await others.upload(A, 'u')) !== undefined;
        expect(listed.map(({ id }) => id)).toEqual(expect.arrayContaining(there ? ['u'] : []));
        for (const { repository, id } of listed) await others.dropUpload(repository, id);
        expect(store.keys().filter((key) => key.includes('upload'))).toEqual([]);
        return left <= 0;
      });
    }
  });

  test('an upload that begins while the purge drops what a crash left is listed', async () => {
    for (const [first, second] of [
      [() => records.putUpload(A, 'u', undefined, UPLOAD), () => others.dropUpload(A, 'u')],
      [() => records.dropUpload(A, 'u'), () => others.putUpload(A, 'u', undefined, UPLOAD)],
    ] as const) {
      await start();
      await atEveryCommit(async (nth) => {
        let left = nth;
        store.beforeCommit(async () => {
          if (--left !== 0) return;
          store.beforeCommit(undefined);
          await second();
        });
        await first();
        store.beforeCommit(undefined);
        const there = (await others.upload(A, 'u')) !== undefined;
        expect((await others.uploads(undefined, 9)).map(({ id }) => id)).toEqual(there ? ['u'] : []);
        return left <= 0;
      });
    }
  });
});
