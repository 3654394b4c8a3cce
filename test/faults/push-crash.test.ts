import { describe, expect, test } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { algorithmOf, digestOf } from '../../src/oci/digest.ts';
import { createFakeClock } from '../fakes/fake-clock.ts';
import { buildImage, descriptorOf, manifestBlob, MEDIA_TYPE, randomBlob, type ManifestBlob } from '../fakes/images.ts';
import { createMemoryDisk } from '../fakes/memory-disk.ts';
import { createMemoryMetadata } from '../fakes/memory-metadata.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { sized } from '../scenarios/acceptance.ts';
import { APP, createHouse, heldBytes, HOLDER, type House } from '../unit/push/house.ts';

/** `power`: what was not flushed or synced is gone; `kill`: only the process; `disk`: what was not synced, but no commit. */
const ENDS = ['power', 'kill', 'disk'] as const;
const SEEDS = Array.from({ length: sized(1, 20) }, (_, seed) => seed);

const image = buildImage({ layers: [900, 3000], platforms: ['linux/amd64'] });
const next = buildImage({ label: 'next' });
const chunked = randomBlob(9000, 5);
const signature = manifestBlob(MEDIA_TYPE.ociManifest, {
  config: descriptorOf(image.config, 'application/x'),
  layers: [],
  subject: descriptorOf(image.top, image.top.mediaType),
});

/** What the client was told; what is under way may have happened or not. */
interface Told {
  readonly blobs: Set<Digest>;
  /** By tag: what it may point to now. */
  readonly tags: Map<string, (Digest | undefined)[]>;
  readonly referrers: Set<Digest>;
  upload: { readonly path: string; readonly offset: number } | undefined;
}

describe.each(ENDS)('after every call of a push the end comes by %s', (end) => {
  test.each(SEEDS)(
    '[R07] what was acknowledged is whole, and no tag points to less (seed %i)',
    async (seed) => {
      for (const where of ['disk', 'metadata'] as const) {
        let after = 0;
        for (let finished = false; !finished; after += 1) {
          finished = await crashAfter(end, where, after, seed * 1000 + after);
        }
        expect(after).toBeGreaterThan(where === 'disk' ? 60 : 30);
      }
    },
    60_000,
  );
});

async function crashAfter(
  end: (typeof ENDS)[number],
  where: 'disk' | 'metadata',
  after: number,
  seed: number,
): Promise<boolean> {
  const random = createSeededRandom(seed);
  const clock = createFakeClock();
  const [disk, metadata] = [createMemoryDisk(), createMemoryMetadata()];
  const told: Told = { blobs: new Set(), tags: new Map(), referrers: new Set(), upload: undefined };
  const house = await createHouse({ clock, disk, metadata });
  let commits = 0;
  if (where === 'disk') disk.stopAfter(after);
  else {
    metadata.beforeCommit(() => {
      commits += 1;
      if (commits <= after) return;
      disk.stopAfter(0);
      throw Object.assign(new Error('the power is gone'), { code: 'EPOWER' });
    });
  }
  const finished = await history(house, told).then(
    () => true,
    () => false,
  );
  metadata.beforeCommit(undefined);
  if (end !== 'kill') {
    disk.crash({ random });
    if (end === 'power') metadata.crash();
  } else disk.stopAfter(Infinity);
  const restarted = await createHouse({ clock, disk, metadata, process: 1, isDead: (holder) => holder === 'host 0 x' });
  await check(restarted, told);
  return finished;
}

