import { describe, expect, test } from 'vitest';
import { openDiskBlobStore } from '../../../src/blobs/disk.ts';
import { Store } from '../../../src/pull/store.ts';
import { randomBlob, type Blob } from '../../fakes/images.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { ABSENT, createScriptedPort, type ScriptedPort } from '../../fakes/scripted-port.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { bytesOf, contentOf, createHouse, drain, settle, sha256, type House } from './house.ts';

const small = randomBlob(90_000, 1);
const large = randomBlob(5_000_000, 2);

function registry(blobs: readonly Blob[] = [small, large]): ScriptedPort {
  return createScriptedPort('hub', ({ reference }) => {
    const blob = blobs.find(({ digest }) => digest === reference);
    return blob === undefined ? ABSENT : { bytes: blob.bytes, anonymous: true };
  });
}

const pathOf = ({ digest }: Blob): string => `/data/entrepot/blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}`;

/** Both are held, and nothing is known of their files, as after a restart. */
async function holding(): Promise<{ house: House; hub: ScriptedPort }> {
  const hub = registry();
  const first = await createHouse({ chain: [hub] });
  for (const blob of [small, large]) await bytesOf(await first.blob('a/b', blob.digest));
  await settle();
  const { disk, metadata, clock } = first;
  return { house: await createHouse({ chain: [hub], disk, metadata, clock, process: 1 }), hub };
}

async function flip({ disk }: House, blob: Blob, at: number): Promise<void> {
  const file = await disk.open(pathOf(blob), 'update');
  await file?.write(Buffer.from([blob.bytes[at]! ^ 1]), at);
  await file?.close();
}

describe('[promise 1] a hit on a damaged file', () => {
  test.each([
    [small, 5],
    [small, small.bytes.length - 1],
  ])('of a small blob is a miss, and heals', async (blob, at) => {
    const { house, hub } = await holding();
    await flip(house, blob, at);
    const reply = await house.blob('a/b', blob.digest);
    expect(String(reply.headers['cache-status'])).toContain('fwd=miss');
    expect(sha256(await bytesOf(reply))).toBe(blob.digest);
    await settle();
    expect(house.events).toContainEqual(expect.objectContaining({ kind: 'quarantined', digest: blob.digest }));
    const again = await house.blob('a/b', blob.digest);
    expect(String(again.headers['cache-status'])).toContain('; hit');
    expect(sha256(await bytesOf(again))).toBe(blob.digest);
    expect(hub.gets()).toHaveLength(3);
  });

  test.each([0, 2_500_000, 4_999_999])('of a large one is cut before its end, and heals (byte %i)', async (at) => {
    const { house, hub } = await holding();
    await flip(house, large, at);
    const { bytes, broken } = await drain(await house.blob('a/b', large.digest));
    expect(broken).toMatchObject({ name: 'FileDamaged' });
    expect(bytes.length).toBeLessThanOrEqual(5_000_000 - 64 * 1024);
    // Who goes on where it was cut, as clients do, gets the rest of the right one.
    const rest = await house.blob('a/b', large.digest, { range: `bytes=${bytes.length}-` });
    expect(Buffer.compare(await bytesOf(rest), large.bytes.subarray(bytes.length))).toBe(0);
    await settle();
    expect(sha256(await bytesOf(await house.blob('a/b', large.digest)))).toBe(large.digest);
    expect(hub.gets().length).toBeGreaterThan(2);
  });
});

test('[promise 1] a range of which some was given when the file was found damaged is cut, not gone on with', async () => {
  const { house } = await holding();
  await flip(house, large, 200);
  const { content, from, to } = contentOf(await house.blob('a/b', large.digest, { range: 'bytes=100-4000000' }));
  const reader = await content.open(from, to, new AbortController().signal);
  await reader.read(Buffer.alloc(1000));
  while (house.counted('quarantined') === 0) await settle();
  await expect(reader.read(Buffer.alloc(1000))).rejects.toMatchObject({ name: 'FileDamaged' });
  reader.close();
});

describe('[promise 5] a disk that fails in the middle of a hit', () => {
  test.each([1, 2, 40, 90])('at read %i: an upstream goes on, and the whole is right', async (nth) => {
    const { house, hub } = await holding();
    const reply = await house.blob('a/b', large.digest);
    house.disk.fail({ on: 'read', nth, as: 'EIO' });
    expect(sha256(await bytesOf(reply))).toBe(large.digest);
    expect(house.events).toContainEqual(expect.objectContaining({ kind: 'bypass', reason: 'storage' }));
    expect(hub.gets()).toHaveLength(3);
    expect(house.counted('quarantined')).toBe(0);
  });

  test('what was sent and cannot be read again is not gone on with: nobody could say whether the whole is right', async () => {
    const { house } = await holding();
    const { content, from, to } = contentOf(await house.blob('a/b', large.digest));
    const reader = await content.open(from, to, new AbortController().signal);
    await reader.read(Buffer.alloc(1000));
    house.disk.fail({ on: 'read', as: 'EIO' });
    await expect(reader.read(Buffer.alloc(1000))).rejects.toMatchObject({ code: 'EIO' });
    reader.close();
  });

  test('a range goes on as well', async () => {
    const { house } = await holding();
    const reply = await house.blob('a/b', large.digest, { range: 'bytes=100-4000000' });
    house.disk.fail({ on: 'read', nth: 5, as: 'EIO' });
    expect(Buffer.compare(await bytesOf(reply), large.bytes.subarray(100, 4_000_001))).toBe(0);
  });

  test('a file that goes between the look and the reading is had from an upstream, and is no trouble of the disk', async () => {
    const { house } = await holding();
    const reply = await house.blob('a/b', large.digest);
    await house.disk.unlink(pathOf(large));
    expect(sha256(await bytesOf(reply))).toBe(large.digest);
    expect(house.counted('bypass')).toBe(0);
  });

  test('what nobody else has is cut, never ended early', async () => {
    const { house } = await holding();
    const none = await createHouse({
      chain: [registry([])],
      policy: { offline: true },
      disk: house.disk,
      metadata: house.metadata,
      clock: house.clock,
      process: 2,
    });
    const reply = await none.blob('a/b', large.digest);
    house.disk.fail({ on: 'read', nth: 30, as: 'EIO' });
    const { broken } = await drain(reply);
    expect(broken).toMatchObject({ code: 'EIO' });
  });

  test('no file stays open', async () => {
    const disk = createMemoryDisk();
    const hub = registry();
    const house = await createHouse({ chain: [hub], disk });
    for (const blob of [small, large]) await bytesOf(await house.blob('a/b', blob.digest));
    await settle();
    for (const nth of [1, 9, 30]) {
      const reply = await house.blob('a/b', large.digest);
      const lift = disk.fail({ on: 'read', nth, as: 'EIO' });
      await drain(reply);
      lift();
    }
    await house.blobs.close();
    expect(disk.openFiles()).toEqual([]);
  });
});

test('[P81] a manifest is hashed when it is read from disk, whatever the store knows of its file', async () => {
  const { house } = await holding();
  await flip(house, small, 9);
  const blobs = await openDiskBlobStore({ disk: house.disk, random: createSeededRandom(4), root: '/data', version: 'test' });
  const { records, clock } = house;
  const store = new Store({
    blobs,
    records,
    clock,
    random: createSeededRandom(5),
    report: (event) => house.events.push(event),
  });
  expect(await store.read(small.digest, small.bytes.length)).toBeUndefined();
  expect(house.counted('quarantined')).toBe(1);
  expect(await blobs.look(small.digest)).toBeUndefined();
});
