import { beforeEach, describe, expect, test } from 'vitest';
import { FileDamaged, type OpenBlob, type VerifiedBlobStore } from '../../../src/blobs/blob-store.ts';
import { openDiskBlobStore } from '../../../src/blobs/disk.ts';
import { KNOWN_MS, KNOWN_SMALL_MS } from '../../../src/blobs/known.ts';
import { PATIENCE_MS } from '../../../src/blobs/patience.ts';
import { FIRST_BYTES, TAIL_BYTES, withVerification } from '../../../src/blobs/with-verification.ts';
import { digestOf, type Digest } from '../../../src/oci/digest.ts';
import { randomId } from '../../../src/system/random.ts';
import { readBlob } from '../../conformance/blob-store.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryDisk, type MemoryDisk } from '../../fakes/memory-disk.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { gate, settle } from '../pull/house.ts';

const random = createSeededRandom(5);
const LARGE = FIRST_BYTES + 300_000;

describe('a held file that is not what it was', () => {
  let disk: MemoryDisk;
  let clock: FakeClock;
  let store: VerifiedBlobStore;
  let damaged: [Digest, string][];

  beforeEach(async () => {
    clock = createFakeClock();
    disk = createMemoryDisk({ now: () => clock.now() });
    damaged = [];
    await restart();
  });

  /** Nothing is known of any file then. */
  async function restart(): Promise<void> {
    const inner = await openDiskBlobStore({ disk, random, root: '/data', version: '1.0.0' });
    store = withVerification(inner, { clock, onDamaged: (digest, why) => damaged.push([digest, why]) });
  }
  async function keep(size: number): Promise<Digest> {
    const bytes = random.bytes(size);
    const part = await store.part(randomId(random), false);
    await part.write(bytes, 0);
    await part.publish(digestOf(bytes));
    part.release();
    await clock.advance(10);
    return digestOf(bytes);
  }
  const pathOf = (digest: Digest): string => `/data/entrepot/blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}`;
  /** As a disk rots: no time and no size tell of it. */
  async function rot(digest: Digest, at: number): Promise<void> {
    const now = clock.now();
    const before = await disk.stat(pathOf(digest));
    clock.jump((before?.changed ?? now) - now);
    const file = await disk.open(pathOf(digest), 'update');
    const byte = Buffer.alloc(1);
    await file?.read(byte, at);
    byte[0]! ^= 1;
    await file?.write(byte, at);
    await file?.close();
    clock.jump(now - clock.now());
    expect((await disk.stat(pathOf(digest)))?.changed).toBe(before?.changed);
  }
  async function edit(digest: Digest): Promise<void> {
    await clock.advance(10);
    await rot(digest, 7);
    const file = await disk.open(pathOf(digest), 'update');
    const byte = Buffer.alloc(1);
    await file?.read(byte, 7);
    await file?.write(byte, 7);
    await file?.close();
  }
  async function nothingIsOpen(): Promise<void> {
    await store.close();
    expect(disk.openFiles()).toEqual([]);
  }

  test.each([1, 2, 4096, FIRST_BYTES])('of %i bytes is absent at once, moved away and told of, once', async (size) => {
    const digest = await keep(size);
    await rot(digest, size - 1);
    await restart();
    expect(await Promise.all([store.open(digest), store.open(digest)])).toEqual([undefined, undefined]);
    expect(await store.open(digest)).toBeUndefined();
    expect(damaged).toEqual([[digest, 'the bytes on disk are not those of the digest']]);
    expect(await store.quarantined()).toMatchObject([{ digest }]);
    await nothingIsOpen();
  });

  test.each([0, LARGE / 2, LARGE - TAIL_BYTES, LARGE - 1])(
    'of many bytes never leaves whole, wherever it is wrong (byte %i)',
    async (at) => {
      const digest = await keep(LARGE);
      await rot(digest, at);
      await restart();
      const reading = await Promise.allSettled([readBlob(store, digest), readBlob(store, digest)]);
      for (const read of reading) expect(read).toMatchObject({ status: 'rejected', reason: expect.any(FileDamaged) });
      expect(await store.open(digest)).toBeUndefined();
      expect(damaged).toHaveLength(1);
      await nothingIsOpen();
    },
  );

  test('its tail alone is not given either, nor what is asked for after it was found out', async () => {
    const digest = await keep(LARGE);
    await rot(digest, 1);
    await restart();
    const [one, other] = [await store.open(digest), await store.open(digest)];
    const into = Buffer.alloc(1000);
    expect(await other?.read(into, 0)).toBe(1000);
    await expect(one?.read(into, LARGE - 500)).rejects.toThrow(FileDamaged);
    await expect(other?.read(into, 1000)).rejects.toThrow(FileDamaged);
    one?.close();
    other?.close();
    await nothingIsOpen();
  });

  test('a right one is hashed once for all its readers, and reading it again costs nothing', async () => {
    const digests = [await keep(LARGE), await keep(5000)];
    await restart();
    for (const digest of digests) {
      const before = disk.calls('read');
      await Promise.all([readBlob(store, digest), readBlob(store, digest), readBlob(store, digest)]);
      const first = disk.calls('read') - before;
      await readBlob(store, digest);
      const again = disk.calls('read') - before - first;
      // Three that read, and one reading-through; then the reader alone.
      expect(again).toBe(1);
      expect(first).toBeLessThan(3 * 4 + LARGE / 262_144 + 2);
    }
    await nothingIsOpen();
  });

  test.each([
    [LARGE, KNOWN_MS],
    [5000, KNOWN_SMALL_MS],
  ])('of %i bytes that rots later is found out when what was known has run out', async (size, ms) => {
    const digest = await keep(size);
    await rot(digest, 0);
    // Just published: its bytes were hashed on their way in.
    await readBlob(store, digest);
    await clock.advance(ms);
    await expect(readBlob(store, digest)).rejects.toThrow(/damaged|not held/);
    expect(damaged).toHaveLength(1);
  });

  test.each([LARGE, 5000])('of %i bytes that somebody edits is found out at once', async (size) => {
    const digest = await keep(size);
    await readBlob(store, digest);
    await edit(digest);
    await expect(readBlob(store, digest)).rejects.toThrow(/damaged|not held/);
    expect(damaged).toHaveLength(1);
  });

  test('on a disk that refuses to move it away it is absent all the same', async () => {
    const digests = [await keep(LARGE), await keep(5000)];
    for (const digest of digests) await rot(digest, 3);
    await restart();
    const lift = disk.fail({ on: 'rename', as: 'EROFS' });
    disk.fail({ on: 'makeDirectory', as: 'EROFS' });
    for (const digest of digests) {
      await expect(readBlob(store, digest)).rejects.toMatchObject({ code: 'EROFS' });
      expect(await store.open(digest)).toBeUndefined();
    }
    lift();
    expect(damaged).toEqual([]);
    await nothingIsOpen();
  });

  test('what the disk cannot read is no damage: told with its error, and asked again', async () => {
    const digests = [await keep(LARGE), await keep(5000)];
    await restart();
    const lift = disk.fail({ on: 'read', as: 'EIO' });
    for (const digest of digests) await expect(readBlob(store, digest)).rejects.toMatchObject({ code: 'EIO' });
    lift();
    for (const digest of digests) expect(digestOf(await readBlob(store, digest))).toBe(digest);
    expect(damaged).toEqual([]);
    await nothingIsOpen();
  });

  test('hashing ends with the last who reads, and begins anew with the next', async () => {
    const digest = await keep(LARGE);
    await restart();
    const gone = await store.open(digest);
    await gone?.read(Buffer.alloc(10), 0);
    gone?.close();
    expect(digestOf(await readBlob(store, digest))).toBe(digest);
    await nothingIsOpen();
  });

  /** Each read of the disk waits for this. */
  async function slowly(until: Promise<void>): Promise<void> {
    const inner = await openDiskBlobStore({ disk, random, root: '/data', version: '1.0.0' });
    const slow = async (digest: Digest): Promise<OpenBlob | undefined> => {
      const blob = await inner.open(digest);
      return blob && { ...blob, read: (into, position) => until.then(() => blob.read(into, position)) };
    };
    store = withVerification({ ...inner, open: slow }, { clock, onDamaged: () => undefined });
  }

  test('[R38] one of few bytes that is read through too slowly is not waited for, and known once it was', async () => {
    const digest = await keep(5000);
    const { opened, open } = gate();
    await slowly(opened);
    const asked = store.open(digest).catch((error: unknown) => error);
    await settle();
    await clock.advance(1.3 * PATIENCE_MS);
    expect(await asked).toMatchObject({ name: 'DiskSlow', code: 'ETIMEDOUT' });
    expect(disk.openFiles()).toHaveLength(1);
    open();
    await settle();
    expect(disk.openFiles()).toEqual([]);
    const before = disk.calls('read');
    (await store.open(digest))?.close();
    expect(disk.calls('read')).toBe(before);
    await nothingIsOpen();
  });

  test.each([FIRST_BYTES, LARGE])(
    'of %i bytes it is no longer hashed when the server ends, and no file is left open',
    async (size) => {
      const digest = await keep(size);
      const { opened, open } = gate();
      await slowly(opened);
      const reading = readBlob(store, digest).catch((error: unknown) => error);
      await settle();
      let quiet = false;
      const ending = store.quiet().then(() => (quiet = true));
      await settle();
      // The read under way is waited for, since nobody can close the file before.
      expect(quiet).toBe(false);
      open();
      await ending;
      const reads = disk.calls('read');
      expect(await reading).toMatchObject({ message: 'hashing stops' });
      await expect(readBlob(store, digest)).rejects.toThrow('hashing stops');
      // Of seventeen slices or more; of the large one its reader has asked for two as well.
      expect(reads).toBeLessThanOrEqual(3);
      await nothingIsOpen();
    },
  );

  test('more at once than there are places all arrive, and those who left take none', async () => {
    const small = await Promise.all(Array.from({ length: 40 }, (_, at) => keep(20_000 + at)));
    await restart();
    for (const [at, bytes] of (await Promise.all(small.map((digest) => readBlob(store, digest)))).entries())
      expect(digestOf(bytes)).toBe(small[at]);
    const digests = await Promise.all(Array.from({ length: 11 }, (_, at) => keep(LARGE + 11 - at)));
    await restart();
    const left = await store.open(digests[10]!);
    await left?.read(Buffer.alloc(10), 0);
    const reading = digests.slice(0, 10).map((digest) => readBlob(store, digest));
    left?.close();
    for (const [at, bytes] of (await Promise.all(reading)).entries()) expect(digestOf(bytes)).toBe(digests[at]);
    await nothingIsOpen();
  });

  test('a look at its size alone hashes no large file', async () => {
    const digest = await keep(LARGE);
    await restart();
    const before = disk.calls('read');
    const blob = await store.open(digest);
    expect(blob?.size).toBe(LARGE);
    blob?.close();
    expect(disk.calls('read')).toBe(before);
    await nothingIsOpen();
  });

  test('verify reads it through whatever is known, at the pace that it is given, and changes nothing', async () => {
    const digest = await keep(LARGE);
    const paced: number[] = [];
    const pace = async (bytes: number): Promise<void> => void paced.push(bytes);
    expect(await store.verify(digest, { pace })).toMatchObject({ right: true, size: LARGE });
    expect(paced.reduce((sum, bytes) => sum + bytes, 0)).toBe(LARGE);
    await rot(digest, 5);
    const found = await store.verify(digest);
    expect(found).toMatchObject({ right: false, size: LARGE });
    expect(await store.look(digest)).toMatchObject({ version: found?.version });
    expect(await store.quarantine(digest, found?.version ?? '', clock.now())).toBe(true);
    expect(await store.verify(digest)).toBeUndefined();
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(store.verify(await keep(10), { signal })).rejects.toThrow('enough');
    await nothingIsOpen();
  });
});
