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
const file = (await import(pathToFileURL(join(BENCH, 'side/record.mjs')).href)) as RecordFile;

/** Without what a table's columns are padded with. */
const plain = (text: string): string => text.replaceAll(/-{3,}/gu, '---').replaceAll(/ {2,}/gu, ' ');

describe("the benchmark's record", () => {
  test('is what RESULTS.md is made of', () => {
    expect(plain(file.rendered(file.readRecord()))).toBe(plain(readFileSync(join(BENCH, 'RESULTS.md'), 'utf8')));
  });

  test('yields the ratio of two medians of one row, and nothing of any other', () => {
    const figures = { entrepot: { median: 3 }, peer: { median: 4 } };
    const record = { rows: [{ what: 'work, /s', figures }] };
    expect(file.recordedRatio(record, 'work, /s', 'entrepot', 'peer')).toBe(0.75);
    expect(() => file.recordedRatio(record, 'work, s', 'entrepot', 'peer')).toThrow('no entrepot beside peer of "work, s"');
    expect(() => file.recordedRatio(record, 'work, /s', 'entrepot', 'other')).toThrow('no entrepot beside other');
  });
});
