import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { allMutants } from '../mutants/mutants.ts';
import { STATEMENTS, type Statement } from './statements.ts';

const TEST = join(import.meta.dirname, '..');

/** What holds a statement. */
export interface Coverage {
  readonly statement: Statement;
  /** Files below `test/` in which the title of a test names it. */
  readonly tests: readonly string[];
  /** Titles of the mutants that guard it: each is run against those tests alone (`npm run mutants`). */
  readonly mutants: readonly string[];
}

/** Read from the tests and the mutants themselves. */
export function readCoverage(): readonly Coverage[] {
  const files = readdirSync(TEST, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.test.ts'));
  const texts = files.toSorted().map((name) => ({ name, text: withoutComments(readFileSync(join(TEST, name), 'utf8')) }));
  return STATEMENTS.map((statement) => {
    const name = `P${statement.number}`;
    return {
      statement,
      tests: texts.filter(({ text }) => text.includes(`[${name}]`)).map((file) => file.name),
      mutants: allMutants.filter(({ mutant }) => mutant.guards.includes(name)).map(({ title }) => title),
    };
  });
}

/** A number in a comment is no title. */
function withoutComments(text: string): string {
  return text.replaceAll(/^ *(?:\/\/|\/?\*).*$/gm, '');
}

/** What `test/STATEMENTS.md` holds. */
export function toMarkdown(rows: readonly Coverage[]): string {
  const lines = rows.map(({ statement: { number, level, text }, tests, mutants }) => {
    const cells = [`P${number}`, level, text, tests.join('<br>'), mutants.join('<br>')];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return `# What a mirror must answer, and what holds it

Made by \`npm run statements\` from the titles of the tests and the guards of the mutants. M: must; S: should.

| | | statement | tests | mutants |
| --- | --- | --- | --- | --- |
${lines.join('\n')}
`;
}
