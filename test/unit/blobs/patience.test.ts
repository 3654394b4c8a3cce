import { beforeEach, describe, expect, test } from 'vitest';
import type { BlobStore, Part } from '../../../src/blobs/blob-store.ts';
import { openDiskBlobStore } from '../../../src/blobs/disk.ts';
import { PATIENCE_MS } from '../../../src/blobs/patience.ts';
import { withPatientParts, withPatientReads } from '../../../src/blobs/with-patience.ts';
import { digestOf, type Digest } from '../../../src/oci/digest.ts';
import { randomId } from '../../../src/system/random.ts';
import type { Disk, OpenFile } from '../../../src/system/disk.ts';
import { readBlob } from '../../conformance/blob-store.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryDisk, type MemoryDisk } from '../../fakes/memory-disk.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { gate, settle } from '../pull/house.ts';

const random = createSeededRandom(8);
const SLOW = { name: 'DiskSlow', code: 'ETIMEDOUT' };

type Slow = 'open' | 'read' | 'write' | 'sync' | 'unlink' | 'rename';

describe('a disk that takes too long', () => {
  let disk: MemoryDisk;
  let clock: FakeClock;
  let store: BlobStore;
  /** Calls of these kinds wait until it opens. */
  let slow: Set<Slow>;
  let opened: ReturnType<typeof gate>;

  beforeEach(async () => {
    [clock, slow, opened, disk] = [createFakeClock(), new Set(), gate(), createMemoryDisk()];
    const files = await openDiskBlobStore({ disk: slowing(disk), random, root: '/data', version: '1.0.0' });
    store = withPatientParts(withPatientReads(files, clock), clock);
  });

  async function wait(kind: Slow): Promise<void> {
    if (slow.has(kind)) await opened.opened;
  }
  function slowing(inner: Disk): Disk {
    const file = (one: OpenFile): OpenFile => ({
      ...one,
      read: async (into, position) => wait('read').then(() => one.read(into, position)),
      write: async (bytes, position) => wait('write').then(() => one.write(bytes, position)),
      sync: async () => wait('sync').then(() => one.sync()),
    });
    return {
      ...inner,
      open: async (path, mode) => {
        await wait('open');
        const one = await inner.open(path, mode);
        return one && file(one);
      },
      unlink: async (path) => wait('unlink').then(() => inner.unlink(path)),
      rename: async (from, to) => wait('rename').then(() => inner.rename(from, to)),
    };
  }
  async function keep(bytes: Uint8Array): Promise<Digest> {
    const part = await store.part(randomId(random), false);
    await part.write(bytes, 0);
    await part.publish(digestOf(bytes));
    part.release();
    return digestOf(bytes);
  }
  /** What becomes of it when twice the patience has passed. */
  async function later<T>(work: Promise<T>): Promise<unknown> {
    const told = work.catch((error: unknown) => error);
    await clock.advance(PATIENCE_MS / 2);
    const early = await Promise.race([told, settle().then(() => 'waits')]);
    expect(early).toBe('waits');
    await clock.advance(PATIENCE_MS);
    return told;
  }
  async function nothingIsLeft(): Promise<void> {
    slow.clear();
    opened.open();
    await settle();
    await store.close();
    expect(disk.openFiles()).toEqual([]);
    expect(await store.parts()).toEqual([]);
    await clock.advance(PATIENCE_MS);
    expect(clock.pending()).toBe(0);
  }

  test('[R38] at opening or reading: told as its trouble, and nothing stays open', async () => {
    const digest = await keep(random.bytes(500));
    slow.add('open');
    expect(await later(store.open(digest))).toMatchObject(SLOW);
    slow.clear();
    opened.open();
    await settle();
    expect(disk.openFiles()).toEqual([]);
    opened = gate();
    const blob = await store.open(digest);
    slow.add('read');
    expect(await later(blob!.read(Buffer.alloc(10), 0))).toMatchObject(SLOW);
    blob?.close();
    slow.clear();
    opened.open();
    expect(digestOf(await readBlob(store, digest))).toBe(digest);
    await nothingIsLeft();
  });

  test.each(['write', 'sync'] as const)(
    '[R38] at a %s: told, then no call of that part waits, and it is dropped',
    async (kind) => {
      const part = await store.part(randomId(random), false);
      await part.write(Buffer.from('begun'), 0);
      slow.add(kind).add('unlink');
      const work = kind === 'write' ? part.write(Buffer.from('x'), 5) : part.sync();
      expect(await later(work)).toMatchObject(SLOW);
      await expect(part.write(Buffer.from('y'), 6)).rejects.toMatchObject(SLOW);
      await expect(part.sync()).rejects.toMatchObject(SLOW);
      const into = Buffer.alloc(5);
      expect(await part.read(into, 0)).toBe(5);
      // Though the disk does not even remove it.
      await part.discard();
      part.release();
      await nothingIsLeft();
    },
  );

  test('at the making of a part: what comes late is dropped', async () => {
    slow.add('open');
    expect(await later<Part>(store.part(randomId(random), false))).toMatchObject(SLOW);
    await nothingIsLeft();
  });

  test('publishing waits as long as it takes', async () => {
    const bytes = random.bytes(100);
    const part = await store.part(randomId(random), false);
    await part.write(bytes, 0);
    slow.add('rename');
    const publishing = part.publish(digestOf(bytes));
    await clock.advance(10 * PATIENCE_MS);
    slow.clear();
    opened.open();
    await publishing;
    part.release();
    expect(digestOf(await readBlob(store, digestOf(bytes)))).toBe(digestOf(bytes));
    await nothingIsLeft();
  });

  test('what fails in time is told with its own error, and no timer is left', async () => {
    const lift = disk.fail({ on: 'open', as: 'EIO' });
    await expect(store.open(digestOf(Buffer.from('a')))).rejects.toMatchObject({ code: 'EIO' });
    lift();
    await nothingIsLeft();
  });
});
