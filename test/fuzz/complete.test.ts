import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { allParsers } from './parsers.ts';

const SRC = join(import.meta.dirname, '../../src');
/** Rooms into which bytes come from outside. */
const ROOMS = ['oci', 'http', 'auth', 'admission', 'pull', 'push', 'upstream', 'config', 'observe', 'events', 'official'];
/** What takes text or bytes apart is called so, as a rule. */
const EXPORTED = /^export (?:async )?(?:function\*?|const) ((?:parse|read|split|decode)(?:[A-Z]\w*)?)\b/gm;

/** Read by nobody's hand but ours, or by way of another that is fuzzed. */
const EXCUSED: Readonly<Record<string, string>> = {
  readBody: 'takes bytes in, and looks at none',
  readWhole: 'takes bytes in, and looks at none',
  readHeld: 'reads a file by readManifest',
  readOr: 'reads no text: an answer for when a record cannot be had',
  splitHolder: 'takes a name of ours apart, whose parts were parsed when it was made',
  readFirst: 'finds the file; what stands in it is read by loadConfig',
};

test('whatever takes a stranger’s bytes apart is fuzzed, or says why not', async () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && ROOMS.includes(name.split('/')[0] ?? ''),
  );
  const found = files.flatMap((name) =>
    [...readFileSync(join(SRC, name), 'utf8').matchAll(EXPORTED)].map(([, it]) => it ?? ''),
  );
  const covered = new Set((await allParsers()).flatMap(({ covers }) => covers));
  expect(found.length).toBeGreaterThan(30);
  expect([...new Set(found)].filter((name) => !covered.has(name) && EXCUSED[name] === undefined).toSorted()).toEqual([]);
  expect(
    Object.keys(EXCUSED).filter((name) => !found.includes(name)),
    'excuses for what is not there',
  ).toEqual([]);
});

test('a parser that covers a function says so of one that there is', async () => {
  const text = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(SRC, name), 'utf8'))
    .join('\n');
  const named = (await allParsers()).flatMap(({ covers }) => covers);
  const exported = (name: string): boolean => new RegExp(`export (?:async )?(?:function|const) ${name}\\b`).test(text);
  expect([...new Set(named)].filter((name) => !exported(name))).toEqual([]);
});
