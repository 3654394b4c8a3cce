import { describe, expect, test } from 'vitest';
import type { PartRecord } from '../../src/metadata/records.ts';
import { SYNC_MS } from '../../src/pull/fill/writer.ts';
import { createFakeClock } from '../fakes/fake-clock.ts';
import { randomBlob } from '../fakes/images.ts';
import { createMemoryDisk } from '../fakes/memory-disk.ts';
import { createMemoryMetadata } from '../fakes/memory-metadata.ts';
import { ABSENT, createScriptedPort, trouble } from '../fakes/scripted-port.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { bytesOf, contentOf, createHouse, drain, gate, settle, sha256 } from '../unit/pull/house.ts';

const MIB = 1024 * 1024;
const big = randomBlob(20 * MIB, 5);
const BIG = { registry: 'docker.io', digest: big.digest };
const small = randomBlob(200_000, 6);

type Place = Awaited<ReturnType<typeof world>>;

async function world() {
  const clock = createFakeClock();
  const disk = createMemoryDisk({ now: () => clock.now() });
  const metadata = createMemoryMetadata();
  return { clock, disk, metadata };
}

/** The record of a part of so many bytes, whose upstream broke and was not there any more. */
async function leftBehind(place: Place, bytes: number): Promise<PartRecord> {
  const hub = createScriptedPort('hub', (_, at) => (at === 0 ? { bytes: big.bytes, breakAfter: bytes } : trouble('hub')));
  const house = await createHouse({ chain: [hub], ...place });
  await drain(await house.blob('a/b', big.digest));
  await settle();
  const record = await house.records.part(BIG);
  expect(record).toMatchObject({ synced: bytes, prefix: { bytes } });
  return record!;
}

async function rot({ disk }: Place, { id }: PartRecord): Promise<void> {
  const file = await disk.open(`/data/entrepot/parts/${id}`, 'update');
  await file!.write(new Uint8Array([1, 2, 3]), 1000);
  await file!.close();
}

