import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readCoverage, toMarkdown, type Coverage } from './table.ts';

const FILE = join(import.meta.dirname, '..', 'STATEMENTS.md');

const rows = readCoverage();
const numbers = (wanting: readonly Coverage[]): string => wanting.map(({ statement }) => `P${statement.number}`).join(' ');

test('every statement is named by a test, and has a mutant', () => {
  expect(numbers(rows.filter(({ tests }) => tests.length === 0))).toBe('');
  expect(numbers(rows.filter(({ mutants }) => mutants.length === 0))).toBe('');
});

test('STATEMENTS.md says what tests and mutants hold (npm run statements writes it)', () => {
  const table = toMarkdown(rows);
  if (process.env['STATEMENTS'] === 'write') writeFileSync(FILE, table);
  expect(readFileSync(FILE, 'utf8')).toBe(table);
});