async function history(house: House, told: Told): Promise<void> {
  const at = await house.begin();
  for (const [from, to] of [
    [0, 4000],
    [4000, 8000],
  ] as const) {
    await house.ask('PATCH', at, chunked.bytes.subarray(from, to));
    told.upload = { path: at, offset: to };
  }
  for (const blob of [...image.layers, ...image.configs]) {
    await house.ask('POST', `${APP}/blobs/uploads/?digest=${blob.digest}`, blob.bytes);
    told.blobs.add(blob.digest);
  }
  await put(house, told, image.manifests[0]!, []);
  await put(house, told, image.top, ['latest', '1']);
  await put(house, told, signature, []);
  for (const blob of [...next.layers, ...next.configs]) {
    await house.ask('POST', `${APP}/blobs/uploads/?digest=${blob.digest}`, blob.bytes);
    told.blobs.add(blob.digest);
  }
  await put(house, told, next.top, ['latest']);
  told.upload = undefined;
  await house.ask('PUT', `${at}?digest=${chunked.digest}`, chunked.bytes.subarray(8000));
  told.blobs.add(chunked.digest);
  told.tags.set('1', [image.top.digest, undefined]);
  await house.ask('DELETE', `${APP}/manifests/1`);
  told.tags.set('1', [undefined]);
}

async function put(house: House, told: Told, manifest: ManifestBlob, tags: readonly string[]): Promise<void> {
  for (const tag of tags) told.tags.set(tag, [...(told.tags.get(tag) ?? [undefined]), manifest.digest]);
  const query = tags.map((tag) => `tag=${tag}`).join('&');
  await house.ask('PUT', `${APP}/manifests/${manifest.digest}?${query}`, manifest.bytes, { contentType: manifest.mediaType });
  for (const tag of tags) told.tags.set(tag, [manifest.digest]);
  if (manifest === signature) told.referrers.add(manifest.digest);
}

async function check(house: House, told: Told): Promise<void> {
  const { records, blobs } = house;
  for (const digest of told.blobs) expect(await records.link(HOLDER, digest), 'an acknowledged blob').toBeDefined();
  // Whatever is linked is held, and is what it is named by.
  for (const { digest } of await records.links(HOLDER, undefined, 100)) {
    const bytes = await heldBytes(blobs, digest);
    expect(bytes && digestOf(bytes, algorithmOf(digest))).toBe(digest);
  }
  for (const [tag, may] of told.tags) {
    const record = await records.tag(HOLDER, tag);
    expect(may).toContain(record?.digest);
    if (record === undefined) continue;
    await isWhole(house, record.digest);
  }
  const referrers = await records.referrers(HOLDER, image.top.digest, undefined, 10);
  for (const digest of told.referrers) expect(referrers.map((one) => one.digest)).toContain(digest);
  for (const { digest } of referrers) expect(await records.link(HOLDER, digest)).toBeDefined();
  if (told.upload !== undefined) await finishes(house, told.upload);
  await leavesNothing(house);
}

async function isWhole({ records, blobs }: House, digest: Digest): Promise<void> {
  expect((await records.link(HOLDER, digest))?.kind).toBe('manifest');
  const { manifests = [], config, layers = [] } = JSON.parse((await heldBytes(blobs, digest))!.toString()) as Parsed;
  for (const child of [...manifests, ...(config === undefined ? [] : [config]), ...layers]) {
    expect(await records.link(HOLDER, child.digest), 'a child of a tagged manifest').toBeDefined();
  }
}

interface Parsed {
  readonly manifests?: readonly { readonly digest: Digest }[];
  readonly config?: { readonly digest: Digest };
  readonly layers?: readonly { readonly digest: Digest }[];
}

async function finishes(house: House, { path, offset }: NonNullable<Told['upload']>): Promise<void> {
  const { range = '' } = (await house.ask('GET', path)).headers;
  const has = Number(range.split('-')[1]) + 1;
  expect(has).toBeGreaterThanOrEqual(offset);
  await house.ask('PUT', `${path}?digest=${chunked.digest}`, chunked.bytes.subarray(has), { contentRange: `${has}-8999` });
}

/** But for uploads that can be gone on with, and parts that the sweep knows to be nobody's. */
async function leavesNothing({ records, disk, blobs }: House): Promise<void> {
  for (const { repository, id } of await records.uploads(undefined, 100)) await records.dropUpload(repository, id);
  expect(await records.uploads(undefined, 100)).toEqual([]);
  for (const { id } of await blobs.parts()) expect(await blobs.removePart(id)).toBe(true);
  await blobs.close();
  expect(disk.openFiles()).toEqual([]);
}
