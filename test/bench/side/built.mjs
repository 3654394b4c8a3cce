// What the tests have in TypeScript and a benchmark shares, built: import it by its path from the top of the tree.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = join(import.meta.dirname, '../../..');

/** Yields what the first exports, the second …; throws with the compiler's words. Types are not looked at. */
export async function built(...sources) {
  const cache = join(root, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  // Below node_modules, where packages are found from.
  const directory = mkdtempSync(join(cache, 'entrepot-bench-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  const options = ['--ignoreConfig', '--noCheck', '--skipLibCheck', '--outDir', directory, '--rootDir', '.', '--types', 'node'];
  const kind = ['--target', 'ES2023', '--module', 'NodeNext', '--rewriteRelativeImportExtensions'];
  const compiler = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', ...options, ...kind, ...sources], {
    cwd: root,
    encoding: 'utf8',
  });
  if (compiler.status !== 0) throw new Error(`${sources.join(', ')}: ${compiler.stdout}${compiler.stderr}`);
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
  return Promise.all(sources.map((source) => import(pathToFileURL(join(directory, source.replace(/\.ts$/, '.js'))).href)));
}