describe('partial files', () => {
  test('[decision 5] the prefix is recorded at 4 MiB, at each doubling, and at park, where it is synced too', async () => {
    const place = await world();
    const { opened } = gate();
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes, hold: { after: 18 * MIB, until: opened } }));
    const house = await createHouse({ chain: [hub], ...place });
    await house.blob('a/b', big.digest);
    await settle(200);
    const prefix = { bytes: 16 * MIB, digest: sha256(big.bytes.subarray(0, 16 * MIB)) };
    expect(await house.records.part(BIG)).toMatchObject({ synced: 0, prefix, size: big.size });
    const before = place.disk.calls('sync');
    await house.fills.park();
    expect(place.disk.calls('sync')).toBe(before + 1);
    expect(await house.records.part(BIG)).toMatchObject({ synced: 18 * MIB, prefix: { bytes: 18 * MIB } });
    expect(hub.openBodies()).toBe(0);
    await settle();
    expect(place.disk.openFiles()).toEqual([]);
  });

  test('[decision 5] a fill that takes its time has its prefix synced before it is recorded', async () => {
    const place = await world();
    const [first, second] = [gate(), gate()];
    const hub = createScriptedPort('hub', (_, at) => ({
      bytes: big.bytes,
      ...(at === 0
        ? { breakAfter: 3 * MIB }
        : { hold: { after: at * 3 * MIB, until: second.opened }, pause: () => first.opened }),
    }));
    const house = await createHouse({ chain: [hub], ...place });
    await house.blob('a/b', big.digest);
    await settle(200);
    await house.clock.advance(SYNC_MS);
    first.open();
    await settle(200);
    expect(await house.records.part(BIG)).toMatchObject({ synced: 4 * MIB, prefix: { bytes: 4 * MIB } });
    second.open();
    await house.fills.park();
  });

  for (const seed of [1, 2, 3, 4, 5, 6]) {
    test(`[R01] after a loss of power only what was synced is trusted, or still hashes as recorded (${seed})`, async () => {
      const place = await world();
      const { opened } = gate();
      const first = gate();
      const hub = createScriptedPort('hub', async () => {
        await first.opened;
        return { bytes: big.bytes, hold: { after: 11 * MIB, until: opened } };
      });
      const before = await createHouse({ chain: [hub], ...place });
      const pull = before.blob('a/b', big.digest);
      await settle();
      await before.clock.advance(SYNC_MS);
      first.open();
      await pull;
      await settle(200);
      // The 4 MiB were synced, and the 8 MiB not, since no time had passed.
      expect(await before.records.part(BIG)).toMatchObject({ synced: 4 * MIB, prefix: { bytes: 8 * MIB } });
      await before.records.flushed();
      place.disk.crash({ random: createSeededRandom(seed) });
      place.metadata.crash();
      const again = createScriptedPort('hub', () => ({ bytes: big.bytes }));
      const after = await createHouse({ chain: [again], ...place, process: 1, isDead: () => true });
      expect(sha256(await bytesOf(await after.blob('a/b', big.digest)))).toBe(big.digest);
      expect(again.starts()).toEqual([4 * MIB]);
    });
  }

  test('[R01] after the end of the process alone all that was recorded is gone on with, and no more', async () => {
    const place = await world();
    const { opened } = gate();
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes, hold: { after: 11 * MIB, until: opened } }));
    const before = await createHouse({ chain: [hub], ...place });
    await before.blob('a/b', big.digest);
    await settle(200);
    const again = createScriptedPort('hub', () => ({ bytes: big.bytes }));
    const after = await createHouse({ chain: [again], ...place, process: 1, isDead: () => true });
    expect(sha256(await bytesOf(await after.blob('a/b', big.digest)))).toBe(big.digest);
    expect(again.starts()).toEqual([8 * MIB]);
  });

  test('[decision 5] what an older version recorded is gone on with as far as it was synced', async () => {
    const place = await world();
    const { prefix: _, ...record } = await leftBehind(place, 9 * MIB);
    const again = createScriptedPort('hub', () => ({ bytes: big.bytes }));
    const after = await createHouse({ chain: [again], ...place, process: 1, isDead: () => true });
    await after.records.putPart(BIG, { ...record, synced: 5 * MIB });
    expect(sha256(await bytesOf(await after.blob('a/b', big.digest)))).toBe(big.digest);
    expect(again.starts()).toEqual([5 * MIB]);
  });

  test('a prefix that rotted is found out before anybody has a byte of it, and the blob fetched whole', async () => {
    const place = await world();
    await rot(place, await leftBehind(place, 9 * MIB));
    const again = createScriptedPort('hub', () => ({ bytes: big.bytes }));
    const after = await createHouse({ chain: [again], ...place, process: 1, isDead: () => true });
    expect(sha256(await bytesOf(await after.blob('a/b', big.digest)))).toBe(big.digest);
    expect(again.starts()).toEqual([0]);
  });

  test('[decision 4] one that rotted since an older version recorded it is found out too', async () => {
    const place = await world();
    const { prefix: _, ...record } = await leftBehind(place, 9 * MIB);
    await rot(place, record);
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes }));
    const after = await createHouse({ chain: [hub], ...place, process: 1, isDead: () => true });
    await after.records.putPart(BIG, record);
    const { broken } = await drain(await after.blob('a/b', big.digest));
    expect(broken).toBeInstanceOf(Error);
    await settle(200);
    expect(hub.starts()).toEqual([9 * MIB, 0]);
    expect((await after.blob('a/b', big.digest)).headers['cache-status']).toBe('entrepot; hit');
  });

  test('[promise 9] what another repository left is not shown before an upstream has said yes to this one', async () => {
    const place = await world();
    const { opened } = gate();
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes, hold: { after: 16 * MIB, until: opened } }));
    const before = await createHouse({ chain: [hub], ...place });
    await before.blob('private/a', big.digest);
    await settle(200);
    await before.fills.park();
    const record = (await before.records.part(BIG))!;
    // As if all of it had been durable when the process ended.
    const file = (await place.disk.open(`/data/entrepot/parts/${record.id}`, 'update'))!;
    await file.write(big.bytes.subarray(16 * MIB), 16 * MIB);
    await file.sync();
    await file.close();
    await before.records.putPart(BIG, { ...record, synced: big.size, prefix: { bytes: big.size, digest: big.digest } });
    const refusing = createScriptedPort('hub', () => ABSENT);
    const after = await createHouse({ chain: [refusing], ...place, process: 1, isDead: () => true });
    await expect(after.blob('public/b', big.digest)).rejects.toMatchObject({ status: 404 });
    refusing.say(() => ({ bytes: big.bytes }));
    const later = await createHouse({ chain: [refusing], ...place, process: 2, isDead: () => true });
    expect(sha256(await bytesOf(await later.blob('private/a', big.digest)))).toBe(big.digest);
    expect(refusing.starts().slice(-1)).toEqual([big.size - 1]);
  });
});

