import { mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createAppendedFile } from '../../../src/system/appended-file.ts';
import { nodeDisk } from '../../../src/system/node-disk.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'entrepot-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

describe('a file that grows', () => {
  test('is its owner’s alone, and goes on where it was', async () => {
    const path = join(await directory(), 'audit.log');
    for (const text of ['a\n', 'b\n']) {
      const file = createAppendedFile(nodeDisk, path);
      await file.append(text);
      await file.append(text);
      await file.close();
    }
    expect(await readFile(path, 'utf8')).toBe('a\na\nb\nb\n');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test('is made anew where it was moved away, or removed', async () => {
    const path = join(await directory(), 'audit.log');
    const file = createAppendedFile(nodeDisk, path);
    await file.append('a\n');
    await rename(path, `${path}.1`);
    await file.append('b\n');
    expect([await readFile(`${path}.1`, 'utf8'), await readFile(path, 'utf8')]).toEqual(['a\n', 'b\n']);
    await rm(path);
    await file.append('c\n');
    expect(await readFile(path, 'utf8')).toBe('c\n');
    await file.close();
  });

  test('is shared with whoever writes to it besides', async () => {
    const path = join(await directory(), 'audit.log');
    const [one, other] = [createAppendedFile(nodeDisk, path), createAppendedFile(nodeDisk, path)];
    for (const file of [one, other, one, other]) await file.append('line\n');
    expect(await readFile(path, 'utf8')).toBe('line\n'.repeat(4));
    await Promise.all([one.close(), other.close()]);
  });

  test('rejects where its directory is not there, and opens no file twice', async () => {
    const disk = createMemoryDisk();
    const file = createAppendedFile(disk, '/log/audit.log');
    await expect(file.append('a\n')).rejects.toMatchObject({ code: 'ENOENT' });
    await disk.makeDirectory('/log');
    await file.append('a\n');
    await file.append('b\n');
    expect(disk.openFiles()).toEqual(['/log/audit.log']);
    await file.close();
    expect(disk.openFiles()).toEqual([]);
  });

  test('begins a line of its own behind what a full disk cut off', async () => {
    const disk = createMemoryDisk();
    await disk.makeDirectory('/log');
    const torn: Pick<typeof disk, 'open' | 'stat'> = {
      stat: (path) => disk.stat(path),
      async open(path, mode) {
        const file = await disk.open(path, mode);
        if (file === undefined) return undefined;
        return {
          ...file,
          async write(bytes, position) {
            if (!Buffer.from(bytes).includes('full')) return file.write(bytes, position);
            await file.write(bytes.subarray(0, 2), position);
            throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
          },
        };
      },
    };
    const file = createAppendedFile(torn, '/log/audit.log');
    await file.append('a\n');
    await expect(file.append('full\n')).rejects.toThrow('ENOSPC');
    await file.append('b\n');
    await file.append('c\n');
    expect(Buffer.from(disk.peek().get('/log/audit.log')!).toString()).toBe('a\nfu\nb\nc\n');
  });
});
