import { beforeEach, describe, expect, test } from 'vitest';
import { GRACE_MS, collect } from '../../../src/evict/collect.ts';
import { TURN_MS, takeTurn } from '../../../src/evict/turn.ts';
import { finishOnce } from '../../../src/evict/finish.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import { buildImage, descriptorOf, manifestBlob, randomBlob, type Image } from '../../fakes/images.ts';
import { pushBlob, pushImage, pushManifest, pushReferrer } from '../../fakes/pushed.ts';
import { APP, HOLDER, heldBytes } from '../push/house.ts';
import { createCollectHouse, told, type House } from './house.ts';

const OTHER = 'local/team/other';
const image = buildImage({ layers: [900, 300] });
const index = buildImage({ layers: [700], platforms: ['linux/amd64', 'linux/arm64'] });
const loose = randomBlob(500, 9);

const names = new Map<string, string>([
  [loose.digest, 'loose'],
  [image.top.digest, 'manifest'],
  ...image.layers.map((layer, at) => [layer.digest, `layer${at}`] as const),
  ...image.configs.map((config) => [config.digest, 'config'] as const),
]);

let at: House;
beforeEach(async () => {
  at = await createCollectHouse();
});

const all = ({ layers, configs, manifests, top }: Image): Digest[] => [
  ...new Set([...layers, ...configs, ...manifests, top].map(({ digest }) => digest)),
];

async function mustHold(digests: readonly Digest[], repository = HOLDER): Promise<void> {
  for (const digest of digests) {
    expect(await at.records.link(repository, digest), 'a link').toBeDefined();
    expect(await heldBytes(at.blobs, digest), 'its bytes').toBeDefined();
  }
}

async function mustBeGone(digests: readonly Digest[]): Promise<void> {
  for (const digest of digests) {
    expect(await heldBytes(at.blobs, digest)).toBeUndefined();
    expect(await at.records.blob(digest)).toBeUndefined();
    expect(await at.records.hostedDigests(undefined, 999)).not.toContain(digest);
  }
}

