import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseUrl } from '../../../src/oci/url.ts';
import { judgeRealm } from '../../../src/upstream/realm.ts';

const SRC = join(import.meta.dirname, '../../../src');
/** Two bytes of Latin-1 that are one character of UTF-8, which no host may begin with. */
const MISREAD = 'https://X\u00cd\u00a0/';

test('an address is what can be parsed, relative or not', () => {
  expect(parseUrl('https://a.test/x')?.href).toBe('https://a.test/x');
  expect(parseUrl('/y', new URL('https://a.test/x'))?.href).toBe('https://a.test/y');
  expect(['/y', '', 'https://', MISREAD].map((text) => parseUrl(text))).toEqual([undefined, undefined, undefined, undefined]);
});

test('what Node takes for UTF-8 once it is compiled is refused, however often it comes', () => {
  const hub = new URL('https://registry-1.docker.io');
  const verdicts = new Set<string>();
  for (let left = 100_000; left > 0; left--) verdicts.add(judgeRealm(MISREAD, hub, []).kind);
  expect([...verdicts]).toEqual(['refused']);
});

test('nobody asks URL.canParse', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const asking = files.filter((name) => /URL\.canParse\(/.test(readFileSync(join(SRC, name), 'utf8')));
  expect(asking).toEqual([]);
});
