import { closeSync, openSync } from 'node:fs';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { nodeDisk, toOpenFile, writeAll } from '../../../src/system/node-disk.ts';

type Handle = Parameters<typeof writeAll>[0];

/** Takes at most `most` bytes at a time, as a kernel may. */
function shortHandle(most: number, taken: Buffer): Handle {
  const write = async (bytes: Uint8Array, from: number, length: number, position: number) => {
    const count = Math.min(most, length);
    taken.set(bytes.subarray(from, from + count), position);
    return { bytesWritten: count, buffer: bytes };
  };
  return { write } as unknown as Handle;
}

test('a write that the kernel takes in pieces is finished', async () => {
  const taken = Buffer.alloc(13);
  await writeAll(shortHandle(3, taken), Buffer.from('0123456789'), 2);
  expect(taken.toString()).toBe('\0\x000123456789\0');
});

test('a write of which the kernel takes nothing is an error, not a loop', async () => {
  await expect(writeAll(shortHandle(0, Buffer.alloc(1)), Buffer.from('x'), 0)).rejects.toMatchObject({ code: 'EIO' });
});

test('a read yields what stands at its position, 0 at the end, and the disk’s error where there is one', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-read-'));
  try {
    await writeFile(join(directory, 'file'), 'abcdef');
    const file = (await nodeDisk.open(join(directory, 'file'), 'read'))!;
    const into = Buffer.alloc(4, '-');
    expect([await file.read(into, 3), into.toString()]).toEqual([3, 'def-']);
    expect([await file.read(into, 6), await file.read(new Uint8Array(0), 0)]).toEqual([0, 0]);
    await file.close();
    const broken = (await nodeDisk.open(directory, 'read'))!;
    await expect(broken.read(into, 0)).rejects.toMatchObject({ code: 'EISDIR' });
    await broken.close();
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a missing directory has no space: the error says so', async () => {
  await expect(nodeDisk.space('/nowhere/at/all')).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a descriptor is not given back while a write is under way on it', async () => {
  const order: string[] = [];
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  const handle = {
    write: async (_bytes: Uint8Array, _from: number, length: number) => {
      await finished;
      order.push('written');
      return { bytesWritten: length };
    },
    close: async () => void order.push('closed'),
  };
  const file = toOpenFile(handle as unknown as Parameters<typeof toOpenFile>[0]);
  const write = file.write(Buffer.from('x'), 0);
  const close = file.close();
  await new Promise<void>((resolve) => setImmediate(resolve));
  expect(order).toEqual([]);
  finish();
  await Promise.all([write, close]);
  expect(order).toEqual(['written', 'closed']);
});

test('a descriptor is not given back while a read is under way on it, and nobody reads from it later', async () => {
  const order: string[] = [];
  const descriptor = openSync(new URL(import.meta.url), 'r');
  const handle = { fd: descriptor, close: async () => void order.push('closed') };
  const file = toOpenFile(handle as unknown as Parameters<typeof toOpenFile>[0]);
  const read = file.read(Buffer.alloc(10), 0).then((count) => order.push(`read ${count}`));
  const close = file.close();
  await Promise.all([read, close]);
  expect(order).toEqual(['read 10', 'closed']);
  await expect(file.read(Buffer.alloc(10), 0)).rejects.toMatchObject({ code: 'EBADF' });
  closeSync(descriptor);
});

test.skipIf(process.platform !== 'linux')('a file system without directory sync is used without it', async () => {
  await expect(nodeDisk.syncDirectory('/proc/self')).resolves.toBeUndefined();
});

test('a symbolic link is no regular file, wherever it leads', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-link-'));
  try {
    await writeFile(join(directory, 'file'), 'x');
    await symlink('file', join(directory, 'link'));
    expect(await nodeDisk.isFile(join(directory, 'file'))).toBe(true);
    expect(await nodeDisk.isFile(join(directory, 'link'))).toBe(false);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test.skipIf(process.platform !== 'linux')('what another file system holds is not linked, and says so', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-link-'));
  try {
    expect(await nodeDisk.link('/proc/version', join(directory, 'version'))).toBe(false);
  } finally {
    await rm(directory, { recursive: true });
  }
});
