import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isOfficialDirectory, openOfficialDirectory, type OfficialDirectory } from '../../../src/official/directory.ts';
import { nodeDisk } from '../../../src/system/node-disk.ts';
import { randomBlob } from '../../fakes/images.ts';
import { officialData, type OfficialData } from '../../fakes/official-data.ts';

let data: OfficialData;
let directory: OfficialDirectory;
const [a, b] = [randomBlob(10, 1), randomBlob(10, 2)];

beforeEach(async () => {
  const root = await mkdtemp(join(tmpdir(), 'entrepot-official-'));
  data = officialData(root);
  directory = openOfficialDirectory(nodeDisk, root);
});
afterEach(() => rm(data.root, { recursive: true }));

async function put(text: string, ...parts: readonly string[]): Promise<string> {
  const path = data.at(...parts);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  return path;
}

const names = async (after?: string): Promise<string[]> => {
  const found: string[] = [];
  for await (const name of directory.repositories(after)) found.push(name);
  return found;
};

describe('repositories', () => {
  test('are listed in byte order of their whole names, from any place, without what can be no name', async () => {
    const all = ['a', 'a-b', 'a-b/c', 'a.b', 'a/b', 'a/b/c', 'a0', 'b/c'];
    for (const name of all.toReversed()) await data.tag(name, 'x', a.digest);
    for (const odd of ['A', '..x', 'a b', '-a', 'a..b', '_uploads', '\u001b[2J'])
      await put('', 'repositories', odd, '_manifests/x');
    // A part of a name, which is none itself.
    await put('', 'repositories/c/d/_layers/x');
    expect(await names()).toEqual(all);
    for (const [at, name] of all.entries()) expect(await names(name)).toEqual(all.slice(at + 1));
    expect(await names('a-')).toEqual(all.slice(1));
    expect(await names('zzz')).toEqual([]);
    expect(await directory.hasRepository('a/b')).toBe(true);
    expect(await directory.hasRepository('c/d')).toBe(false);
  });

  test('what cannot be read is told of, and the others are listed; without a listener it ends the list', async () => {
    await data.tag('a', 'x', a.digest);
    await data.tag('b/c', 'x', a.digest);
    const list = nodeDisk.list.bind(nodeDisk);
    const failing = {
      ...nodeDisk,
      list: async (path: string) =>
        path === data.at('repositories/b/') ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) : list(path),
    };
    const broken = openOfficialDirectory(failing, data.root);
    const [found, unread]: [string[], string[]] = [[], []];
    for await (const name of broken.repositories(undefined, (path) => unread.push(path))) found.push(name);
    expect([found, unread]).toEqual([['a'], ['b/']]);
    await expect(async () => {
      for await (const name of broken.repositories(undefined)) found.push(name);
    }).rejects.toThrow('EIO');
  });
});

describe('links', () => {
  test('grant what they name, where it stands in its own place', async () => {
    await data.layer('team/app', a);
    await data.manifest('team/app', b);
    expect(await directory.links('blob', 'team/app', a.digest)).toBe(true);
    expect(await directory.links('manifest', 'team/app', a.digest)).toBe(false);
    expect(await directory.links('manifest', 'team/app', b.digest)).toBe(true);
    expect(await directory.links('blob', 'team', a.digest)).toBe(false);
    expect(await directory.size(a.digest)).toBe(10);
    expect(await directory.count('team/app')).toBe(2);
  });

  test.each(['', 'sha256:', 'md5:0123', '../../etc/passwd', 'x'.repeat(100_000), '\0'])('%j is no link', async (text) => {
    await put(text, 'repositories/a/_manifests/tags/x/current/link');
    expect(await directory.tag('a', 'x')).toBeUndefined();
  });

  test('one that names another digest, that is a symbolic link, or stands under no digest is told of as odd', async () => {
    await data.layer('a', a);
    const other = await put(b.digest, 'repositories/a/_layers/sha256', 'f'.repeat(64), 'link');
    await mkdir(data.at('repositories/a/_layers/sha256', 'e'.repeat(64)), { recursive: true });
    await symlink(other, data.at('repositories/a/_layers/sha256', 'e'.repeat(64), 'link'));
    await put(b.digest, 'repositories/a/_layers/md5/0123/link');
    // What was deleted there leaves its directory.
    await mkdir(data.at('repositories/a/_layers/sha256', 'd'.repeat(64)), { recursive: true });
    const { digests, odd } = await directory.linked('blob', 'a');
    expect(digests).toEqual([a.digest]);
    expect(odd).toEqual(['md5/0123', `sha256/${'e'.repeat(64)}`, `sha256/${'f'.repeat(64)}`]);
  });

  test('a symbolic link is none, though what it leads to would be one', async () => {
    await data.manifest('a', a);
    const outside = await put(a.digest, '../../../outside');
    await mkdir(data.at('repositories/a/_manifests/tags/x/current'), { recursive: true });
    await symlink(outside, data.at('repositories/a/_manifests/tags/x/current/link'));
    expect(await directory.tag('a', 'x')).toBeUndefined();
  });

  test('a tag has the time at which it was written', async () => {
    await data.tag('a', 'x', a.digest);
    await utimes(data.at('repositories/a/_manifests/tags/x/current/link'), 1000, 2000);
    expect(await directory.tag('a', 'x')).toEqual({ digest: a.digest, at: 2_000_000 });
    await put('', 'repositories/a/_manifests/tags/.odd/current/link');
    expect(await directory.tags('a')).toEqual(['x']);
  });
});

test('a directory is an official registry’s where its repositories are', async () => {
  expect(await isOfficialDirectory(nodeDisk, data.root)).toBe(false);
  await data.tag('a', 'x', a.digest);
  expect(await isOfficialDirectory(nodeDisk, data.root)).toBe(true);
});
