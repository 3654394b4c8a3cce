import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { mutate, proofsOf, type Mutant } from '../mutants/mutant.ts';
import { allMutants, MUTANTS } from '../mutants/mutants.ts';
import { partOf } from '../mutants/part.ts';
import { createTable } from '../mutants/table.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Those of `test/mutants/` that are no room's. */
const OWN_FILES: ReadonlySet<string> = new Set([
  'mutant.ts',
  'mutants.ts',
  'mutants.test.ts',
  'part.ts',
  'run.ts',
  'runner.ts',
  'table.ts',
  'tree.ts',
  'vitest.config.ts',
]);

/** What keeps `npm run mutants` from running it, short of running it. */
function faultsOf(mutant: Mutant): string[] {
  const missing = [mutant.file, ...mutant.test].filter((file) => !existsSync(join(ROOT, file)));
  if (missing.length > 0) return missing.map((file) => `there is no ${file}`);
  try {
    mutate(readFileSync(join(ROOT, mutant.file), 'utf8'), mutant);
  } catch (error) {
    return [(error as Error).message];
  }
  return mutant.test.length === 0 || mutant.guards.length === 0 ? ['it names no test, or nothing that it guards'] : [];
}

describe('the mutants', () => {
  test('can each be applied, and their tests are there', () => {
    expect(allMutants.flatMap(({ title, mutant }) => faultsOf(mutant).map((fault) => `${title}: ${fault}`))).toEqual([]);
  });

  test('of every room’s file are among them', () => {
    const files = readdirSync(join(ROOT, 'test/mutants')).filter((name) => name.endsWith('.ts') && !OWN_FILES.has(name));
    expect(files.map((name) => name.slice(0, -'.ts'.length)).sort()).toEqual(Object.keys(MUTANTS).sort());
  });

  test('have names of their own', () => {
    const titles = allMutants.map(({ title }) => title);
    expect(titles.filter((title, at) => titles.indexOf(title) !== at)).toEqual([]);
  });
});

test('the mutant of a statement has to be found by tests that name it', () => {
  const mutant = { name: 'm', guards: ['P5', 'S00', 'P53'], file: 'f.ts', find: 'a', replace: 'b', test: ['t'] };
  expect(proofsOf(mutant).map(({ testName }) => testName)).toEqual(['\\[P5\\]', '\\[P53\\]']);
  expect(proofsOf({ ...mutant, guards: ['S00'] })).toEqual([{ ...mutant, guards: ['S00'] }]);
});

test('tests of a mutant end with whoever runs them, with all that they have started', async () => {
  const leash = join(ROOT, 'test/mutants/leash.mjs');
  const hangs = 'process.stdout.write(`x`); setInterval(() => undefined, 1000)';
  const script = `data:text/javascript,import { spawn } from 'node:child_process';
    spawn(process.execPath, ['-e', ${JSON.stringify(hangs)}], { stdio: ['ignore', 'inherit', 'inherit'] });
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, [leash, script], { detached: true, stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.stdin.destroy();
  // Its output ends when neither of them has it any more.
  expect(await once(child, 'close')).toEqual([null, 'SIGKILL']);
});

describe('a part of the mutants', () => {
  const all = ['a', 'b', 'c', 'd', 'e'];

  test('is one of as many as there are, which are all of them', () => {
    expect(partOf(all, undefined)).toEqual(all);
    expect(['1/3', '2/3', '3/3'].map((part) => partOf(all, part))).toEqual([['a', 'b'], ['c'], ['d', 'e']]);
    expect(allMutants.length).toBe(['1/2', '2/2'].flatMap((part) => partOf(allMutants, part)).length);
  });

  test.each(['0/2', '3/2', '1/0', '1', '', '1/2/3', 'a/b'])('is not %j', (part) => {
    expect(() => partOf(all, part)).toThrow('is not like 2/4');
  });
});

test('the table of the mutants has a row as soon as it is known, and in the end each in its place, and a count', () => {
  const lines: string[] = [];
  const table = createTable((line) => lines.push(line));
  const mutant = { name: 'm', guards: ['S00', 'P1'], file: 'f.ts', find: 'a', replace: 'b', test: ['t'] };
  const sound = { kind: 'passed', tests: 3, ms: 5 } as const;
  table.add('r: d', mutant, { kind: 'failed', by: 'a test' });
  table.add('r: c', mutant, sound, { kind: 'broken', why: '\nit does not load\nat all' });
  table.add('r: b', mutant, sound, { kind: 'hung' });
  table.add('r: a', mutant, sound, { kind: 'failed', by: 'a test' });
  table.add('r: a', mutant, sound, sound);
  const rows = [
    '| r: a | S00, P1 | killed | a test |',
    '| r: a | S00, P1 | SURVIVED |  |',
    '| r: b | S00, P1 | hung |  |',
    '| r: c | S00, P1 | BROKEN | it does not load |',
    '| r: d | S00, P1 | UNSOUND | a test |',
  ];
  expect(lines.toSorted()).toEqual(rows.toSorted());
  table.print(['r: a', 'r: b', 'r: c', 'r: d']);
  expect(lines.slice(5)).toEqual([
    '\n| mutant | guards | outcome | by |\n| --- | --- | --- | --- |',
    ...rows,
    '\n1 killed, 1 hung, 1 SURVIVED, 1 BROKEN, 1 UNSOUND',
  ]);
});

describe('applying a mutant', () => {
  const mutant = { name: 'm', guards: ['S00'], file: 'f.ts', find: 'aa', replace: 'b', test: ['t'] };

  test('replaces the one place', () => {
    expect(mutate('x aa y', mutant)).toBe('x b y');
    expect(mutate('x aa y', { ...mutant, replace: '$&' })).toBe('x $& y');
  });

  test.each([
    ['x', 'is not in f.ts'],
    ['aa aa', 'more than once'],
    ['aaa', 'more than once'],
  ])('refuses %j', (text, why) => {
    expect(() => mutate(text, mutant)).toThrow(why);
  });

  test('refuses an edit that changes nothing, or of nothing', () => {
    expect(() => mutate('aa', { ...mutant, replace: 'aa' })).toThrow('changes nothing');
    expect(() => mutate('aa', { ...mutant, find: '' })).toThrow('is not in');
  });
});
