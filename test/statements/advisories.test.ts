import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readAdvisories, toAdvisoriesMarkdown } from './table.ts';

const FILE = join(import.meta.dirname, '..', 'ADVISORIES.md');

const rows = readAdvisories();
const held = rows.filter(({ advisory }) => advisory.instead === undefined);

test('every published weakness is named by a test, and has a mutant, or says why there is nothing to test', () => {
  const untested = held.flatMap(({ advisory, tests }) =>
    advisory.numbers.filter((number) => (tests.get(number) ?? []).length === 0),
  );
  expect(untested).toEqual([]);
  expect(
    held
      .filter(({ advisory, mutants }) => advisory.by === undefined && mutants.length === 0)
      .map(({ advisory }) => advisory.numbers[0]),
  ).toEqual([]);
  const idle = rows.filter(({ advisory, tests }) => advisory.instead !== undefined && [...tests.values()].flat().length > 0);
  expect(
    idle.map(({ advisory }) => advisory.numbers[0]),
    'tested after all',
  ).toEqual([]);
});

test('no number stands there twice', () => {
  const numbers = rows.flatMap(({ advisory }) => advisory.numbers);
  expect(numbers.filter((number, at) => numbers.indexOf(number) !== at)).toEqual([]);
});

test('ADVISORIES.md says which tests and mutants hold (npm run statements writes it)', () => {
  const table = toAdvisoriesMarkdown(rows);
  if (process.env['STATEMENTS'] === 'write') writeFileSync(FILE, table);
  expect(readFileSync(FILE, 'utf8')).toBe(table);
});
