import type { Results, Verdicts } from './conformance.ts';

/** The results of several runs side by side, by the name of each, as a Markdown table. */
export function conformanceTable(runs: Readonly<Record<string, Results>>): string {
  const all = Object.values(runs);
  const counts = all.map(({ passed, failed }) =>
    failed.length === 0 ? `${passed} passed` : `${passed} passed, ${failed.length} failed`,
  );
  return table([
    ['', ...Object.keys(runs)],
    ['cases', ...counts],
    ...rows(all.map(({ apis }) => apis)),
    ...rows(all.map(({ data }) => data)),
  ]);
}

/** A word for what the suite says; what a version leaves out, or a run never came to, is a dash. */
function word(verdict: string | undefined): string {
  return verdict === undefined || ['Disabled', 'Unknown'].includes(verdict) ? '–' : verdict.toLowerCase();
}

/** A row for everything that any of the runs tried. */
function rows(columns: readonly Verdicts[]): string[][] {
  const names = [...new Set(columns.flatMap((column) => Object.keys(column)))].sort();
  return names.map((name) => [name, ...columns.map((column) => word(column[name]))]);
}

function table([head = [], ...body]: readonly (readonly string[])[]): string {
  const widths = head.map((_, at) => Math.max(3, ...[head, ...body].map((row) => row[at]!.length)));
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}
