import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Disk, OpenFile } from '../../src/system/disk.ts';

/** A disk and a directory on it that exists and is empty. */
export interface DiskUnderTest {
  readonly disk: Disk;
  readonly directory: string;
  /** How many of the files opened through it are still open. */
  openFiles(): Promise<number>;
  clean(): Promise<void>;
}

/** What every Disk must do. */
export function diskConformance(name: string, make: () => Promise<DiskUnderTest>): void {
  describe(`disk: ${name}`, () => {
    let under: DiskUnderTest;
    let disk: Disk;
    const at = (...parts: string[]): string => join(under.directory, ...parts);
    const create = async (path: string, text = ''): Promise<OpenFile> => {
      const file = must(await disk.open(path, 'create'));
      await file.write(Buffer.from(text), 0);
      return file;
    };
    const put = async (path: string, text: string): Promise<void> => (await create(path, text)).close();
    const textOf = async (path: string): Promise<string | undefined> => {
      const file = await disk.open(path, 'read');
      if (file === undefined) return undefined;
      const into = Buffer.alloc(64);
      const count = await file.read(into, 0);
      await file.close();
      return into.toString('utf8', 0, count);
    };

    beforeEach(async () => {
      under = await make();
      disk = under.disk;
    });
    afterEach(async () => {
      expect(await under.openFiles()).toBe(0);
      await under.clean();
    });

    test('what is opened to append to is made where it is not there, and goes on where it is', async () => {
      for (const [text, size] of [
        ['abc', 0],
        ['de', 3],
      ] as const) {
        const file = must(await disk.open(at('log'), 'append'));
        expect(await file.size()).toBe(size);
        await file.write(Buffer.from(text), size);
        await file.close();
      }
      expect(await textOf(at('log'))).toBe('abcde');
      await expect(disk.open(at('none', 'log'), 'append')).rejects.toMatchObject({ code: 'ENOENT' });
    });

    test('absence is a value', async () => {
      expect(await disk.open(at('none'), 'read')).toBeUndefined();
      expect(await disk.open(at('none'), 'update')).toBeUndefined();
      expect(await disk.open(at('none', 'deeper'), 'read')).toBeUndefined();
      expect(await disk.stat(at('none'))).toBeUndefined();
      expect(await disk.list(at('none'))).toEqual([]);
      expect(await disk.unlink(at('none'))).toBe(false);
      await disk.removeDirectory(at('none'));
    });

    test('what is no absence rejects with its code', async () => {
      await put(at('file'), 'x');
      await expect(disk.open(at('file'), 'create')).rejects.toMatchObject({ code: 'EEXIST' });
      await expect(disk.open(at('none', 'file'), 'create')).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(disk.rename(at('none'), at('other'))).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(disk.syncDirectory(at('none'))).rejects.toMatchObject({ code: 'ENOENT' });
      await disk.makeDirectory(at('full', 'below'));
      await expect(disk.removeDirectory(at('full'))).rejects.toMatchObject({ code: 'ENOTEMPTY' });
    });

    test('reads and writes at positions', async () => {
      const file = await create(at('file'), 'hello world');
      await file.write(Buffer.from('W'), 6);
      const into = Buffer.alloc(5);
      expect(await file.read(into, 6)).toBe(5);
      expect(into.toString()).toBe('World');
      expect(await file.read(into, 9)).toBe(2);
      expect(await file.read(into, 11)).toBe(0);
      expect(await file.read(into, 500)).toBe(0);
      expect(await file.size()).toBe(11);
      await file.close();
    });

    test('a hole reads as zeros', async () => {
      const file = await create(at('file'));
      await file.write(Buffer.from('x'), 10_000);
      const into = Buffer.alloc(2, 7);
      expect(await file.read(into, 9_999)).toBe(2);
      expect([...into]).toEqual([0, 'x'.charCodeAt(0)]);
      await file.close();
    });

    test('truncates and grows again with zeros', async () => {
      const file = await create(at('file'), 'abcdef');
      await file.truncate(2);
      await file.truncate(4);
      await file.sync();
      await file.close();
      expect(await textOf(at('file'))).toBe('ab\0\0');
    });

    test('update finds the bytes and takes new ones; read takes none', async () => {
      await put(at('file'), 'abc');
      const update = must(await disk.open(at('file'), 'update'));
      await update.write(Buffer.from('X'), 1);
      await update.close();
      expect(await textOf(at('file'))).toBe('aXc');
      const read = must(await disk.open(at('file'), 'read'));
      await expect(read.write(Buffer.from('Y'), 0)).rejects.toThrow(Error);
      await read.close();
    });

    test('closing waits for what is under way, once; afterwards nothing reaches the file', async () => {
      const file = await create(at('file'));
      const bytes = Buffer.alloc(1 << 20, 1);
      const writing = Promise.all([0, 1, 2, 3].map((n) => file.write(bytes, n * bytes.length)));
      await Promise.all([file.close(), file.close()]);
      await writing;
      expect((await disk.stat(at('file')))?.size).toBe(4 << 20);
      await expect(file.write(bytes, 0)).rejects.toMatchObject({ code: 'EBADF' });
      await expect(file.read(bytes, 0)).rejects.toMatchObject({ code: 'EBADF' });
      await file.close();
    });

    test('a rename replaces, and open files read on', async () => {
      await put(at('old'), 'old');
      const held = must(await disk.open(at('old'), 'read'));
      await put(at('new'), 'new');
      await disk.rename(at('new'), at('old'));
      expect(await textOf(at('old'))).toBe('new');
      expect(await textOf(at('new'))).toBeUndefined();
      const into = Buffer.alloc(3);
      await held.read(into, 0);
      expect(into.toString()).toBe('old');
      await held.close();
    });

    test('a second name is the same file, and outlives the first', async () => {
      await put(at('file'), 'here');
      expect(await disk.link(at('file'), at('other'))).toBe(true);
      await expect(disk.link(at('file'), at('other'))).rejects.toMatchObject({ code: 'EEXIST' });
      await expect(disk.link(at('none'), at('third'))).rejects.toMatchObject({ code: 'ENOENT' });
      expect(await disk.isFile(at('other'))).toBe(true);
      await disk.unlink(at('file'));
      expect(await textOf(at('other'))).toBe('here');
    });

    test('a rename onto another name of the same file leaves both', async () => {
      await put(at('file'), 'here');
      await disk.link(at('file'), at('other'));
      await disk.rename(at('file'), at('other'));
      expect(await textOf(at('file'))).toBe('here');
      expect(await textOf(at('other'))).toBe('here');
    });

    test('a directory is no regular file, and neither is nothing', async () => {
      expect(await disk.isFile(under.directory)).toBe(false);
      expect(await disk.isFile(at('none'))).toBe(false);
    });

    test('an unlinked file reads on', async () => {
      await put(at('file'), 'here');
      const held = must(await disk.open(at('file'), 'read'));
      expect(await disk.unlink(at('file'))).toBe(true);
      expect(await disk.stat(at('file'))).toBeUndefined();
      const into = Buffer.alloc(4);
      expect(await held.read(into, 0)).toBe(4);
      await held.close();
    });

    test('directories are made with those above them, listed, synced, removed', async () => {
      await disk.makeDirectory(at('a', 'b', 'c'));
      await disk.makeDirectory(at('a', 'b', 'c'));
      await put(at('a', 'b', 'file'), 'xyz');
      expect((await disk.list(at('a', 'b'))).sort()).toEqual(['c', 'file']);
      await disk.syncDirectory(at('a', 'b'));
      expect(await disk.stat(at('a', 'b'))).toMatchObject({ directory: true, file: false });
      expect(await disk.stat(at('a', 'b', 'file'))).toMatchObject({ directory: false, file: true, size: 3 });
      await disk.removeDirectory(at('a', 'b', 'c'));
      expect(await disk.list(at('a', 'b'))).toEqual(['file']);
    });

    test('an open file says which file it is: the one that its name stands for, until that is another', async () => {
      const file = await create(at('file'), 'abc');
      const named = await disk.stat(at('file'));
      expect(await file.stat()).toMatchObject({ size: 3, file: true, inode: named?.inode, links: 1 });
      await disk.rename(at('file'), at('moved'));
      expect(await file.stat()).toMatchObject({ inode: named?.inode, links: 1 });
      const other = await create(at('file'), 'abc');
      expect((await other.stat()).inode).not.toBe(named?.inode);
      await disk.rename(at('file'), at('moved'));
      expect((await file.stat()).links).toBe(0);
      await other.truncate(1);
      expect(await other.stat()).toMatchObject({ size: 1, inode: (await disk.stat(at('moved')))?.inode });
      for (const open of [file, other]) await open.close();
    });

    test('says how much room there is', async () => {
      const space = await disk.space(under.directory);
      expect(space.totalBytes).toBeGreaterThan(0);
      expect(space.freeBytes).toBeGreaterThanOrEqual(0);
      expect(space.freeBytes).toBeLessThanOrEqual(space.totalBytes);
      expect(space.freeInodes).toBeLessThanOrEqual(space.totalInodes);
    });
  });
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('expected something, found nothing');
  return value;
}
