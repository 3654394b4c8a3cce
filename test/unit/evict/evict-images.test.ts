import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { evictImages, type EvictImagesDeps } from '../../../src/evict/evict-images.ts';
import type { EvictStep } from '../../../src/evict/events.ts';
import type { Doomed } from '../../../src/evict/release-images.ts';
import { takeTurn } from '../../../src/evict/turn.ts';
import { buildImage, randomBlob, type Blob, type Image } from '../../fakes/images.ts';
import { pushBlob } from '../../fakes/pushed.ts';
import { createCacheHouse, HUB, type CacheHouse } from './cache-house.ts';

const OTHER = 'ghcr.io/acme/b';
const one = buildImage({ layers: [1000, 2000], label: 'one' });
const two = buildImage({ layers: [1000, 3000], label: 'two' });
const shared = one.layers[0]!;

let house: CacheHouse;
let kept: (repository: string, tag: string | undefined) => string | undefined;
beforeEach(async () => {
  house = await createCacheHouse();
  kept = () => undefined;
});
afterEach(() => house.close());

const deps = (holder = 'host 1 e'): EvictImagesDeps => ({
  clock: house.clock,
  blobs: house.files,
  records: house.records,
  holder,
  isDead: () => false,
  whyKept: (repository, tag) => Promise.resolve(kept(repository, tag)),
  report: (event) => house.events.push(event),
});

async function* doomed(...all: readonly (Partial<Doomed> & { readonly names?: readonly string[] })[]): AsyncGenerator<Doomed> {
  for (const { names = [], repository = HUB, digests = [], whole = false } of all) {
    const tags = (await house.records.tags(repository, undefined, 100)).filter(({ tag }) => whole || names.includes(tag));
    yield { repository, tags, digests, whole };
  }
}

async function evicted(all: AsyncIterable<Doomed>, dryRun = false): Promise<EvictStep[]> {
  const steps: EvictStep[] = [];
  for await (const step of evictImages(deps(), all, { dryRun })) steps.push(step);
  return steps;
}

const told = (steps: readonly EvictStep[], goes: boolean) =>
  steps.flatMap((step) => (step.kind === 'blob' && step.goes === goes ? [step.digest] : [])).toSorted();
const digests = (...blobs: readonly Blob[]) => [...new Set(blobs.map(({ digest }) => digest))].toSorted();
const partsOf = ({ manifests, configs, layers }: Image): Blob[] => [...manifests, ...configs, ...layers];
const held = async (...blobs: readonly Blob[]): Promise<boolean[]> => Promise.all(blobs.map((blob) => house.held(blob)));

async function mustAgree(): Promise<void> {
  expect((await house.records.inventory.usage()).bytes).toBe(await house.onDisk());
  expect(await house.records.inventory.going(undefined, 9)).toEqual([]);
}

