import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { proofsOf, type Mutant } from './mutant.ts';
import { allMutants } from './mutants.ts';
import { partOf } from './part.ts';
import { createJudges } from './run.ts';
import type { Verdict } from './runner.ts';
import { createTable } from './table.ts';

/** One more than there are cores: many tests wait for processes, sockets and disks. */
const { judge, end } = createJudges(join(import.meta.dirname, '../..'), availableParallelism() + 1);
const table = createTable((line) => process.stdout.write(`${line}\n`));
const sound = new Map<string, Promise<Verdict>>();

afterAll(async () => {
  await end();
  table.print(allMutants.map(({ title }) => title));
});

/** A test that fails anyway proves nothing; each set of tests is asked once. */
function withoutEdit(mutant: Mutant): Promise<Verdict> {
  const key = JSON.stringify([mutant.test, mutant.testName]);
  const asked = sound.get(key) ?? judge(mutant, false);
  sound.set(key, asked);
  return asked;
}

/** Ten times what the tests take without the edit, and time to start, have passed: they hang. */
const msMax = (ms: number): number => Math.min(240_000, 40_000 + 10 * ms);

describe('runner:', () => {
  const harmless: Mutant = {
    name: 'harmless',
    guards: ['nothing'],
    file: 'src/oci/repository.ts',
    find: 'const LENGTH_MAX = 255;',
    replace: 'const LENGTH_MAX = 255; // as before',
    test: ['test/unit/oci/repository.test.ts'],
  };
  const harmful: Mutant = { ...harmless, replace: 'const LENGTH_MAX = 2 ** 40;' };

  test.each<[string, Mutant, Verdict['kind']]>([
    ['an edit that does no harm survives', harmless, 'passed'],
    ['an edit that does not load proves nothing', { ...harmless, replace: 'const LENGTH_MAX = ;' }, 'broken'],
    ['tests that nobody has prove nothing', { ...harmless, testName: 'no test has this name' }, 'broken'],
    ['an edit that does harm is found', harmful, 'failed'],
  ])('%s', async (_, mutant, kind) => {
    expect(await judge(mutant, true)).toMatchObject({ kind });
  });

  test('an edit is seen by tests that have run without it, and gone when they run for another file', async () => {
    const elsewhere: Mutant = { ...harmless, file: 'src/oci/url.ts' };
    expect(await judge(elsewhere, false)).toMatchObject({ kind: 'passed' });
    expect(await judge(harmful, true)).toMatchObject({ kind: 'failed' });
    expect(await judge(elsewhere, false)).toMatchObject({ kind: 'passed' });
  });

  test('what is asked for runs, and nothing that was asked for before', async () => {
    const count = async (change: Partial<Mutant>): Promise<unknown> => {
      const verdict = await judge({ ...harmless, ...change }, true);
      return verdict.kind === 'passed' ? verdict.tests : verdict;
    };
    const all = await count({});
    expect(await count({ testName: ' is refused$' })).toBeLessThan(all as number);
    expect(await count({ test: [...harmless.test, 'test/unit/oci/url.test.ts'] })).toBeGreaterThan(all as number);
    expect(await count({})).toBe(all);
  });

  test('an edit that hangs is ended with all that it runs, and the next is judged', async () => {
    expect(await judge({ ...harmless, replace: 'const LENGTH_MAX = 255; for (;;);' }, true, 10_000)).toEqual({ kind: 'hung' });
    expect(await judge(harmful, true)).toMatchObject({ kind: 'failed' });
  });

  test('an edit without which a test waits for ever is found by that test', async () => {
    const waits: Mutant = {
      ...harmless,
      file: 'src/system/paged.ts',
      find: 'await nextTurn();',
      replace: 'await new Promise(() => undefined);',
      test: ['test/unit/system/paged.test.ts'],
    };
    expect(await judge(waits, true, 20_000)).toMatchObject({ kind: 'failed' });
  });

  test('an edit that ends its process proves nothing', async () => {
    expect(await judge({ ...harmless, replace: 'const LENGTH_MAX = 255; process.kill(process.ppid, 9);' }, true)).toMatchObject(
      { kind: 'broken' },
    );
    expect(await judge(harmless, true)).toMatchObject({ kind: 'passed' });
  });
});

// By hand: `test.each` cuts long names short, and `-t` would not find them.
for (const { title, mutant } of partOf(allMutants, process.env['ENTREPOT_MUTANTS_PART'])) {
  test.concurrent(title, async () => {
    for (const proof of proofsOf(mutant)) {
      const asIs = await withoutEdit(proof);
      const verdict = asIs.kind === 'passed' ? await judge(proof, true, msMax(asIs.ms)) : undefined;
      table.add(title, mutant, asIs, verdict);
      expect(asIs, 'the tests as they are').toMatchObject({ kind: 'passed' });
      expect(verdict, `the tests without the defence, ${proof.testName ?? 'all'}`).toMatchObject({
        kind: expect.stringMatching(/^(?:failed|hung)$/) as string,
      });
    }
  });
}
