// Builds the simulator and runs it: node test/sim/sim.mjs --seed 7 | --seeds 100000 [--minutes 20] [--from 1]
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = join(import.meta.dirname, '../..');
mkdirSync(join(root, 'node_modules/.cache'), { recursive: true });
const directory = mkdtempSync(join(root, 'node_modules/.cache/entrepot-sim-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
const args = ['-p', 'test/sim/tsconfig.json', '--outDir', directory];
const built = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', ...args], { cwd: root, stdio: 'inherit' });
if (built.status !== 0) process.exit(1);
const { main } = await import(pathToFileURL(join(directory, 'test/sim/sim.js')).href);
process.exitCode = await main(process.argv.slice(2), join(directory, 'test/sim/worker.js'));
