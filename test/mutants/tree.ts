import { cp, mkdtemp, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/** A copy of the repository in which things may be broken. */
export interface Tree {
  readonly path: string;
  remove(): Promise<void>;
}

/** What tests have no use for, or find through the link. */
const LEFT_OUT: ReadonlySet<string> = new Set(['node_modules', 'dist', 'coverage', '.git']);

export async function copyTree(root: string): Promise<Tree> {
  // As the test runner calls the files in it.
  const path = await realpath(await mkdtemp(join(tmpdir(), 'entrepot-mutants-')));
  await cp(root, path, { recursive: true, filter: (source) => source === root || !LEFT_OUT.has(basename(source)) });
  await symlink(join(root, 'node_modules'), join(path, 'node_modules'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
