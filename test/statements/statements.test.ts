import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readCoverage, toMarkdown, type Coverage } from './table.ts';

const FILE = join(import.meta.dirname, '..', 'STATEMENTS.md');

const rows = readCoverage();
const numbers = (wanting: readonly Coverage[]): string => wanting.map(({ statement }) => `P${statement.number}`).join(' ');

test('every statement is named by a test', () => {
  expect(numbers(rows.filter(({ tests }) => tests.length === 0))).toBe('');
});

test('every must has a mutant', () => {
  expect(numbers(rows.filter(({ statement, mutants }) => statement.level === 'M' && mutants.length === 0))).toBe('');
});

test('STATEMENTS.md says what tests and mutants hold (npm run statements writes it)', () => {
  const table = toMarkdown(rows);
  if (process.env['STATEMENTS'] === 'write') writeFileSync(FILE, table);
  expect(readFileSync(FILE, 'utf8')).toBe(table);
});
