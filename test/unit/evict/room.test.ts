import { afterEach, describe, expect, test } from 'vitest';
import { NoRoom } from '../../../src/blobs/blob-store.ts';
import { EXPIRE_MS, LOOK_MS } from '../../../src/evict/evictor.ts';
import { Room } from '../../../src/evict/room.ts';
import { randomBlob, type Blob } from '../../fakes/images.ts';
import { settle } from '../pull/house.ts';
import { createCacheHouse, type CacheHouse, type CacheHouseOptions } from './cache-house.ts';

const HOUR = 3600_000;
const WATERMARKS = { high: 0.95, low: 0.85 };

let house: CacheHouse;
afterEach(() => house.close());

async function open(options: CacheHouseOptions = {}): Promise<CacheHouse> {
  house = await createCacheHouse({ limits: { maxBytes: 1000, watermarks: WATERMARKS }, ...options });
  return house;
}

const blob = (size: number, seed: number): Blob => randomBlob(size, seed);
const counted = async (): Promise<number> => {
  const { bytes, reserved } = await house.records.inventory.usage();
  return bytes + reserved;
};

describe('room', () => {
  test('is made before it is needed: the limit holds at every commit, however many are kept at once', async () => {
    await open();
    const seen: number[] = [];
    house.metadata.beforeCommit(async () => void seen.push(await counted()));
    for (let round = 0; round < 6; round += 1) {
      await Promise.all(Array.from({ length: 8 }, (_, at) => house.cache(blob(90, round * 8 + at + 1))));
      expect(await house.onDisk()).toBeLessThanOrEqual(1000);
      house.clock.jump(HOUR);
    }
    await house.evictor.makeRoom(0);
    expect(Math.max(...seen)).toBeLessThanOrEqual(1000);
    expect(await counted()).toBe(await house.onDisk());
    expect(await counted()).toBeGreaterThan(500);
  });

  test('what is larger than the whole cache has none, and drives nothing out', async () => {
    await open();
    await house.cache(blob(500, 1));
    house.clock.jump(HOUR);
    await expect(house.cache(blob(1001, 2))).rejects.toThrow(NoRoom);
    expect(await house.held(blob(500, 1))).toBe(true);
    expect(await counted()).toBe(500);
  });

  test('is made for a file from elsewhere before it gets its second name', async () => {
    await open();
    const put = async ({ bytes }: Blob, path: string): Promise<void> => {
      await house.disk.makeDirectory('/elsewhere');
      const file = await house.disk.open(path, 'create');
      await file?.write(bytes, 0);
      await file?.close();
    };
    await house.cache(blob(700, 1));
    const [other, large] = [blob(600, 2), blob(1001, 3)];
    await put(other, '/elsewhere/other');
    await put(large, '/elsewhere/large');
    await expect(house.blobs.linkedPart('0'.repeat(32), '/elsewhere/other')).rejects.toThrow(NoRoom);
    await expect(house.blobs.linkedPart('1'.repeat(32), '/elsewhere/large')).rejects.toThrow(NoRoom);
    expect(await house.blobs.parts()).toEqual([]);
    expect(await counted()).toBe(700);
    house.clock.jump(HOUR);
    const part = await house.blobs.linkedPart('2'.repeat(32), '/elsewhere/other');
    expect(await counted()).toBeLessThanOrEqual(1000);
    await part?.publish(other.digest);
    part?.release();
    expect(await house.held(blob(700, 1))).toBe(false);
    expect(await counted()).toBe(600);
    // What it was linked from has another name.
    expect((await house.disk.stat('/elsewhere/other'))?.size).toBe(600);
  });

  test('where everything is in use there is none, and it comes back by itself', async () => {
    await open();
    await Promise.all(Array.from({ length: 9 }, (_, at) => house.cache(blob(100, at + 1))));
    await expect(house.cache(blob(200, 20))).rejects.toThrow(NoRoom);
    expect(house.events.map(({ kind }) => kind)).toEqual(['evict-stuck']);
    expect(await counted()).toBe(900);
    house.clock.jump(HOUR);
    await house.cache(blob(200, 20));
    expect(await house.held(blob(200, 20))).toBe(true);
  });

  test('parts that ask at once are answered by two looks at the disk, however many they are', async () => {
    await open();
    let looks = 0;
    const room = new Room({
      clock: house.clock,
      blobs: {
        space: () => {
          looks += 1;
          return house.files.space();
        },
        quarantined: () => house.files.quarantined(),
      },
      records: house.records,
      limits: () => house.limits,
    });
    const ask = (at: number): Promise<void> => room.setAside(`part${at}`, 0, 10);
    await Promise.all(Array.from({ length: 50 }, (_, at) => ask(at)));
    expect(looks).toBeLessThanOrEqual(2);
    expect(await counted()).toBe(500);
    looks = 0;
    await ask(50);
    expect(looks).toBe(1);
  });

  test('parts that ask at once do not all take the same free bytes of the disk', async () => {
    await open({ limits: { keepFree: 0.1 }, totalBytes: 1000 });
    const asked = Array.from({ length: 10 }, (_, at) => house.room.setAside(`part${at}`, 0, 200));
    const granted = (await Promise.allSettled(asked)).filter(({ status }) => status === 'fulfilled');
    expect(granted).toHaveLength(4);
    expect(await counted()).toBe(800);
  });

  test('the disk keeps its share free, whoever filled it', async () => {
    await open({ totalBytes: 10_000, limits: { maxBytes: undefined, keepFree: 0.1, watermarks: { high: 1, low: 1 } } });
    await house.cache(blob(500, 1));
    house.clock.jump(HOUR);
    const other = await house.disk.open('/others', 'create');
    await other?.write(new Uint8Array(8500), 0);
    await other?.close();
    await house.cache(blob(400, 2));
    expect(await house.held(blob(500, 1))).toBe(false);
    expect(await house.held(blob(400, 2))).toBe(true);
    await expect(house.cache(blob(800, 3))).rejects.toThrow(NoRoom);
  });

  test('[R35] a disk that others have filled to the brim is in trouble, and not only short of room', async () => {
    await open({ totalBytes: 10_000, limits: { maxBytes: undefined, keepFree: 0, watermarks: { high: 1, low: 1 } } });
    const other = await house.disk.open('/others', 'create');
    await other?.write(new Uint8Array(9700), 0);
    await expect(house.cache(blob(800, 3))).rejects.toThrow(NoRoom);
    await other?.write(new Uint8Array(200), 9700);
    await other?.close();
    await expect(house.cache(blob(800, 3))).rejects.toMatchObject({ code: 'ENOSPC' });
  });

  test('a part of unknown size asks as it grows, and is refused before its bytes are written', async () => {
    await open({ limits: { maxBytes: 3 * 1024 * 1024, watermarks: WATERMARKS } });
    const part = await house.blobs.part('a'.repeat(32), false);
    await part.write(new Uint8Array(1024 * 1024), 0);
    expect(await counted()).toBe(2 * 1024 * 1024);
    await expect(part.write(new Uint8Array(4 * 1024 * 1024), 1024 * 1024)).rejects.toThrow(NoRoom);
    expect(await house.onDisk()).toBe(1024 * 1024);
    await part.discard();
    part.release();
    expect(await counted()).toBe(0);
  });

  test('what a parked part holds stays counted, no more and no less, and goes with it', async () => {
    await open({ limits: { maxBytes: 10_000, watermarks: WATERMARKS } });
    const id = 'b'.repeat(32);
    const part = await house.blobs.part(id, false, 5000);
    await part.write(new Uint8Array(700), 0);
    expect(await counted()).toBe(5000);
    part.release();
    await expect.poll(counted).toBe(700);
    const again = await house.blobs.part(id, true, 5000);
    await again.write(new Uint8Array(300), 700);
    expect(await counted()).toBe(5000);
    again.release();
    await expect.poll(counted).toBe(1000);
    expect(await house.blobs.removePart(id)).toBe(true);
    expect(await counted()).toBe(0);
  });

  test('who only reads the part of another changes nothing of its room', async () => {
    await open({ limits: { maxBytes: 10_000, watermarks: WATERMARKS } });
    const id = 'c'.repeat(32);
    const part = await house.blobs.part(id, false, 5000);
    await part.write(new Uint8Array(700), 0);
    const other = await createCacheHouse({ disk: house.disk, metadata: house.metadata, clock: house.clock });
    const reading = await other.blobs.part(id, true);
    await reading.read(new Uint8Array(10), 0);
    reading.release();
    await settle();
    expect(await counted()).toBe(5000);
    await part.discard();
    part.release();
  });

  test('[promise 5] where the metadata cannot be asked bytes are written all the same', async () => {
    await open();
    house.metadata.setDown(true);
    const part = await house.blobs.part('d'.repeat(32), false, 100);
    await part.write(new Uint8Array(100), 0);
    await part.publish(blob(100, 1).digest);
    part.release();
    house.metadata.setDown(false);
    expect(await house.held(blob(100, 1))).toBe(true);
  });

  test('what was moved away as damaged counts until it is gone', async () => {
    await open();
    await house.cache(blob(400, 1));
    const { version } = (await house.files.look(blob(400, 1).digest)) ?? { version: '' };
    await house.files.quarantine(blob(400, 1).digest, version, house.clock.now());
    expect(await house.records.inventory.usage()).toEqual({ bytes: 0, blobs: 0, reserved: 0 });
    expect((await house.room.stock()).quarantined).toBe(400);
    await expect(house.cache(blob(700, 2))).rejects.toThrow(NoRoom);
    for (const { name } of await house.files.quarantined()) await house.files.removeQuarantined(name);
    await house.cache(blob(700, 2));
  });

  test('what could not be published is counted no more', async () => {
    await open();
    const heal = house.disk.fail({ on: 'rename', as: 'EIO' });
    await expect(house.cache(blob(100, 1))).rejects.toThrow('EIO');
    heal();
    expect(await counted()).toBe(0);
    await house.cache(blob(100, 1));
    const again = house.disk.fail({ on: 'rename', as: 'EIO' });
    await expect(house.cache(blob(100, 1))).rejects.toThrow('EIO');
    again();
    expect(await counted(), 'the bytes of before').toBe(100);
  });

  test('what a process that died had set aside comes back: at once with its part, else when nobody writes to it', async () => {
    await open({ limits: { maxBytes: 10_000, watermarks: WATERMARKS } });
    for (const [id, size] of [
      ['e'.repeat(32), 300],
      ['f'.repeat(32), 700],
    ] as const) {
      const part = await house.blobs.part(id, false, 2000);
      await part.write(new Uint8Array(size), 0);
    }
    expect(await counted()).toBe(4000);
    await house.disk.unlink(`/data/entrepot/parts/${'e'.repeat(32)}`);
    const after = await createCacheHouse({ disk: house.disk, metadata: house.metadata, clock: house.clock });
    after.evictor.start();
    await house.clock.advance(0);
    expect(await counted()).toBe(2000);
    house.clock.jump(2 * HOUR);
    await house.clock.advance(EXPIRE_MS + LOOK_MS);
    expect(await counted()).toBe(700);
    await after.close();
  });

  test('what was about to be published when a process died counts by itself, and an upload does not', async () => {
    await open({ limits: { maxBytes: 10_000, watermarks: WATERMARKS } });
    const part = await house.blobs.part('e'.repeat(32), false, 500);
    await part.write(blob(500, 1).bytes, 0);
    await house.room.enter(blob(500, 1).digest, 500, 'e'.repeat(32));
    const upload = await house.files.part('f'.repeat(32), false);
    await upload.write(blob(300, 2).bytes, 0);
    await house.records.putUpload('local/team/app', 'an-upload', undefined, {
      part: 'f'.repeat(32),
      offset: 300,
      started: house.clock.now(),
      at: house.clock.now(),
    });
    const after = await createCacheHouse({ disk: house.disk, metadata: house.metadata, clock: house.clock });
    after.evictor.start();
    house.clock.jump(2 * HOUR);
    await house.clock.advance(EXPIRE_MS + LOOK_MS);
    expect(await house.records.inventory.usage()).toEqual({ bytes: 500, blobs: 1, reserved: 500 });
    await after.blobs.removePart('e'.repeat(32));
    expect(await counted()).toBe(500);
    await after.close();
  });

  test('a limit that was lowered below what a dead process had set aside holds again: its parts are given up', async () => {
    await open({ limits: { maxBytes: 10_000, watermarks: WATERMARKS } });
    const upload = await house.files.part('a'.repeat(32), false);
    await upload.write(new Uint8Array(100), 0);
    upload.release();
    house.clock.jump(1000);
    const ids = ['e'.repeat(32), 'f'.repeat(32)] as const;
    for (const id of ids) {
      const part = await house.blobs.part(id, false, 4000);
      await part.write(new Uint8Array(id === ids[0] ? 300 : 700), 0);
      house.clock.jump(1000);
    }
    house.clock.jump(60_000);
    const after = await createCacheHouse({ disk: house.disk, metadata: house.metadata, clock: house.clock });
    after.limits = { ...after.limits, maxBytes: 5000, watermarks: WATERMARKS };
    const running = await after.blobs.part('b'.repeat(32), false);
    house.clock.jump(60_000);
    await after.evictor.makeRoom(0);
    expect(await counted()).toBe(4000);
    expect(new Set((await after.files.parts()).map(({ id }) => id[0]))).toEqual(new Set(['a', 'b', 'f']));
    running.release();
    await after.close();
  });
});
