// Builds the fuzzer and runs it: node test/fuzz/fuzz.mjs --minutes 60 [--seed 7] [--parser range]
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = join(import.meta.dirname, '../..');
mkdirSync(join(root, 'node_modules/.cache'), { recursive: true });
const directory = mkdtempSync(join(root, 'node_modules/.cache/entrepot-fuzz-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
const args = ['-p', 'test/fuzz/tsconfig.json', '--outDir', directory];
const built = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', ...args], { cwd: root, stdio: 'inherit' });
if (built.status !== 0) process.exit(1);
const { main } = await import(pathToFileURL(join(directory, 'test/fuzz/fuzz.js')).href);
const worker = join(directory, 'test/fuzz/worker.js');
process.exitCode = await main(process.argv.slice(2), { worker, corpus: join(root, 'test/fuzz/corpus') });