describe('an image that is evicted by command', () => {
  test('goes with its tag, its links and its bytes, so that the next pull is fresh', async () => {
    await house.cacheImage(one, '1');
    house.clock.jump(60_000);
    const steps = await evicted(doomed({ names: ['1'] }));
    expect(steps[0]).toEqual({ kind: 'image', repository: HUB, tag: '1', digest: one.top.digest, goes: true });
    expect(told(steps, true)).toEqual(digests(...partsOf(one)));
    const bytes = partsOf(one).reduce((sum, { size }) => sum + size, 0);
    expect(steps.at(-1)).toMatchObject({ kind: 'done', dryRun: false, images: 1, kept: 0, blobs: 4, bytes });
    expect(await house.records.tag(HUB, '1')).toBeUndefined();
    for (const { digest } of partsOf(one)) expect(await house.records.link(HUB, digest)).toBeUndefined();
    expect(await held(...partsOf(one))).toEqual([false, false, false, false]);
    expect(house.events).toMatchObject([{ kind: 'evicted', why: 'asked', blobs: 4, bytes, idleMs: 60_000 }]);
    await mustAgree();
  });

  test('leaves what another tag of the repository needs, without a word, and its link', async () => {
    await house.cacheImage(one, '1');
    await house.cacheImage(two, '2');
    const steps = await evicted(doomed({ names: ['1'] }));
    expect(told(steps, true)).toEqual(digests(...partsOf(one).filter((blob) => blob.digest !== shared.digest)));
    expect(await held(...partsOf(two))).toEqual([true, true, true, true]);
    for (const { digest } of partsOf(two)) expect(await house.records.link(HUB, digest)).toBeDefined();
    await mustAgree();
  });

  test('leaves the bytes that another repository holds, and says which, but not its own link to them', async () => {
    await house.cacheImage(one, '1');
    await house.cacheImage(two, '2', OTHER);
    const steps = await evicted(doomed({ names: ['1'] }));
    expect(steps.filter((step) => step.kind === 'blob' && !step.goes)).toEqual([
      { kind: 'blob', digest: shared.digest, bytes: shared.size, goes: false, why: `${OTHER} holds it too` },
    ]);
    expect(await house.held(shared)).toBe(true);
    expect(await house.records.link(HUB, shared.digest)).toBeUndefined();
    expect(await house.records.link(OTHER, shared.digest)).toBeDefined();
    await mustAgree();
  });

  test('goes whole where all that hold it are named, and a dry run foresees that', async () => {
    await house.cacheImage(one, '1');
    await house.cacheImage(two, '2', OTHER);
    const both = () => doomed({ names: ['1'] }, { repository: OTHER, names: ['2'] });
    const foreseen = await evicted(both(), true);
    expect(told(foreseen, true)).toEqual(digests(...partsOf(one), ...partsOf(two)));
    expect(await held(...partsOf(one), ...partsOf(two))).not.toContain(false);
    expect(told(await evicted(both()), true)).toEqual(told(foreseen, true));
    expect(await house.onDisk()).toBe(0);
    await mustAgree();
  });

  test('only seems to go in a dry run', async () => {
    await house.cacheImage(one, '1');
    const steps = await evicted(doomed({ names: ['1'] }), true);
    expect(told(steps, true)).toEqual(digests(...partsOf(one)));
    expect(steps.at(-1)).toMatchObject({ dryRun: true, images: 1, blobs: 4 });
    expect(await house.records.tag(HUB, '1')).toBeDefined();
    for (const { digest } of partsOf(one)) expect(await house.records.link(HUB, digest)).toBeDefined();
    expect(await held(...partsOf(one))).toEqual([true, true, true, true]);
    expect(house.events).toEqual([]);
  });

  test('stays where it is pinned or offline, with what it needs, though the tag beside it goes', async () => {
    await house.cacheImage(one, '1');
    await house.cacheImage(two, '2');
    kept = (_, tag) => (tag === '1' ? 'pinned by x' : undefined);
    const steps = await evicted(doomed({ whole: true }));
    expect(steps.slice(0, 2)).toMatchObject([
      { tag: '1', goes: false, why: 'pinned by x' },
      { tag: '2', goes: true },
    ]);
    expect(await held(...partsOf(one))).toEqual([true, true, true, true]);
    expect(await held(...two.manifests, two.layers[1]!)).toEqual([false, false]);
    expect(steps.at(-1)).toMatchObject({ images: 1, kept: 1 });
    await mustAgree();
  });

  test('may be named by its digest; what a tag needs stays then', async () => {
    await house.cacheImage(one, '1');
    await house.cacheManifest(two.manifests[0]!);
    await house.cache(two.layers[1]!);
    const steps = await evicted(doomed({ digests: [two.top.digest] }));
    expect(steps[0]).toMatchObject({ kind: 'image', tag: undefined, digest: two.top.digest, goes: true });
    expect(told(steps, true)).toEqual(digests(two.manifests[0]!, two.layers[1]!));
    expect(await held(...partsOf(one))).toEqual([true, true, true, true]);
  });

  test('is all that is cached where the whole repository is named, also what no tag leads to', async () => {
    const alone = randomBlob(500, 9);
    await house.cacheImage(one, '1');
    await house.cache(alone);
    await evicted(doomed({ whole: true }));
    expect(await held(...partsOf(one), alone)).not.toContain(true);
    await house.cache(alone);
    const steps = await evicted(doomed({ whole: true }));
    expect(steps[0]).toMatchObject({ kind: 'image', tag: undefined, digest: undefined, goes: true });
    expect(await house.held(alone)).toBe(false);
  });

  test('never is what was pushed: neither its bytes under another name, nor a repository that is hosted', async () => {
    await house.cacheImage(one, '1');
    await pushBlob({ ...house, blobs: house.files }, OTHER, shared);
    const steps = await evicted(doomed({ names: ['1'] }));
    expect(steps).toContainEqual({
      kind: 'blob',
      digest: shared.digest,
      bytes: shared.size,
      goes: false,
      why: 'it was pushed here',
    });
    expect(await house.held(shared)).toBe(true);
    const pushed = await evicted(doomed({ repository: OTHER, whole: true }));
    expect(pushed.at(-1)).toMatchObject({ blobs: 0 });
    expect(await house.records.link(OTHER, shared.digest)).toBeDefined();
  });

  test('waits while another evicts', async () => {
    await house.cacheImage(one, '1');
    const theirs = await takeTurn('evict', deps('host 2 x'));
    const going = evicted(doomed({ names: ['1'] }));
    await house.clock.advance(1_000);
    expect(await house.held(shared)).toBe(true);
    await theirs.end();
    await house.clock.advance(1_000);
    expect((await going).at(-1)).toMatchObject({ blobs: 4 });
  });
});
