// What was measured last, as results.json beside RESULTS.md has it: rows of { what, figures: { name: { median, spread } } }, of
// { what, value, sign, than }, the last two where there is a goal, and of { what, said } where nothing was measured. RESULTS.md is
// made of it, and so is a table of README's (costs.mjs).
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { withCosts } from './costs.mjs';

const at = (file) => new URL(`../${file}`, import.meta.url).pathname;

export const readRecord = () => JSON.parse(readFileSync(at('results.json'), 'utf8'));

/** Writes all three files. Where the record has a row already, that one is replaced; the others stay. */
export function writeRecord({ rows, ...measured }) {
  const fresh = new Map(rows.map((row) => [row.what, row]));
  const kept = readRecord().rows.map((row) => fresh.get(row.what) ?? row);
  const known = new Set(kept.map(({ what }) => what));
  const record = { ...measured, rows: [...kept, ...rows.filter(({ what }) => !known.has(what))] };
  writeFileSync(at('results.json'), JSON.stringify(record));
  writeFileSync(at('RESULTS.md'), rendered(record));
  execFileSync('npx', ['--no-install', 'oxfmt', at('results.json'), at('RESULTS.md')]);
  const readme = at('../../README.md');
  writeFileSync(readme, withCosts(readFileSync(readme, 'utf8'), record));
}

export function rendered({ entrepot, machine, rounds, rows }) {
  return [
    '# What it does beside others',
    '',
    `Written by \`npm run bench -- --write\`; entrepot ${entrepot}, ${machine}; medians of ${rounds} alternating rounds, spread in brackets.`,
    '',
    '| what | figure | |',
    '| --- | --- | --- |',
    ...rows.map((row) => `| ${row.what} | ${figureOf(row)} | ${verdictOf(row)} |`),
    '',
  ].join('\n');
}

function figureOf({ figures, value, sign, than, said }) {
  if (figures === undefined) return said ?? `**${shown(value)}**${sign === undefined ? '' : `, goal ${sign} ${than}`}`;
  return Object.entries(figures)
    .map(
      ([name, { median, spread }]) =>
        `${name} ${shown(median)}${spread === undefined ? '' : ` (± ${(spread / 2).toFixed(0)} %)`}`,
    )
    .join(', ');
}

function verdictOf({ value, sign, than }) {
  if (sign === undefined) return '';
  return (sign === '≥' ? value >= than : value <= than) ? 'met' : 'missed';
}

const shown = (value) => (value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3));

/** The ratio of two medians that were recorded side by side; throws where they were not. `what`: the figure's row. */
export function recordedRatio({ rows }, what, name, peer) {
  const figures = rows.find((row) => row.what === what)?.figures;
  if (figures?.[name] === undefined || figures[peer] === undefined)
    throw new Error(`test/bench/results.json has no ${name} beside ${peer} of "${what}"`);
  return figures[name].median / figures[peer].median;
}
