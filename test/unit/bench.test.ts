import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';

interface Row {
  readonly what: string;
  readonly figures?: Readonly<Record<string, { readonly median: number }>>;
}

interface RecordFile {
  readRecord(): { readonly rows: readonly Row[] };
  rendered(record: unknown): string;
  recordedRatio(record: unknown, what: string, name: string, peer: string): number;
}

const BENCH = join(import.meta.dirname, '../bench');
const costs = (await import(pathToFileURL(join(BENCH, 'side/costs.mjs')).href)) as {
  withCosts(readme: string, record: unknown): string;
};
const file = (await import(pathToFileURL(join(BENCH, 'side/record.mjs')).href)) as RecordFile;

/** Without what a table's columns are padded with. */
const plain = (text: string): string => text.replaceAll(/-{3,}/gu, '---').replaceAll(/ {2,}/gu, ' ');

describe("the benchmark's record", () => {
  test('is what RESULTS.md is made of', () => {
    expect(plain(file.rendered(file.readRecord()))).toBe(plain(readFileSync(join(BENCH, 'RESULTS.md'), 'utf8')));
  });

  test('is what README says that it costs', () => {
    const readme = readFileSync(join(BENCH, '../../README.md'), 'utf8');
    expect(readme).toMatch(/^\| its memory at rest, MiB \| \d+ \|/m);
    expect(costs.withCosts(readme, file.readRecord())).toBe(readme);
  });

  test('shows a ratio without a goal as neither met nor missed', () => {
    const rows = [
      { what: 'beside a peer', value: 0.5, sign: '≥', than: 0.45 },
      { what: 'beside a bare Node', value: 0.5 },
    ];
    const table = file.rendered({ entrepot: '0.1.0', machine: 'some', rounds: 5, rows });
    expect(table).toContain('| beside a peer | **0.500**, goal ≥ 0.45 | met |');
    expect(table).toContain('| beside a bare Node | **0.500** |  |');
  });

  test('yields the ratio of two medians of one row, and nothing of any other', () => {
    const figures = { entrepot: { median: 3 }, peer: { median: 4 } };
    const record = { rows: [{ what: 'work, /s', figures }] };
    expect(file.recordedRatio(record, 'work, /s', 'entrepot', 'peer')).toBe(0.75);
    expect(() => file.recordedRatio(record, 'work, s', 'entrepot', 'peer')).toThrow('no entrepot beside peer of "work, s"');
    expect(() => file.recordedRatio(record, 'work, /s', 'entrepot', 'other')).toThrow('no entrepot beside other');
  });
});
