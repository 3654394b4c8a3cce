import { describe, expect, test } from 'vitest';
import { GRACE_MS } from '../../../src/evict/collect.ts';
import { finishOnce } from '../../../src/evict/finish.ts';
import { TURN_MS } from '../../../src/evict/turn.ts';
import { algorithmOf, digestOf } from '../../../src/oci/digest.ts';
import { readManifest } from '../../../src/oci/manifest.ts';
import { Store } from '../../../src/pull/store.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { beforeNthCommit } from '../../fakes/nth-commit.ts';
import { buildImage, type Image } from '../../fakes/images.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { APP, HOLDER, heldBytes } from '../push/house.ts';
import { createCollectHouse, type House } from './house.ts';

const image = buildImage({ layers: [90, 30] });
const shared = buildImage({ layers: [90, 30], label: 'shared' });

/** As clients push; a blob that is here is not sent again. */
async function push({ ask, records }: House, { layers, configs, top }: Image, tag: string): Promise<void> {
  for (const blob of [...layers, ...configs]) {
    const mounted = await ask('POST', `${APP}/blobs/uploads/?mount=${blob.digest}&from=team/app`);
    if (mounted.status === 201) continue;
    await ask('POST', `${APP}/blobs/uploads/?digest=${blob.digest}`, blob.bytes);
  }
  await ask('PUT', `${APP}/manifests/${tag}`, top.bytes, { contentType: top.mediaType });
  expect(await records.hostedTag(HOLDER, tag)).toBeDefined();
}

async function mustBeWhole({ records, blobs }: House, { layers, configs, top }: Image, tag: string): Promise<void> {
  expect((await records.hostedTag(HOLDER, tag))?.digest).toBe(top.digest);
  for (const { digest } of [top, ...layers, ...configs]) {
    expect(await records.link(HOLDER, digest)).toBeDefined();
    const bytes = await heldBytes(blobs, digest);
    expect(bytes && digestOf(bytes, algorithmOf(digest))).toBe(digest);
  }
}

/** What a collection finds: an image without tag, of which everything is old enough to go. */
async function start() {
  const shares = { clock: createFakeClock(), disk: createMemoryDisk(), metadata: createMemoryMetadata({ async: true }) };
  const [collector, pusher] = [await createCollectHouse(shares), await createCollectHouse({ ...shares, process: 1 })];
  await push(pusher, image, 'old');
  await pusher.records.dropHostedTag(HOLDER, 'old');
  shares.clock.jump(GRACE_MS);
  return { ...shares, collector, pusher };
}

describe('[R28] while it is collected', () => {
  test.each([
    ['the same image under a new tag', image],
    ['another image of the same layers', shared],
  ])('%s is pushed before any one commit, and is whole', async (_what, pushed) => {
    for (let nth = 1, reached = true; reached; nth += 1) {
      const { collector, pusher, metadata, clock } = await start();
      let pushing: Promise<void> | undefined;
      const isReached = beforeNthCommit(metadata, nth, async () => {
        pushing = push(pusher, pushed, 'new');
        // A push that meets a deletion waits for its end: it cannot be waited for here.
        await Promise.race([pushing, settled()]);
      });
      await collector.collect({ deleteUntagged: true });
      reached = isReached();
      for (let looks = 0; pushing !== undefined && looks < 20; looks += 1) await clock.advance(50);
      await pushing;
      if (reached) await mustBeWhole(pusher, pushed, 'new');
      clock.jump(GRACE_MS);
      await collector.collect({ deleteUntagged: true });
      if (reached) await mustBeWhole(pusher, pushed, 'new');
      const needed = reached ? [pushed.top, ...pushed.layers, ...pushed.configs].length : 0;
      expect(await pusher.records.hostedDigests(undefined, 99)).toHaveLength(needed);
    }
  });

  test('it is collected before any one commit of a push, and that is whole', async () => {
    for (let nth = 1, reached = true; reached; nth += 1) {
      const { collector, pusher, metadata } = await start();
      const isReached = beforeNthCommit(metadata, nth, () => collector.collect({ deleteUntagged: true }));
      await push(pusher, shared, 'new');
      reached = isReached();
      await mustBeWhole(pusher, shared, 'new');
    }
  });

  test('a crash comes before any one commit: nothing that stands is less than whole, and a push goes through', async () => {
    for (let nth = 1, reached = true; reached; nth += 1) {
      const { collector, pusher, metadata, clock } = await start();
      await push(pusher, shared, 'kept');
      let left = nth;
      metadata.beforeCommit(() => {
        left -= 1;
        if (left <= 0) throw new Error('the power is gone');
      });
      await collector.collect({ deleteUntagged: true }).catch(() => undefined);
      metadata.beforeCommit(undefined);
      reached = left <= 0;
      clock.jump(TURN_MS);
      await finishOnce({ ...pusher.deps, onError: () => undefined, isBusy: () => false });
      await mustBeWhole(pusher, shared, 'kept');
      await push(pusher, image, 'new');
      await mustBeWhole(pusher, image, 'new');
    }
  });
});

const MIRRORED = 'docker.io/library/x';
const provenance = { repository: MIRRORED, upstream: 'hub', public: true, needed: 'nothing' } as const;

/** What a fill does at its end. */
async function fill({ blobs, records, clock }: House): Promise<void> {
  const store = new Store({ blobs, records, clock, random: createSeededRandom(5), report: () => undefined });
  const [layer] = image.layers;
  const part = await blobs.part('f'.repeat(32), false);
  await part.write(layer!.bytes, 0);
  await store.keepBlob(part, layer!.digest, layer!.size, provenance);
  part.release();
  const manifest = readManifest(image.top.bytes, image.top.mediaType);
  if (manifest.kind === 'manifest') await store.keep(manifest, image.top.bytes, image.top.digest, provenance);
}

async function mustBeFilled({ blobs, records }: House): Promise<void> {
  for (const { digest } of [image.top, image.layers[0]!]) {
    expect(await records.link(MIRRORED, digest)).toBeDefined();
    expect((await records.blob(digest))?.state).toBe('held');
    expect(await records.holders(digest, undefined, 9)).toContain(MIRRORED);
    expect(await heldBytes(blobs, digest), 'its bytes').toBeDefined();
  }
}

describe('[R28] the same content comes from an upstream', () => {
  test('before any one commit of a collection: what is linked is there', async () => {
    for (let nth = 1, reached = true; reached; nth += 1) {
      const { collector, pusher, metadata, clock } = await start();
      let filling: Promise<void> | undefined;
      const isReached = beforeNthCommit(metadata, nth, async () => {
        filling = fill(pusher);
        await Promise.race([filling, settled()]);
      });
      await collector.collect({ deleteUntagged: true });
      reached = isReached();
      for (let looks = 0; filling !== undefined && looks < 20; looks += 1) await clock.advance(50);
      await filling;
      if (reached) await mustBeFilled(pusher);
    }
  });

  test('and is collected before any one commit of that: what is linked is there', async () => {
    for (let nth = 1, reached = true; reached; nth += 1) {
      const { collector, pusher, metadata } = await start();
      const isReached = beforeNthCommit(metadata, nth, () => collector.collect({ deleteUntagged: true }));
      await fill(pusher);
      reached = isReached();
      await mustBeFilled(pusher);
    }
  });
});

/** Long enough for all that waits for nothing but microtasks and the memory's own turns. */
async function settled(): Promise<void> {
  for (let turns = 0; turns < 50; turns += 1) await new Promise((resolve) => setImmediate(resolve));
}
