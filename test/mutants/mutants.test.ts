import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { proofsOf, type Mutant } from './mutant.ts';
import { allMutants } from './mutants.ts';
import { copyTree, judge, type Tree, type Verdict } from './run.ts';

const ROOT = join(import.meta.dirname, '../..');

let tree: Tree;
const sound = new Map<string, Promise<Verdict>>();
const rows: string[] = [];

beforeAll(async () => {
  tree = await copyTree(ROOT);
});

afterAll(async () => {
  await tree.remove();
  process.stdout.write(`\n${rows.join('\n')}\n`);
});

/** A test that fails anyway proves nothing; each set of tests is asked once. */
function withoutEdit(mutant: Mutant): Promise<Verdict> {
  const key = JSON.stringify([mutant.test, mutant.testName]);
  const asked = sound.get(key) ?? judge(tree, mutant, false);
  sound.set(key, asked);
  return asked;
}

describe('runner:', () => {
  const harmless: Mutant = {
    name: 'harmless',
    guards: ['nothing'],
    file: 'src/oci/repository.ts',
    find: 'const LENGTH_MAX = 255;',
    replace: 'const LENGTH_MAX = 255; // as before',
    test: ['test/unit/oci/repository.test.ts'],
  };

  test.each<[string, Partial<Mutant>, Verdict['kind']]>([
    ['an edit that does no harm survives', {}, 'passed'],
    ['an edit that does not load proves nothing', { replace: 'const LENGTH_MAX = ;' }, 'broken'],
    ['tests that nobody has prove nothing', { testName: 'no test has this name' }, 'broken'],
    ['an edit that does harm is found', { replace: 'const LENGTH_MAX = 2 ** 40;' }, 'failed'],
  ])('%s', async (_, change, kind) => {
    expect(await judge(tree, { ...harmless, ...change }, true)).toMatchObject({ kind });
  });
});

test.each(allMutants)('$title', async ({ title, mutant }) => {
  for (const proof of proofsOf(mutant)) {
    expect(await withoutEdit(proof), 'the tests as they are').toMatchObject({ kind: 'passed' });
    const verdict = await judge(tree, proof, true);
    const by = verdict.kind === 'failed' ? verdict.by.split('\n')[0] : '';
    rows.push(`| ${title} | ${mutant.guards.join(', ')} | ${verdict.kind} | ${by} |`);
    expect(verdict, `the tests without the defence, ${proof.testName ?? 'all'}`).toMatchObject({
      kind: expect.stringMatching(/^(?:failed|hung)$/) as string,
    });
  }
});
