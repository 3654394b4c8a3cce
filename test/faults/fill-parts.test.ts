import { describe, expect, test } from 'vitest';
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

async function world() {
  const clock = createFakeClock();
  const disk = createMemoryDisk({ now: () => clock.now() });
  const metadata = createMemoryMetadata();
  return { clock, disk, metadata };
}

describe('partial files', () => {
  test('[decision 5] the prefix is synced and recorded at 4 MiB, at each doubling, and at park', async () => {
    const place = await world();
    const { opened } = gate();
    const hub = createScriptedPort('hub', () => ({ bytes: big.bytes, hold: { after: 18 * MIB, until: opened } }));
    const house = await createHouse({ chain: [hub], ...place });
    await house.blob('a/b', big.digest);
    await settle(200);
    const record = await house.records.part(BIG);
    expect(record).toMatchObject({ synced: 16 * MIB, size: big.size });
    expect(place.disk.calls('sync')).toBe(1 + 3);
    await house.fills.park();
    expect(await house.records.part(BIG)).toMatchObject({ synced: 18 * MIB });
    expect(hub.openBodies()).toBe(0);
    await settle();
    expect(place.disk.openFiles()).toEqual([]);
  });

  for (const seed of [1, 2, 3, 4, 5, 6]) {
    test(`[R01] after a crash only the recorded prefix is trusted, and the range begins there (${seed})`, async () => {
      const place = await world();
      const { opened } = gate();
      const hub = createScriptedPort('hub', () => ({ bytes: big.bytes, hold: { after: 11 * MIB, until: opened } }));
      const before = await createHouse({ chain: [hub], ...place });
      await before.blob('a/b', big.digest);
      await settle(200);
      await before.records.flushed();
      place.disk.crash({ random: createSeededRandom(seed) });
      place.metadata.crash();
      const again = createScriptedPort('hub', () => ({ bytes: big.bytes }));
      const after = await createHouse({ chain: [again], ...place, process: 1, isDead: () => true });
      expect(sha256(await bytesOf(await after.blob('a/b', big.digest)))).toBe(big.digest);
      expect(again.starts()).toEqual([8 * MIB]);
    });
  }

  test('[decision 4] a prefix that rotted is found out, and the blob fetched whole', async () => {
    const place = await world();
    const hub = createScriptedPort('hub', (_, at) => (at === 0 ? { bytes: big.bytes, breakAfter: 9 * MIB } : trouble('hub')));
    const before = await createHouse({ chain: [hub], ...place });
    await drain(await before.blob('a/b', big.digest));
    await settle();
    const [left] = await before.blobs.parts();
    const file = await place.disk.open(`/data/entrepot/parts/${left!.id}`, 'update');
    await file!.write(new Uint8Array([1, 2, 3]), 1000);
    await file!.close();
    hub.say(() => ({ bytes: big.bytes }));
    const { broken } = await drain(await before.blob('a/b', big.digest));
    expect(broken).toBeInstanceOf(Error);
    await settle(200);
    expect(hub.starts().slice(-2)).toEqual([9 * MIB, 0]);
    expect((await before.blob('a/b', big.digest)).headers['cache-status']).toBe('entrepot; hit');
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
    await before.records.putPart(BIG, { ...record, synced: big.size });
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
