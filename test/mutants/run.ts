import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fewAtOnce } from '../../src/system/few-at-once.ts';
import { mutate, type Mutant } from './mutant.ts';
import { createRunner, type Runner, type Verdict } from './runner.ts';
import { copyTree, type Tree } from './tree.ts';

/** What the tests of a mutant say, with its edit or (`mutant.file` untouched) without. `msMax`: what takes longer has hung. */
export type Judge = (mutant: Mutant, edited: boolean, msMax?: number) => Promise<Verdict>;

export interface Judges {
  readonly judge: Judge;
  end(): Promise<void>;
}

/** Longer than any test that is not stuck, each of which has a quarter of it (runner.mjs). */
const RUN_MS_MAX = 240_000;

/** Up to `most` at a time judge, each in a copy of `root` with a test runner of its own. */
export function createJudges(root: string, most: number): Judges {
  const atOnce = fewAtOnce(most);
  const places: Place[] = [];
  const idle: Place[] = [];

  async function makePlace(): Promise<Place> {
    const tree = await copyTree(root);
    const place = { tree, runner: createRunner(tree.path) };
    places.push(place);
    return place;
  }

  return {
    judge: (mutant, edited, msMax = RUN_MS_MAX) =>
      atOnce(async () => {
        const place = idle.pop() ?? (await makePlace());
        const verdict = await runTests(place, mutant, edited, msMax);
        idle.push(place);
        return verdict;
      }),
    async end() {
      for (const { runner } of places) runner.end();
      await Promise.all(places.map(({ tree }) => tree.remove()));
    },
  };
}

interface Place {
  readonly tree: Tree;
  readonly runner: Runner;
}

async function runTests({ tree, runner }: Place, mutant: Mutant, edited: boolean, msMax: number): Promise<Verdict> {
  const path = join(tree.path, mutant.file);
  const asked = { test: mutant.test, testName: mutant.testName, changed: path, msMax };
  if (!edited) return runner.run(asked);
  const before = await readFile(path, 'utf8');
  await writeFile(path, mutate(before, mutant));
  try {
    return await runner.run(asked);
  } finally {
    await writeFile(path, before);
  }
}
