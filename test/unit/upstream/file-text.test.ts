import { mkdir, mkdtemp, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';

import { nodeDisk } from '../../../src/system/node-disk.ts';
import { fileSecret, fileText } from '../../../src/upstream/credentials/file-text.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { atEnd } from './servers.ts';

let directory = '';
const deps = { disk: nodeDisk, clock: createFakeClock() };

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'entrepot-secret-'));
  atEnd(() => rm(directory, { recursive: true }));
});

describe('a secret in a file', () => {
  test('is read again when it was replaced, without the line end that editors leave', async () => {
    const path = join(directory, 'token');
    const read = fileSecret(path, deps);
    await writeFile(path, 'first\r\n');
    expect(await read()).toBe('first');
    await writeFile(`${path}.new`, ' second\n\n');
    await rename(`${path}.new`, path);
    expect(await read()).toBe(' second\n');
  });

  test('[S52] is read again when Kubernetes swaps the link in the middle', async () => {
    for (const [at, text] of ['one', 'two'].entries()) {
      await mkdir(join(directory, `..v${at}`));
      await writeFile(join(directory, `..v${at}`, 'token'), text);
      await utimes(join(directory, `..v${at}`, 'token'), at, at);
    }
    await symlink('..v0', join(directory, '..data'));
    await symlink('..data/token', join(directory, 'token'));
    const read = fileText(join(directory, 'token'), deps);
    expect(await read()).toBe('one');
    await symlink('..v1', join(directory, '..data_tmp'));
    await rename(join(directory, '..data_tmp'), join(directory, '..data'));
    expect(await read()).toBe('two');
  });

  test('stands as it was while it is gone or empty, and is missed where it never was', async () => {
    const path = join(directory, 'token');
    const read = fileText(path, deps);
    await expect(read()).rejects.toMatchObject({ name: 'CredentialsUnavailable', message: `${path} cannot be read (ENOENT)` });
    await writeFile(path, 'here');
    expect(await read()).toBe('here');
    await truncate(path, 0);
    expect(await read()).toBe('here');
    await rm(path);
    expect(await read()).toBe('here');
    await writeFile(path, 'again');
    expect(await read()).toBe('again');
  });

  test('is neither a directory nor more than a mebibyte', async () => {
    await expect(fileText(directory, deps)()).rejects.toThrow('no file');
    const path = join(directory, 'large');
    await writeFile(path, Buffer.alloc(1_048_577, 'x'));
    await expect(fileText(path, deps)()).rejects.toThrow('EFBIG');
    await writeFile(path, Buffer.alloc(1_048_576, 'x'));
    expect((await fileText(path, deps)()).length).toBe(1_048_576);
  });
});