describe('the disk fails in mid-fill', () => {
  for (const code of ['ENOSPC', 'EIO']) {
    test(`[decision 13] ${code}: readers finish the file and go on by themselves; the last bytes still wait for the digest`, async () => {
      const place = await world();
      const { opened, open } = gate();
      const hub = createScriptedPort('hub', (_, at) => ({
        bytes: big.bytes,
        ...(at === 0 ? { hold: { after: 6 * MIB, until: opened } } : {}),
      }));
      const house = await createHouse({ chain: [hub], ...place });
      place.disk.fail({ on: 'write', nth: 100, as: code });
      const whole = await Promise.all([1, 2, 3].map(() => house.blob('a/b', big.digest)));
      const ranged = await house.blob('a/b', big.digest, { range: 'bytes=100-9999999' });
      const reading = [...whole, ranged].map((reply) => bytesOf(reply));
      await settle();
      open();
      const read = await Promise.all(reading);
      for (const bytes of read.slice(0, 3)) expect(sha256(bytes)).toBe(big.digest);
      expect(read[3]!.equals(big.bytes.subarray(100, 10_000_000))).toBe(true);
      expect(
        hub
          .starts()
          .slice(1)
          .every((from) => from > 6_000_000),
      ).toBe(true);
      await settle();
      expect(place.disk.openFiles()).toEqual([]);
      expect(await house.blobs.parts()).toEqual([]);
      expect(house.events).toContainEqual(expect.objectContaining({ kind: 'bypass', reason: 'storage' }));
      expect(hub.openBodies()).toBe(0);
    });
  }

  test('[decision 13] a wrong byte is still found out by those who went on alone', async () => {
    for (const [blob, at] of [
      [big, big.size - 1],
      [small, 10],
    ] as const) {
      const place = await world();
      const wrong = Buffer.from(blob.bytes);
      wrong[at] = wrong[at]! ^ 1;
      const hub = createScriptedPort('hub', () => ({ bytes: wrong, chunkBytes: blob === small ? 50_000 : MIB }));
      const house = await createHouse({ chain: [hub], ...place });
      place.disk.fail({ on: 'write', when: ({ path }) => path.includes('/parts/'), nth: 3, as: 'ENOSPC' });
      const { bytes, broken } = await drain(await house.blob('a/b', blob.digest));
      expect(broken).toBeInstanceOf(Error);
      expect(bytes.length).toBeLessThanOrEqual(blob === small ? 0 : blob.size - 65_536);
      expect(house.counted('verify-failed')).toBe(1);
    }
  });

  test('[decision 13] the tail that stands in the file is not given out either', async () => {
    const place = await world();
    const wrong = Buffer.from(big.bytes);
    wrong[5] = wrong[5]! ^ 1;
    const hub = createScriptedPort('hub', () => ({ bytes: wrong, chunkBytes: 10_000 }));
    const house = await createHouse({ chain: [hub], ...place });
    const last = Math.floor(big.size / 10_000);
    place.disk.fail({ on: 'write', when: ({ path }) => path.includes('/parts/'), nth: last, as: 'ENOSPC' });
    const { bytes, broken } = await drain(await house.blob('a/b', big.digest));
    expect(broken).toBeInstanceOf(Error);
    expect(bytes.length).toBe(big.size - 65_536);
  });

  test('[P79] later readers pass through; when there is room again, things are kept again', async () => {
    const place = await world();
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes }));
    const house = await createHouse({ chain: [hub], ...place });
    const lift = place.disk.fail({ on: 'write', as: 'ENOSPC' });
    expect(sha256(await bytesOf(await house.blob('a/b', big.digest)))).toBe(big.digest);
    const later = await house.blob('a/b', big.digest);
    expect(later.headers['cache-status']).toBe('entrepot; fwd=bypass');
    expect(later.headers['warning']).toMatch(/^299 entrepot /);
    expect(sha256(await bytesOf(later))).toBe(big.digest);
    lift();
    await house.clock.advance(5_001);
    expect(sha256(await bytesOf(await house.blob('a/b', big.digest)))).toBe(big.digest);
    await settle();
    expect((await house.blob('a/b', big.digest)).headers['cache-status']).toBe('entrepot; hit');
  });

  test('[promise 5] a disk on which no part can be made costs no pull', async () => {
    const place = await world();
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes }));
    const house = await createHouse({ chain: [hub], ...place });
    place.disk.fail({ on: 'open', when: ({ path }) => path.includes('/parts/'), as: 'EROFS' });
    expect(sha256(await bytesOf(await house.blob('a/b', big.digest)))).toBe(big.digest);
    expect(sha256(await bytesOf(await house.blob('a/b', big.digest, { range: 'bytes=0-' })))).toBe(big.digest);
  });

  test('[promise 5] a publish that fails costs only the next pull', async () => {
    const place = await world();
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes }));
    const house = await createHouse({ chain: [hub], ...place });
    place.disk.fail({ on: 'rename', nth: 1, as: 'EIO' });
    const reply = await house.blob('a/b', big.digest);
    const reading = contentOf(reply).content.open(0, undefined, new AbortController().signal);
    const reader = await reading;
    await settle(200);
    let read = 0;
    const hash: Buffer[] = [];
    for (const into = Buffer.alloc(MIB); ;) {
      const count = await reader.read(into);
      if (count === 0) break;
      hash.push(Buffer.from(into.subarray(0, count)));
      read += count;
    }
    reader.close();
    expect([read, sha256(Buffer.concat(hash))]).toEqual([big.size, big.digest]);
    expect(await house.records.link('docker.io/a/b', big.digest)).toBeUndefined();
  });

  test('[promise 5] metadata that cannot be asked cost no pull, and grant nothing', async () => {
    const place = await world();
    const hub = createScriptedPort('hub', ({ repository }) => (repository === 'a/b' ? { bytes: big.bytes } : ABSENT));
    const house = await createHouse({ chain: [hub], ...place });
    await bytesOf(await house.blob('a/b', big.digest));
    await settle();
    place.metadata.setDown(true);
    // An upstream's yes stands for the link that cannot be read; the bytes are the disk's.
    const reply = await house.blob('a/b', big.digest);
    expect(reply.headers['cache-status']).toBe('entrepot; hit');
    expect(sha256(await bytesOf(reply))).toBe(big.digest);
    await expect(house.blob('c/d', big.digest)).rejects.toMatchObject({ status: 404 });
    expect(house.events).toContainEqual(expect.objectContaining({ kind: 'bypass', reason: 'metadata' }));
    place.metadata.setDown(false);
    expect((await house.blob('a/b', big.digest)).headers['cache-status']).toBe('entrepot; hit');
  });
});