describe('collection', () => {
  test('takes a blob that no manifest needs, and nothing that a tag leads to', async () => {
    await pushImage(at, HOLDER, ['1'], image);
    await pushImage(at, HOLDER, ['2'], index);
    await pushBlob(at, HOLDER, loose);
    at.clock.jump(GRACE_MS);
    const steps = await at.collect();
    expect(told(steps, names)).toEqual([`link ${HOLDER} loose`, 'bytes loose']);
    expect(steps.at(-1)).toMatchObject({ kind: 'collected', dryRun: false, links: 1, blobs: 1, bytes: 500, repositories: 1 });
    await mustHold([...all(image), ...all(index)]);
    await mustBeGone([loose.digest]);
  });

  test('leaves what was pushed within the grace period', async () => {
    await pushBlob(at, HOLDER, loose);
    at.clock.jump(GRACE_MS - 1);
    expect(told(await at.collect())).toEqual([]);
    await mustHold([loose.digest]);
    at.clock.jump(1);
    expect(told(await at.collect())).toHaveLength(2);
  });

  test('a dry run tells the same, and changes nothing', async () => {
    await pushImage(at, HOLDER, ['1'], image);
    await at.records.dropHostedTag(HOLDER, '1');
    await pushBlob(at, OTHER, image.layers[0]!);
    at.clock.jump(GRACE_MS);
    const before = at.metadata.keys();
    const dry = await at.collect({ dryRun: true, deleteUntagged: true });
    expect(at.metadata.keys().filter((key) => !key.startsWith('task/'))).toEqual(before);
    await mustHold(all(image));
    const wet = await at.collect({ deleteUntagged: true });
    expect(told(wet, names)).toEqual(told(dry, names));
    expect(dry.at(-1)).toMatchObject({ dryRun: true, blobs: 4 });
    await mustBeGone(all(image));
  });

  test('keeps manifests without tag, unless they are to go', async () => {
    await pushImage(at, HOLDER, ['1'], image);
    await at.records.dropHostedTag(HOLDER, '1');
    at.clock.jump(GRACE_MS);
    expect(told(await at.collect())).toEqual([]);
    expect(told(await at.collect({ deleteUntagged: true }), names)[0]).toBe(`manifest ${HOLDER} manifest`);
    await mustBeGone(all(image));
  });

  test('keeps the untagged manifests of a tagged index, and who refers to what is kept', async () => {
    await pushImage(at, HOLDER, ['2'], index);
    const signature = await pushReferrer(at, HOLDER, index.top, 'application/x', 'a');
    const about = await pushReferrer(at, HOLDER, signature, 'application/x', 'b');
    const orphan = await pushReferrer(at, HOLDER, image.top, 'application/x', 'c');
    at.clock.jump(GRACE_MS);
    expect(told(await at.collect({ deleteUntagged: true }))).toEqual([
      `manifest ${HOLDER} ${orphan.digest}`,
      `bytes ${orphan.digest}`,
    ]);
    await mustHold([...all(index), signature.digest, about.digest]);
    expect(await at.records.referrers(HOLDER, image.top.digest, undefined, 9)).toEqual([]);
  });

  test('keeps bytes that another repository holds, pushed or cached', async () => {
    await pushBlob(at, HOLDER, loose);
    await at.records.putLink('docker.io/library/a', loose.digest, { kind: 'blob', size: 500, by: 'upstream', at: 0 });
    at.clock.jump(GRACE_MS);
    expect(told(await at.collect(), names)).toEqual([`link ${HOLDER} loose`]);
    expect(await heldBytes(at.blobs, loose.digest)).toBeDefined();
    await at.records.dropLink('docker.io/library/a', loose.digest);
    expect(told(await at.collect(), names)).toEqual(['bytes loose']);
  });

  test('touches nothing that only an upstream brought, and keeps what that needs', async () => {
    await pushBlob(at, HOLDER, image.layers[0]!);
    for (const { digest, size } of [image.top, ...image.configs]) {
      const { mediaType } = image.top;
      await at.records.putLink(HOLDER, digest, { kind: 'manifest', size, mediaType, by: 'upstream', at: 0 });
    }
    const part = await at.blobs.part('0'.repeat(32), false);
    await part.write(image.top.bytes, 0);
    await part.publish(image.top.digest);
    part.release();
    at.clock.jump(GRACE_MS);
    expect(told(await at.collect({ deleteUntagged: true }))).toEqual([]);
  });

  test.each(['lost', 'damaged', 'of a type that nobody knows'])(
    'keeps all of a repository where a manifest that is needed is %s',
    async (how) => {
      if (how === 'of a type that nobody knows') {
        const odd = manifestBlob('application/x-odd', { config: descriptorOf(loose, 'x') });
        await pushManifest(at, HOLDER, ['1'], odd, []);
      } else await pushImage(at, HOLDER, ['1'], image);
      await pushBlob(at, HOLDER, loose);
      await pushBlob(at, OTHER, randomBlob(10, 3));
      if (how === 'lost') await at.blobs.remove(image.top.digest);
      if (how === 'damaged') {
        // A manifest as good as any, but another.
        const otherLayer = image.top.bytes.toString().replace(image.layers[0]!.digest, `sha256:${'0'.repeat(64)}`);
        const part = await at.blobs.part('0'.repeat(32), false);
        await part.write(Buffer.from(otherLayer), 0);
        await part.publish(image.top.digest);
        part.release();
      }
      at.clock.jump(GRACE_MS);
      const steps = await at.collect();
      expect(told(steps)[0]).toContain(`unreadable ${HOLDER}`);
      expect(steps.at(-1)).toMatchObject({ unreadable: 1, blobs: 1 });
      await mustHold([loose.digest]);
    },
  );

  test.each([
    ['links', image.top.digest],
    ['links', image.layers[0]!.digest],
    ['tags', '1'],
  ])('keeps all of a repository where a record of its %s cannot be read, and says so', async (collection, id) => {
    await pushImage(at, HOLDER, ['1'], image);
    await pushBlob(at, HOLDER, loose);
    await at.metadata.commit(`repository/${HOLDER}`, [{ key: [collection, id], value: Buffer.from('{"of":"tomorrow"}') }]);
    at.clock.jump(2 * GRACE_MS);
    for (const dryRun of [true, false]) {
      const steps = await at.collect({ dryRun, deleteUntagged: true });
      expect(steps[0]).toEqual({ kind: 'unreadable', repository: HOLDER, digest: id });
      expect(steps.at(-1)).toMatchObject({ unreadable: 1, tags: 0, manifests: 0, links: 0, blobs: 0 });
    }
    for (const digest of [...all(image), loose.digest]) expect(await heldBytes(at.blobs, digest)).toBeDefined();
  });

  test('ends what a crash left in the middle, and what was held but never published', async () => {
    await pushBlob(at, HOLDER, loose);
    await at.records.dropLink(HOLDER, loose.digest);
    await at.records.hold(OTHER, image.top.digest, { kind: 'manifest', by: 'push' });
    at.clock.jump(GRACE_MS);
    await at.records.dropHolder(HOLDER, loose.digest);
    expect(await at.records.markDeleting(loose.digest, await at.records.blob(loose.digest))).toBe(true);
    expect(told(await at.collect(), names).sort()).toEqual(['bytes loose', 'bytes manifest']);
    await mustBeGone([loose.digest, image.top.digest]);
  });

  test('[R28] who was told that a blob is here may rely on it', async () => {
    await pushBlob(at, HOLDER, loose);
    at.clock.jump(GRACE_MS);
    await at.ask('POST', `${APP}/blobs/uploads/?mount=${loose.digest}&from=team/app`);
    expect(told(await at.collect())).toEqual([]);
    await mustHold([loose.digest]);
  });

  test('purges uploads, and tells how many', async () => {
    const dry: boolean[] = [];
    const purge = (dryRun: boolean) => Promise.resolve({ uploads: dry.push(dryRun) });
    expect((await at.collect({ dryRun: true }, { purge })).at(-1)).toMatchObject({ uploads: 1 });
    expect((await at.collect({}, { purge })).at(-1)).toMatchObject({ uploads: 2 });
    expect(dry).toEqual([true, false]);
  });
});

