import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDiskBlobStore } from '../../src/blobs/disk.ts';
import { digestOf, parseDigest } from '../../src/oci/digest.ts';
import { nodeDisk } from '../../src/system/node-disk.ts';
import { systemRandom } from '../../src/system/random.ts';
import { readBlob } from '../conformance/blob-store.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { seed, sized } from '../scenarios/acceptance.ts';

const KILLS = sized(8, 100);
/** So many lines at most before the kill, and so long behind the last of them. */
const LINES = 12;
const OFF_MS = 20;
const project = fileURLToPath(new URL('../../', import.meta.url));
const child = fileURLToPath(new URL('blob-kill-child.mjs', import.meta.url));

const random = createSeededRandom(seed);

let compiled: string;
let root: string;

/** Compiles the store as it stands now: what lies in `dist/` may be old, or missing. */
beforeAll(async () => {
  compiled = await mkdtemp(join(tmpdir(), 'entrepot-compiled-'));
  root = await mkdtemp(join(tmpdir(), 'entrepot-kill-'));
  const sources = ['blobs/disk.ts', 'system/node-disk.ts', 'system/random.ts'].map((path) => join(project, 'src', path));
  const typeRoots = [join(project, 'node_modules', '@types')];
  const settings = {
    extends: join(project, 'tsconfig.build.json'),
    compilerOptions: { outDir: compiled, rootDir: join(project, 'src'), typeRoots },
    files: sources,
    include: [],
  };
  await writeFile(join(compiled, 'tsconfig.json'), JSON.stringify(settings));
  await writeFile(join(compiled, 'package.json'), '{"type":"module"}');
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  await promisify(execFile)(process.execPath, [compiler, '-p', compiled]).catch((error: { stdout: string }) => {
    throw new Error(`the store did not compile: ${error.stdout}`);
  });
}, 60_000);

afterAll(async () => {
  for (const directory of [compiled, root]) await rm(directory, { recursive: true, force: true });
});

test(
  `${KILLS} times killed at a random moment: no blob is wrong, none that was promised is lost, leftovers are parts`,
  async () => {
    const told = new Map<string, string>();
    for (let run = 0; run < KILLS; run++) {
      for (const [word, digest] of await runUntilKilled(run)) told.set(digest, word);
    }
    expect(told.size).toBeGreaterThan(KILLS);

    const store = await openDiskBlobStore({ disk: nodeDisk, random: systemRandom, root, version: '1.0.0' });
    const found = await namesBelow(join(root, 'entrepot', 'blobs'));
    for (const name of found) {
      const digest = parseDigest(name);
      if (digest === undefined) throw new Error(`${name} was left in blobs/`);
      expect(digestOf(await readBlob(store, digest))).toBe(digest);
    }
    for (const [digest, word] of told) {
      const is = found.has(digest) ? 'held' : 'absent';
      expect([digest, is]).toEqual([digest, word === 'removing' ? is : word]);
    }
    expect((await store.parts()).length).toBeLessThanOrEqual(KILLS);
    await store.close();
  },
  sized(60_000, 600_000),
);

/** What the child printed. It is killed at any moment after one of its first lines. */
async function runUntilKilled(run: number): Promise<[word: string, digest: string][]> {
  const running = spawn(process.execPath, [child, compiled, root, String(run)], { stdio: ['ignore', 'pipe', 'inherit'] });
  // At least two of each, so that every run was told of more than its first blob.
  const wanted = 2 + Math.floor(random.fraction() * LINES);
  const offMs = random.fraction() * OFF_MS;
  let text = '';
  let killing: NodeJS.Timeout | undefined;
  running.stdout.setEncoding('utf8').on('data', (more: string) => {
    text += more;
    if (text.split('\n').length > wanted) killing ??= setTimeout(() => running.kill('SIGKILL'), offMs);
  });
  const signal = await new Promise((resolve) => running.once('close', (_code, by) => resolve(by)));
  expect(signal).toBe('SIGKILL');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' ') as [string, string]);
}

async function namesBelow(blobs: string): Promise<Set<string>> {
  const names = new Set<string>();
  for (const algorithm of await nodeDisk.list(blobs)) {
    for (const fan of await nodeDisk.list(join(blobs, algorithm))) {
      for (const name of await nodeDisk.list(join(blobs, algorithm, fan))) names.add(`${algorithm}:${name}`);
    }
  }
  return names;
}
