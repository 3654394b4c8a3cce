import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { optionsTable } from '../../../src/config/options-table.ts';

const README = new URL('../../../README.md', import.meta.url);
const MARKERS = /(<!-- options:start -->\n)[\s\S]*?(<!-- options:end -->)/;

function renew(text: string): string {
  return text.replace(MARKERS, (_, start: string, end: string) => `${start}${optionsTable()}\n${end}`);
}

/** `npm run readme` sets README=write; without it the table must be there as it would be written. */
test('README holds the table of all options', () => {
  const text = existsSync(README) ? readFileSync(README, 'utf8') : '';
  const renewed = renew(text);
  const write = process.env['README'] === 'write' && renewed !== text;
  if (write) writeFileSync(README, renewed);
  expect(write ? renewed : text, 'run: npm run readme').toBe(renewed);
});

test('it is written between the markers, whatever stood there', () => {
  const whole = `a\n<!-- options:start -->\n${optionsTable()}\n<!-- options:end -->\nb`;
  expect(renew('a\n<!-- options:start -->\n<!-- options:end -->\nb')).toBe(whole);
  expect(renew('a\n<!-- options:start -->\nold\n\n<!-- options:end -->\nb')).toBe(whole);
});

test('the table has a row for each key, with type, default and description', () => {
  const table = optionsTable();
  expect(table).toContain(
    '| `http.addr` | address | `:5000` | Where to listen; without a host on every address; port 0 picks a free one. |',
  );
  expect(table).toContain('| `defaults.stale` | duration or forever | `forever` |');
  expect(table).toContain('| `routes[].match` | list of pattern |');
  expect(table).toContain('| `upstreams.NAME.url` | URL |');
});

test('the default of a map or a list is not [object Object]', () => {
  expect(optionsTable()).not.toMatch(/\[object |undefined|``/);
});
