import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BlobStore, Part } from '../../src/blobs/blob-store.ts';
import { digestOf, type Digest } from '../../src/oci/digest.ts';
import { randomId } from '../../src/system/random.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';

export interface StoreUnderTest {
  readonly store: BlobStore;
  /** A second store over the same data, as after a restart or in another process. */
  again(): Promise<BlobStore>;
  /** A file beside the store, on its disk; `read` says what stands in it later, `undefined` where it has gone. */
  place(bytes: Uint8Array): Promise<{ readonly path: string; read(): Promise<Uint8Array | undefined> }>;
  /** How many files the store holds open. */
  openFiles(): Promise<number>;
  clean(): Promise<void>;
}

const random = createSeededRandom(1);

/** What every BlobStore must do. */
export function blobStoreConformance(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`blob store: ${name}`, () => {
    let under: StoreUnderTest;
    let store: BlobStore;

    beforeEach(async () => {
      under = await make();
      store = under.store;
    });
    afterEach(async () => {
      await store.close();
      expect(await under.openFiles()).toBe(0);
      await under.clean();
    });

    async function fill(bytes: Uint8Array): Promise<Part> {
      const part = await store.part(randomId(random), false);
      await part.write(bytes, 0);
      return part;
    }
    async function keep(bytes: Uint8Array, digest: Digest = digestOf(bytes)): Promise<Digest> {
      const part = await fill(bytes);
      await part.publish(digest);
      part.release();
      return digest;
    }

    test.each(['sha256', 'sha512'] as const)('%s: what was published is held, whole, here and elsewhere', async (algorithm) => {
      const bytes = random.bytes(10_000);
      const digest = await keep(bytes, digestOf(bytes, algorithm));
      expect(await readBlob(store, digest)).toEqual(bytes);
      const other = await under.again();
      expect(await readBlob(other, digest)).toEqual(bytes);
      expect(await store.parts()).toEqual([]);
      await other.close();
    });

    test('a part that is another name of a file is read, published, and never written', async () => {
      const bytes = random.bytes(5000);
      const file = await under.place(bytes);
      const part = await store.linkedPart(randomId(random), file.path);
      if (part === undefined) throw new Error('this disk has hard links');
      expect(part.resumedSize).toBe(5000);
      await expect(part.write(Buffer.from('x'), 0)).rejects.toThrow(Error);
      await expect(part.truncate(0)).rejects.toThrow(Error);
      const into = Buffer.alloc(5000);
      expect(await part.read(into, 0)).toBe(5000);
      await part.publish(digestOf(into));
      part.release();
      expect(await readBlob(store, digestOf(bytes))).toEqual(bytes);
      expect(await store.parts()).toEqual([]);
      expect(await store.remove(digestOf(bytes))).toBe(true);
      expect(await file.read()).toEqual(bytes);
    });

    test('the same file taken in again leaves no part behind', async () => {
      const bytes = random.bytes(100);
      const { path } = await under.place(bytes);
      for (let round = 0; round < 2; round++) {
        const part = await store.linkedPart(randomId(random), path);
        await part?.publish(digestOf(bytes));
        part?.release();
      }
      expect(await store.parts()).toEqual([]);
      expect(await readBlob(store, digestOf(bytes))).toEqual(bytes);
    });

    test('a linked part that is discarded takes nothing with it', async () => {
      const file = await under.place(Buffer.from('wrong'));
      const part = await store.linkedPart(randomId(random), file.path);
      await part?.discard();
      part?.release();
      expect(await store.parts()).toEqual([]);
      expect(Buffer.from((await file.read()) ?? []).toString()).toBe('wrong');
    });

    test('of what is no regular file no part is made', async () => {
      const { path } = await under.place(Buffer.from('x'));
      const id = randomId(random);
      expect(await store.linkedPart(id, `${path}.none`)).toBeUndefined();
      expect(await store.linkedPart(id, dirname(path))).toBeUndefined();
      expect(await store.parts()).toEqual([]);
      const part = await store.part(id, false);
      await part.discard();
      part.release();
    });

    test('absence is a value', async () => {
      const digest = digestOf(Buffer.from('never kept'));
      expect(await store.open(digest)).toBeUndefined();
      expect(await store.remove(digest)).toBe(false);
      expect(await store.removePart(randomId(random))).toBe(false);
      expect(await store.parts()).toEqual([]);
    });

    test('the empty blob is a blob', async () => {
      const digest = await keep(new Uint8Array());
      const blob = await store.open(digest);
      expect(blob?.size).toBe(0);
      expect(await blob?.read(Buffer.alloc(1), 0)).toBe(0);
      blob?.close();
    });

    test('a size that cannot be right is the caller’s to notice', async () => {
      const digest = await keep(new Uint8Array(), digestOf(Buffer.from('not empty')));
      const blob = await store.open(digest);
      expect(blob?.size).toBe(0);
      blob?.close();
    });

    test('before it is published a part is no blob', async () => {
      const bytes = random.bytes(10);
      const part = await fill(bytes);
      await part.sync();
      expect(await store.open(digestOf(bytes))).toBeUndefined();
      await part.publish(digestOf(bytes));
      part.release();
      expect(await readBlob(store, digestOf(bytes))).toEqual(bytes);
    });

    test('readers of one blob read at their own places and close on their own', async () => {
      const digest = await keep(Buffer.from('0123456789'));
      const blobs = await Promise.all(Array.from({ length: 20 }, () => store.open(digest)));
      const into = Buffer.alloc(2);
      for (const [n, blob] of blobs.entries()) {
        expect(await blob?.read(into, n % 9)).toBe(2);
        expect(into.toString()).toBe(`${n % 9}${(n % 9) + 1}`);
        blob?.close();
        blob?.close();
        await expect(blob?.read(into, 0)).rejects.toThrow(Error);
      }
      const late = await store.open(digest);
      expect(await late?.read(into, 8)).toBe(2);
      late?.close();
    });

    test('an open blob reads on after its removal, and nobody else finds it', async () => {
      const bytes = random.bytes(5000);
      const digest = await keep(bytes);
      const blob = await store.open(digest);
      expect(await store.remove(digest)).toBe(true);
      expect(await store.open(digest)).toBeUndefined();
      expect(await store.remove(digest)).toBe(false);
      const into = Buffer.alloc(5000);
      expect(await blob?.read(into, 0)).toBe(5000);
      expect(new Uint8Array(into)).toEqual(bytes);
      blob?.close();
    });

    test('an open blob reads on after its replacement; the next reader gets the new one', async () => {
      const digest = digestOf(Buffer.from('right'));
      await keep(Buffer.from('wrong'), digest);
      const old = await store.open(digest);
      await keep(Buffer.from('right'), digest);
      expect(Buffer.from(await readBlob(store, digest)).toString()).toBe('right');
      const into = Buffer.alloc(5);
      await old?.read(into, 0);
      expect(into.toString()).toBe('wrong');
      old?.close();
    });

    test('opening, removing and publishing at once never yields the wrong thing afterwards', async () => {
      const bytes = random.bytes(64);
      const digest = await keep(bytes);
      for (let round = 0; round < 10; round++) {
        const opening = [store.open(digest), store.open(digest)];
        await store.remove(digest);
        expect(await store.open(digest)).toBeUndefined();
        const more = store.open(digest);
        await keep(bytes);
        expect(await readBlob(store, digest)).toEqual(bytes);
        for (const blob of await Promise.all([...opening, more])) blob?.close();
      }
    });

    test('a part is taken up where it was left, or begun anew', async () => {
      const id = randomId(random);
      const first = await store.part(id, true);
      expect(first.resumedSize).toBe(0);
      await first.write(Buffer.from('abcdef'), 0);
      await first.sync();
      first.release();

      const second = await store.part(id, true);
      expect(second.resumedSize).toBe(6);
      await second.truncate(3);
      await second.write(Buffer.from('DEF'), 3);
      const into = Buffer.alloc(6);
      expect(await second.read(into, 0)).toBe(6);
      expect(into.toString()).toBe('abcDEF');
      second.release();
      expect(await store.parts()).toMatchObject([{ id, size: 6 }]);

      const third = await store.part(id, false);
      expect(third.resumedSize).toBe(0);
      expect(await third.read(into, 0)).toBe(0);
      await third.discard();
      third.release();
      expect(await store.parts()).toEqual([]);
    });

    test.each(['publish', 'discard'] as const)(
      'after %s, readers who retained the part read on, and no byte can be added',
      async (end) => {
        const bytes = random.bytes(3000);
        const part = await fill(bytes);
        part.retain();
        await (end === 'publish' ? part.publish(digestOf(bytes)) : part.discard());
        part.release();
        await expect(part.write(Buffer.from('x'), 0)).rejects.toThrow(Error);
        await expect(part.truncate(0)).rejects.toThrow(Error);
        await expect(part.publish(digestOf(bytes))).rejects.toThrow(Error);
        await part.discard();
        const into = Buffer.alloc(3000);
        expect(await part.read(into, 0)).toBe(3000);
        expect(new Uint8Array(into)).toEqual(bytes);
        part.release();
        expect(() => part.release()).toThrow(Error);
        expect(() => part.retain()).toThrow(Error);
        const blob = await store.open(digestOf(bytes));
        expect(blob?.size).toBe(end === 'publish' ? 3000 : undefined);
        blob?.close();
      },
    );

    test('one part has one owner, and its file is not swept under it', async () => {
      const part = await fill(Buffer.from('mine'));
      await expect(store.part(part.id, true)).rejects.toThrow('open already');
      expect(await store.removePart(part.id)).toBe(false);
      part.release();
      expect(await store.removePart(part.id)).toBe(true);
      expect(await store.parts()).toEqual([]);
    });

    test('the id of an ended part is free, though readers still hold its bytes', async () => {
      const part = await fill(Buffer.from('old'));
      part.retain();
      await part.discard();
      part.release();
      const next = await store.part(part.id, false);
      part.release();
      await expect(store.part(part.id, true)).rejects.toThrow('open already');
      next.release();
    });

    test.each(['', '..', '../../escape', 'A'.repeat(32), '0'.repeat(31), `${'0'.repeat(31)}/`])(
      '%j names no part',
      async (id) => {
        await expect(store.part(id, true)).rejects.toThrow(RangeError);
        expect(await store.removePart(id)).toBe(false);
      },
    );

    test('two parts of one digest both succeed', async () => {
      const bytes = random.bytes(2000);
      const parts = await Promise.all([fill(bytes), fill(bytes)]);
      await Promise.all(parts.map((part) => part.publish(digestOf(bytes))));
      for (const part of parts) part.release();
      expect(await readBlob(store, digestOf(bytes))).toEqual(bytes);
    });

    async function walked(): Promise<{ shelves: string[]; digests: Digest[] }> {
      const shelves: string[] = [];
      const digests: Digest[] = [];
      for (let shelf = await store.shelf(undefined); shelf !== undefined; shelf = await store.shelf(shelf.name)) {
        shelves.push(shelf.name);
        digests.push(...shelf.digests);
      }
      return { shelves, digests };
    }

    test('what is held is found shelf by shelf, each digest once, in order; parts are not', async () => {
      expect(await store.shelf(undefined)).toBeUndefined();
      const kept: Digest[] = [];
      for (let at = 0; at < 40; at += 1) {
        const bytes = random.bytes(10 + at);
        kept.push(await keep(bytes, digestOf(bytes, at % 4 === 0 ? 'sha512' : 'sha256')));
      }
      (await fill(random.bytes(5))).release();
      const { shelves, digests } = await walked();
      expect(digests).toEqual([...kept].sort());
      expect(shelves).toEqual([...new Set(shelves)].sort());
      expect(shelves.length).toBeGreaterThan(20);
      for (const name of shelves) expect((await store.shelf(name))?.name).toBe(shelves[shelves.indexOf(name) + 1]);
      await store.remove(kept[7]!);
      expect((await walked()).digests).toEqual(kept.filter((digest) => digest !== kept[7]).sort());
    });

    test('a look says size and version; the version is that of the open file, and another after a replacement', async () => {
      const digest = digestOf(Buffer.from('right'));
      expect(await store.look(digest)).toBeUndefined();
      await keep(Buffer.from('wrong'), digest);
      const before = await store.look(digest);
      expect(before).toMatchObject({ size: 5 });
      const open = await store.open(digest);
      const second = await store.open(digest);
      expect([open?.version, second?.version]).toEqual([before?.version, before?.version]);
      await keep(Buffer.from('right'), digest);
      const after = await store.look(digest);
      expect(after?.version).not.toBe(before?.version);
      const third = await store.open(digest);
      expect(third?.version).toBe(after?.version);
      for (const blob of [open, second, third]) blob?.close();
    });

    test('what is quarantined is absent, reads on for who has it open, and is listed until it is removed', async () => {
      const bytes = random.bytes(700);
      const digest = await keep(bytes);
      const open = await store.open(digest);
      const version = (await store.look(digest))?.version ?? '';
      expect(await store.quarantine(digest, version, 5000)).toBe(true);
      expect(await store.open(digest)).toBeUndefined();
      expect(await store.look(digest)).toBeUndefined();
      expect((await walked()).digests).toEqual([]);
      const into = Buffer.alloc(700);
      expect(await open?.read(into, 0)).toBe(700);
      open?.close();
      expect(await store.quarantine(digest, version, 6000)).toBe(false);

      // Fetched again, and damaged again.
      await keep(bytes, digest);
      expect(await readBlob(store, digest)).toEqual(bytes);
      expect(await store.quarantine(digest, (await store.look(digest))?.version ?? '', 6000)).toBe(true);
      const other = await under.again();
      const listed = await other.quarantined();
      expect(listed).toMatchObject([
        { digest, size: 700, at: 5000 },
        { digest, size: 700, at: 6000 },
      ]);
      await other.close();
      expect(await store.removeQuarantined(listed[0]!.name)).toBe(true);
      expect(await store.removeQuarantined(listed[0]!.name)).toBe(false);
      expect(await store.quarantined()).toEqual(listed.slice(1));
    });

    test('what was replaced meanwhile is not quarantined for what stood there before', async () => {
      const digest = digestOf(Buffer.from('right'));
      await keep(Buffer.from('wrong'), digest);
      const version = (await store.look(digest))?.version ?? '';
      await keep(Buffer.from('right'), digest);
      expect(await store.quarantine(digest, version, 1)).toBe(false);
      expect(Buffer.from(await readBlob(store, digest)).toString()).toBe('right');
      expect(await store.quarantined()).toEqual([]);
    });

    test.each(['', '..', '../blobs/sha256/ab', `sha256-${'a'.repeat(64)}`])('%j names nothing in quarantine', async (name) => {
      expect(await store.removeQuarantined(name)).toBe(false);
    });

    test('says how much room there is', async () => {
      const space = await store.space();
      expect(space.totalBytes).toBeGreaterThan(0);
      expect(space.freeBytes).toBeLessThanOrEqual(space.totalBytes);
    });
  });
}

/** The whole of a held blob; fails where there is none. */
export async function readBlob(store: BlobStore, digest: Digest): Promise<Uint8Array> {
  const blob = await store.open(digest);
  if (blob === undefined) throw new Error(`${digest} is not held`);
  try {
    const into = new Uint8Array(blob.size);
    let count = 0;
    while (count < into.length) {
      const read = await blob.read(into.subarray(count), count);
      if (read === 0) throw new Error(`${digest} ends after ${count} of ${blob.size} bytes`);
      count += read;
    }
    return into;
  } finally {
    blob.close();
  }
}
