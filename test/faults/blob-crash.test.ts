import { describe, expect, test } from 'vitest';
import type { BlobStore } from '../../src/blobs/blob-store.ts';
import { openDiskBlobStore } from '../../src/blobs/disk.ts';
import { digestOf, parseDigest, type Digest } from '../../src/oci/digest.ts';
import { randomId, type Random } from '../../src/system/random.ts';
import { readBlob } from '../conformance/blob-store.ts';
import { createMemoryDisk, type MemoryDisk } from '../fakes/memory-disk.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';

const SEEDS = Array.from({ length: 25 }, (_, seed) => seed);

/** What the program was told has happened, by digest; `undefined`: it was told nothing, either state is right. */
type Told = Map<Digest, 'held' | 'absent' | undefined>;

describe.each(SEEDS)('the power goes after every call of a history (seed %i)', (seed) => {
  test('[P80] every blob is absent or whole, what was promised is kept, and leftovers are parts', async () => {
    let after = 0;
    for (let finished = false; !finished; after++) {
      const random = createSeededRandom(seed * 1000 + after);
      const disk = createMemoryDisk();
      const told: Told = new Map();
      disk.stopAfter(after);
      finished = await history(disk, random, told).then(() => true, dead);
      disk.crash({ random });
      await checkAfterRestart(disk, random, told);
    }
    expect(after).toBeGreaterThan(30);
  });
});

/** Fills in pieces, publishes, replaces, removes, and takes up a part. */
async function history(disk: MemoryDisk, random: Random, told: Told): Promise<void> {
  const store = await openDiskBlobStore({ disk, random, root: '/data', version: '1.0.0' });
  const [first, second, third] = [random.bytes(13_000), random.bytes(5_000), random.bytes(70)];
  await publish(store, random, first, told);
  await publish(store, random, second, told);
  await publish(store, random, first, told);
  told.set(digestOf(second), undefined);
  await store.remove(digestOf(second));
  told.set(digestOf(second), 'absent');
  await publish(store, random, third, told);
}

async function publish(store: BlobStore, random: Random, bytes: Uint8Array, told: Told): Promise<void> {
  const digest = digestOf(bytes);
  const id = randomId(random);
  if (told.get(digest) !== 'held') told.set(digest, undefined);
  let part = await store.part(id, false);
  await part.write(bytes.subarray(0, bytes.length / 2), 0);
  await part.sync();
  part.release();
  part = await store.part(id, true);
  await part.write(bytes.subarray(part.resumedSize), part.resumedSize);
  await part.publish(digest);
  told.set(digest, 'held');
  part.release();
}

async function checkAfterRestart(disk: MemoryDisk, random: Random, told: Told): Promise<void> {
  const store = await openDiskBlobStore({ disk, random, root: '/data', version: '1.0.0' });
  for (const [digest, state] of told) {
    const blob = await store.open(digest);
    blob?.close();
    const found = blob === undefined ? 'absent' : 'held';
    expect(found).toBe(state ?? found);
  }
  for (const name of await namesBelow(disk, '/data/entrepot/blobs')) {
    const digest = parseDigest(name);
    if (digest === undefined || !told.has(digest)) throw new Error(`${name} was left in blobs/`);
    expect(digestOf(await readBlob(store, digest))).toBe(digest);
  }
  for (const { id } of await store.parts()) await store.removePart(id);
  expect(await disk.list('/data/entrepot/parts')).toEqual([]);
  expect((await disk.list('/data/entrepot')).sort()).toEqual(['blobs', 'layout.json', 'parts']);
}

/** `algorithm:hex` of every file, wherever it lies. */
async function namesBelow(disk: MemoryDisk, blobs: string): Promise<string[]> {
  const names: string[] = [];
  for (const algorithm of await disk.list(blobs)) {
    for (const fan of await disk.list(`${blobs}/${algorithm}`)) {
      for (const name of await disk.list(`${blobs}/${algorithm}/${fan}`)) names.push(`${algorithm}:${name}`);
    }
  }
  return names;
}

function dead(error: NodeJS.ErrnoException): false {
  if (error.code !== 'EPOWER') throw error;
  return false;
}

test('the part synced before a crash is there after it, with its bytes', async () => {
  for (const seed of SEEDS) {
    const random = createSeededRandom(seed);
    const disk = createMemoryDisk();
    const bytes = random.bytes(20_000);
    const id = randomId(random);
    const store = await openDiskBlobStore({ disk, random, root: '/data', version: '1.0.0' });
    const part = await store.part(id, true);
    await part.write(bytes.subarray(0, 10_000), 0);
    await part.sync();
    await part.write(bytes.subarray(10_000), 10_000);
    disk.crash({ random });
    const again = await (await openDiskBlobStore({ disk, random, root: '/data', version: '1.0.0' })).part(id, true);
    expect(again.resumedSize).toBeGreaterThanOrEqual(10_000);
    const into = Buffer.alloc(10_000);
    await again.read(into, 0);
    expect(into.equals(bytes.subarray(0, 10_000))).toBe(true);
    again.release();
  }
});
