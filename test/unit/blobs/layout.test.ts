import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDiskBlobStore } from '../../../src/blobs/disk.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { nodeDisk } from '../../../src/system/node-disk.ts';
import { systemRandom } from '../../../src/system/random.ts';
import { readBlob } from '../../conformance/blob-store.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

const layout1 = new URL('../../fixtures/layout-1/', import.meta.url);
const random = createSeededRandom(3);

describe('the layout on disk', () => {
  let root: string;
  const layoutFile = (): string => join(root, 'entrepot', 'layout.json');
  const open = () => openDiskBlobStore({ disk: nodeDisk, random: systemRandom, root, version: '9.9.9' });

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'entrepot-layout-'));
  });
  afterEach(() => rm(root, { recursive: true }));

  test('a data directory of layout 1 opens, and keeps its layout file', async () => {
    await cp(layout1, root, { recursive: true });
    const store = await open();
    for (const [text, algorithm] of [
      ['a small blob of layout 1\n', 'sha256'],
      ['another, under sha512\n', 'sha512'],
    ] as const) {
      expect(Buffer.from(await readBlob(store, digestOf(Buffer.from(text), algorithm))).toString()).toBe(text);
    }
    expect(await store.parts()).toMatchObject([{ id: '00112233445566778899aabbccddeeff', size: 14 }]);
    expect(await readFile(layoutFile(), 'utf8')).toContain('entrepot 0.1.0');
    await store.close();
  });

  test('a first start writes it', async () => {
    root = join(root, 'not', 'there');
    await open();
    expect(JSON.parse(await readFile(layoutFile(), 'utf8'))).toEqual({ layout: 1, writtenBy: 'entrepot 9.9.9' });
    root = join(root, '..', '..');
  });

  test('empty directories that a backup left out are made again', async () => {
    await open();
    await rm(join(root, 'entrepot', 'parts'), { recursive: true });
    const store = await open();
    const part = await store.part('0'.repeat(32), false);
    expect(await store.parts()).toHaveLength(1);
    await part.discard();
    part.release();
  });

  test('a newer layout is refused by name, with the version that can read it', async () => {
    await mkdir(join(root, 'entrepot'));
    await writeFile(layoutFile(), '{"layout":2,"writtenBy":"entrepot 3.1.4"}');
    const error: Error = await open().then(unexpected, (thrown: Error) => thrown);
    expect(error).toMatchObject({ name: 'DataDirectoryError', reason: 'layout' });
    expect(error.message).toContain(layoutFile());
    expect(error.message).toContain('layout 2');
    expect(error.message).toContain('entrepot 3.1.4');
    expect(await readFile(layoutFile(), 'utf8')).toContain('3.1.4');
  });

  test.each(['entrepot 2\u001b]0;owned\u0007', `entrepot ${'9'.repeat(5000)}`, 'entrepot 2\nready', 7])(
    'what a layout file says of its writer does not reach the terminal unless it is a version (%#)',
    async (writtenBy) => {
      await mkdir(join(root, 'entrepot'));
      await writeFile(layoutFile(), JSON.stringify({ layout: 2, writtenBy }));
      await expect(open()).rejects.toThrow(`reads layout 1: start a newer entrepot, which can read it, or`);
    },
  );

  test.each([
    '',
    'not json',
    'null',
    '[]',
    '{}',
    '{"layout":"1"}',
    '{"layout":0}',
    '{"layout":1.5}',
    `{"layout":1,"x":"${'y'.repeat(70_000)}"}`,
  ])('a garbled layout file is refused by its path (%#)', async (text) => {
    await mkdir(join(root, 'entrepot'));
    await writeFile(layoutFile(), text);
    await expect(open()).rejects.toThrow(`${layoutFile()} is not a layout file`);
    expect(await readFile(layoutFile(), 'utf8')).toBe(text);
  });

  test('blobs without a layout file are no first start', async () => {
    await cp(layout1, root, { recursive: true });
    await rm(layoutFile());
    await expect(open()).rejects.toThrow(`${layoutFile()} is missing`);
  });

  test('an official registry’s data beside ours is left alone', async () => {
    const theirs = join(root, 'docker', 'registry', 'v2', 'blobs');
    await mkdir(theirs, { recursive: true });
    await writeFile(join(theirs, 'link'), 'sha256:abc');
    const before = await stat(join(root, 'docker', 'registry', 'v2'));
    const store = await open();
    const bytes = Buffer.from('ours');
    const part = await store.part('0'.repeat(32), false);
    await part.write(bytes, 0);
    await part.publish(digestOf(bytes));
    part.release();
    await store.remove(digestOf(bytes));
    await store.close();
    expect(await readFile(join(theirs, 'link'), 'utf8')).toBe('sha256:abc');
    expect((await stat(join(root, 'docker', 'registry', 'v2'))).mtimeMs).toBe(before.mtimeMs);
  });
});

describe('opening a disk in trouble', () => {
  const openOn = (disk: ReturnType<typeof createMemoryDisk>) =>
    openDiskBlobStore({ disk, random, root: '/srv/data', version: '1.0.0' });

  test.each([
    ['EACCES', /\/srv\/data .*chown -R \d+:\d+ \/srv\/data/],
    ['EROFS', /\/srv\/data .*read-only/],
    ['ENOSPC', /\/srv\/data .*make room/],
    ['EIO', /\/srv\/data .*dmesg/],
  ])('%s at the first start says what to do', async (code, message) => {
    const disk = createMemoryDisk();
    disk.fail({ on: 'makeDirectory', as: code });
    const error: Error = await openOn(disk).then(unexpected, (thrown: Error) => thrown);
    expect(error).toMatchObject({ name: 'DataDirectoryError', reason: 'disk', code });
    expect(error.message).toMatch(message);
    expect(disk.openFiles()).toEqual([]);
  });

  test('a layout that is there opens though nothing can be written', async () => {
    const disk = createMemoryDisk();
    await openOn(disk);
    for (const on of ['makeDirectory', 'rename', 'write', 'unlink', 'syncDirectory'] as const) disk.fail({ on, as: 'EROFS' });
    const store = await openOn(disk);
    expect(await store.parts()).toEqual([]);
  });

  test('[R61] opening costs the same, however many blobs are held', async () => {
    const costOf = async (count: number): Promise<number> => {
      const disk = createMemoryDisk();
      const store = await openOn(disk);
      for (let at = 0; at < count; at++) {
        const bytes = Buffer.from(`blob ${at}`);
        const part = await store.part(at.toString(16).padStart(32, '0'), false);
        await part.write(bytes, 0);
        await part.publish(digestOf(bytes));
        part.release();
      }
      await store.close();
      const before = disk.calls();
      await openOn(disk);
      return disk.calls() - before;
    };
    expect(await costOf(300)).toBe(await costOf(0));
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'the first start crashed at any point: the next one opens, and what is left over is a part (seed %i)',
    async (seed) => {
      const random = createSeededRandom(seed);
      for (let after = 0; ; after++) {
        const disk = createMemoryDisk();
        disk.stopAfter(after);
        const done = await openOn(disk).then(
          () => true,
          () => false,
        );
        disk.crash({ random });
        const store = await openOn(disk);
        expect((await disk.list('/srv/data/entrepot')).sort()).toEqual(['blobs', 'layout.json', 'parts']);
        for (const { id } of await store.parts()) expect(await store.removePart(id)).toBe(true);
        expect(await disk.list('/srv/data/entrepot/parts')).toEqual([]);
        if (done) break;
      }
    },
  );
});

function unexpected(): never {
  throw new Error('it opened');
}
