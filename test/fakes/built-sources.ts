import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/** Sources as JavaScript, for processes of their own that a test starts. */
export interface BuiltSources {
  /** The built file's path, `metadata/lmdb.ts` for `src/metadata/lmdb.ts`. */
  path(source: string): string;
  clean(): void;
}

/** Builds `sources` (relative to `src/`) and what they import; below node_modules, where packages are found from. */
export function buildSources(...sources: readonly string[]): BuiltSources {
  const cache = join(ROOT, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const directory = mkdtempSync(join(cache, 'entrepot-test-'));
  const options = ['--ignoreConfig', '--outDir', directory, '--rootDir', 'src', '--target', 'ES2023', '--module', 'NodeNext'];
  const more = [
    '--rewriteRelativeImportExtensions',
    '--skipLibCheck',
    '--types',
    'node',
    '--strict',
    '--exactOptionalPropertyTypes',
  ];
  const files = sources.map((source) => join('src', source));
  const built = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', ...options, ...more, ...files], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (built.status !== 0) throw new Error(`the sources do not build: ${built.stdout}${built.stderr}`);
  return {
    path: (source) => join(directory, source.replace(/\.ts$/, '.js')),
    clean: () => rmSync(directory, { recursive: true, force: true }),
  };
}