describe('one collects at a time', () => {
  test('a second one is refused until the first has ended', async () => {
    const turn = await takeTurn('collect', at.deps);
    await expect(at.collect()).rejects.toThrow('another collection, import or backup is running');
    await turn.end();
    await expect(at.collect()).resolves.toBeDefined();
  });

  test('one that died is not waited for, where that is known; else for its time', async () => {
    await takeTurn('collect', { ...at.deps, holder: 'dead' }).then((turn) => turn.leave());
    await expect(at.collect()).rejects.toThrow('another');
    await expect(at.collect({}, { isDead: (holder) => holder === 'dead' })).resolves.toBeDefined();
    await takeTurn('collect', { ...at.deps, holder: 'dead' }).then((turn) => turn.leave());
    at.clock.jump(TURN_MS);
    await expect(at.collect()).resolves.toBeDefined();
  });

  test('who could not renew its right removes nothing more', async () => {
    await pushBlob(at, HOLDER, loose);
    at.clock.jump(GRACE_MS);
    const steps = collect(at.deps, { dryRun: false, deleteUntagged: false });
    expect((await steps.next()).value).toMatchObject({ kind: 'link' });
    at.metadata.beforeCommit(() => Promise.reject(new Error('down')));
    await at.clock.advance(TURN_MS);
    at.metadata.beforeCommit(undefined);
    await expect(steps.next()).rejects.toThrow('begin again');
    expect(await heldBytes(at.blobs, loose.digest)).toBeDefined();
  });

  test('one whose right another took removes nothing more', async () => {
    await pushBlob(at, HOLDER, loose);
    at.clock.jump(GRACE_MS);
    const steps = collect(at.deps, { dryRun: false, deleteUntagged: false });
    await steps.next();
    at.clock.jump(TURN_MS);
    await takeTurn('collect', { ...at.deps, holder: 'other' });
    await expect(steps.next()).rejects.toThrow('begin again');
  });

  test('a reader that goes ends it, and nothing is left marked', async () => {
    for (let seed = 0; seed < 20; seed++) await pushBlob(at, HOLDER, randomBlob(10 + seed, seed));
    at.clock.jump(GRACE_MS);
    for await (const step of collect(at.deps, { dryRun: false, deleteUntagged: false })) if (step.kind === 'blob') break;
    for (const digest of await at.records.hostedDigests(undefined, 99))
      expect((await at.records.blob(digest))?.state).toBe('held');
    await expect(at.collect()).resolves.toBeDefined();
  });

  test('what a dead collector left marked is ended without another collection', async () => {
    await pushBlob(at, HOLDER, loose);
    await at.records.dropLink(HOLDER, loose.digest);
    at.clock.jump(GRACE_MS);
    const finish = { ...at.deps, onError: () => undefined, isBusy: () => false };
    expect(await finishOnce(finish)).toBe(0);
    const broken = { ...at.blobs, remove: () => Promise.reject(new Error('disk')) };
    await expect(at.collect({}, { blobs: broken })).rejects.toThrow('disk');
    expect(await finishOnce(finish)).toBe(0);
    at.clock.jump(TURN_MS);
    await expect(finishOnce({ ...finish, blobs: broken })).rejects.toThrow('disk');
    at.clock.jump(TURN_MS);
    expect(await finishOnce({ ...finish, isBusy: () => true })).toBe(0);
    expect(await finishOnce(finish)).toBe(1);
    await mustBeGone([loose.digest]);
    expect(await finishOnce(finish)).toBe(0);
  });
});
