import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { allMutants } from '../mutants/mutants.ts';
import { ADVISORIES, type Advisory } from './advisories.ts';
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
  const texts = readTests();
  return STATEMENTS.map((statement) => {
    const name = `P${statement.number}`;
    return { statement, tests: testsThatName(name, texts), mutants: mutantsOf(name) };
  });
}

/** What holds against a published weakness. */
export interface AdvisoryCoverage {
  readonly advisory: Advisory;
  /** By number, files below `test/` in which the title of a test names it. */
  readonly tests: ReadonlyMap<string, readonly string[]>;
  readonly mutants: readonly string[];
}

export function readAdvisories(): readonly AdvisoryCoverage[] {
  const texts = readTests();
  return ADVISORIES.map((advisory) => ({
    advisory,
    tests: new Map(advisory.numbers.map((number) => [number, testsThatName(number, texts)])),
    mutants: [...new Set(advisory.numbers.flatMap(mutantsOf))],
  }));
}

interface TestText {
  /** Below `test/`. */
  readonly name: string;
  readonly text: string;
}

function readTests(): readonly TestText[] {
  const files = readdirSync(TEST, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.test.ts'));
  return files.toSorted().map((name) => ({ name, text: withoutComments(readFileSync(join(TEST, name), 'utf8')) }));
}

function testsThatName(name: string, texts: readonly TestText[]): readonly string[] {
  return texts.filter(({ text }) => text.includes(`[${name}]`)).map((file) => file.name);
}

function mutantsOf(name: string): readonly string[] {
  return allMutants.filter(({ mutant }) => mutant.guards.includes(name)).map(({ title }) => title);
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

/** What `test/ADVISORIES.md` holds. */
export function toAdvisoriesMarkdown(rows: readonly AdvisoryCoverage[]): string {
  const lines = rows.map(({ advisory: { numbers, was, instead, by }, tests, mutants }) => {
    const files = [...new Set([...tests.values()].flat())];
    const cells = [
      numbers.join('<br>'),
      was,
      instead ?? files.join('<br>'),
      by === undefined ? mutants.join('<br>') : `none: it is ${by} that keeps it out`,
    ];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return `# Weaknesses that others were published with, and what holds here

Made by \`npm run statements\` from \`test/statements/advisories.ts\`, the titles of the tests and the guards of the mutants. Where
there is no test, it says why.

| | what it was | tests | mutants |
| --- | --- | --- | --- |
${lines.join('\n')}
`;
}
