/** Rows as columns that line up, two blanks between them; the last column is not padded. */
export function printTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)));
  const lines = rows.map((row) =>
    row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join('  '),
  );
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

/** For `--json`: one document, or one line of a stream. */
export function printJson(value: unknown, indent?: number): string {
  return `${JSON.stringify(value, undefined, indent)}\n`;
}
