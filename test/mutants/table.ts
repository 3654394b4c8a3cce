import type { Mutant } from './mutant.ts';
import type { Verdict } from './runner.ts';

/** What became of each mutant, as a table in Markdown: a row as soon as it is known, and in the end all of them with a count. */
export interface Table {
  /** `sound`: of its tests without the edit. */
  add(title: string, mutant: Mutant, sound: Verdict, verdict?: Verdict): void;
  /** In the order of `titles`. */
  print(titles: readonly string[]): void;
}

/** What a verdict with the edit says about the mutant. */
const OUTCOMES: Readonly<Record<Verdict['kind'], string>> = {
  failed: 'killed',
  hung: 'hung',
  passed: 'SURVIVED',
  broken: 'BROKEN',
};

export function createTable(write: (line: string) => void): Table {
  const rows: { readonly title: string; readonly outcome: string; readonly line: string }[] = [];

  return {
    add(title, { guards }, sound, verdict) {
      const outcome = verdict === undefined ? 'UNSOUND' : OUTCOMES[verdict.kind];
      const line = `| ${title} | ${guards.join(', ')} | ${outcome} | ${reasonOf(verdict ?? sound)} |`;
      rows.push({ title, outcome, line });
      write(line);
    },

    print(titles) {
      write('\n| mutant | guards | outcome | by |\n| --- | --- | --- | --- |');
      for (const { line } of rows.toSorted((a, b) => titles.indexOf(a.title) - titles.indexOf(b.title))) write(line);
      const count = (outcome: string): string => `${rows.filter((row) => row.outcome === outcome).length} ${outcome}`;
      write(`\n${[...Object.values(OUTCOMES), 'UNSOUND'].map(count).join(', ')}`);
    },
  };
}

/** The first line of it. */
function reasonOf(verdict: Verdict): string {
  const reason = verdict.kind === 'failed' ? verdict.by : verdict.kind === 'broken' ? verdict.why : '';
  return reason.trim().split('\n', 1)[0] ?? '';
}
