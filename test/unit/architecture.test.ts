import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { breachesOf } from './architecture/check.ts';
import { readSource } from './architecture/source.ts';
import { EXCEPTIONS, MAY_IMPORT, NONDETERMINISM, OWNERS } from './architecture/table.ts';

const SRC = join(import.meta.dirname, '../../src');

function sources(): string[] {
  return readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts'))
    .sort();
}

function breaches(path: string, text: string): string[] {
  return breachesOf(readSource(path, text));
}

describe('src/', () => {
  test('keeps to the import table, its libraries to their owners, time and chance to system', () => {
    expect(sources().flatMap((path) => breaches(path, readFileSync(join(SRC, path), 'utf8')))).toEqual([]);
  });

  test('has every file that the table names', () => {
    const files = new Set(sources());
    const later = new Set(['push', 'evict', 'auth', 'events']);
    const listed = [...Object.values(MAY_IMPORT), ...Object.values(OWNERS)].flat().filter((entry) => entry.endsWith('.ts'));
    const missing = listed.filter((entry) => !files.has(entry) && !later.has(entry));
    expect(missing).toEqual([]);
  });

  test('has every exception that is made for it', () => {
    for (const { file, what } of EXCEPTIONS) {
      const { code } = readSource(file, readFileSync(join(SRC, file), 'utf8'));
      expect(code.match(NONDETERMINISM[what] ?? /$^/), `${file} no longer needs its exception`).not.toBeNull();
    }
  });
});

describe('the checker finds what is planted', () => {
  test.each([
    ['pull/x.ts', "import { a } from '../upstream/client.ts';", 'imports upstream/client.ts, which pull may not'],
    ['pull/x.ts', "import type { A } from '../upstream/client.ts';", 'imports upstream/client.ts, which pull may not'],
    ['pull/x.ts', "import {\n  a,\n  type B,\n} from '../metadata/lmdb.ts';", 'imports metadata/lmdb.ts, which pull may not'],
    ['pull/x.ts', "export * from '../http/app.ts';", 'imports http/app.ts, which pull may not'],
    ['pull/x.ts', "import '../config/load.ts';", 'imports config/load.ts, which pull may not'],
    ['pull/x.ts', "const x = await import('../config/load.ts');", 'imports config/load.ts, which pull may not'],
    ['pull/x.ts', "type A = import('../config/load.ts').A;", 'imports config/load.ts, which pull may not'],
    ['config/schema/x.ts', "import { a } from '../../system/clock.ts';", 'imports system/clock.ts, which config may not'],
    ['config/schema/x.ts', "import { a } from '../../../test/x.ts';", 'imports ../test/x.ts, which config may not'],
    ['compose.ts', "import { a } from '../test/fakes/x.ts';", 'imports ../test/fakes/x.ts, which compose.ts may not'],
    ['oci/x.ts', "import { a } from '../system/clock.ts';", 'imports system/clock.ts, which oci may not'],
    ['oci/x.ts', "import { a } from 'node:path';", 'imports node:path, which oci may not'],
    ['http/x.ts', "import type { Clock } from '../system/clock.ts';", 'imports system/clock.ts, which http may not'],
    ['http/x.ts', "import { a } from '../pull/fill.ts';", 'imports pull/fill.ts, which http may not'],
    ['http/x.ts', "import { a } from '../pull/pull.ts/../fill.ts';", 'imports pull/fill.ts, which http may not'],
    ['pull/x.ts', "import { Hono } from 'hono';", 'imports hono, which pull may not'],
    ['pull/x.ts', "import { x } from 'hono/utils/y';", 'imports hono/utils/y, which pull may not'],
    [
      'compose.ts',
      "import { x } from '@hono/node-server/conninfo';",
      'imports @hono/node-server/conninfo, which compose.ts may not',
    ],
    ['http/x.ts', "import { request } from 'undici';", 'imports undici, which http may not'],
    ['blobs/x.ts', "import { open } from 'node:fs/promises';", 'imports node:fs/promises, which blobs may not'],
    ['blobs/x.ts', "import { open } from 'fs';", 'imports fs, which blobs may not'],
    ['pull/x.ts', "import { setTimeout } from 'node:timers/promises';", 'imports node:timers/promises, which pull may not'],
    ['http/x.ts', "import pino from 'pino';", 'imports pino, which http may not'],
    ['http/x.ts', "import { Registry } from 'prom-client';", 'imports prom-client, which http may not'],
    ['commands/x.ts', "import { parse } from 'yaml';", 'imports yaml, which commands may not'],
    ['pull/x.ts', "import { z } from 'zod';", 'imports zod, which pull may not'],
    ['metadata/records.ts', "import { open } from 'lmdb';", 'imports lmdb, which metadata may not'],
    ['metadata/lmdb.ts', "import { Redis } from 'ioredis';", 'imports ioredis, which metadata may not'],
    ['http/x.ts', "import { LRUCache } from 'lru-cache';", 'imports lru-cache, which http may not'],
    ['pull/lookup.ts', "import picomatch from 'picomatch';", 'imports picomatch, which pull may not'],
    ['pull/x.ts', "import { retry } from 'cockatiel';", 'imports cockatiel, which pull may not'],
    ['upstream/x.ts', "import { jwtVerify } from 'jose';", 'imports jose, which upstream may not'],
    ['pull/x.ts', "import x from 'lodash';", 'imports lodash, which pull may not'],
    ['pull/x.ts', 'const t = setTimeout(f, 1);', 'uses setTimeout, which only system may'],
    ['pull/x.ts', 'globalThis.setInterval(f, 1);', 'uses setInterval, which only system may'],
    ['pull/x.ts', 'AbortSignal.timeout(5)', 'uses AbortSignal.timeout, which only system may'],
    ['compose.ts', 'const at = Date.now();', 'uses Date.now, which only system may'],
    ['pull/x.ts', 'const f = { now: Date.now };', 'uses Date.now, which only system may'],
    ['pull/x.ts', 'const at = `at ${Date.now()}`;', 'uses Date.now, which only system may'],
    ['pull/x.ts', 'const at = new Date();', 'uses new Date(), which only system may'],
    ['pull/x.ts', 'performance\n  .now()', 'uses performance.now, which only system may'],
    ['pull/x.ts', 'Math.random()', 'uses Math.random, which only system may'],
    ['pull/x.ts', 'const id = randomUUID();', 'uses random bytes, which only system may'],
    ['system/x.ts', "console.log('x');", 'writes to the console; the log is observe/log.ts'],
    ['pull/x.ts', 'export default 1;', 'has a default export'],
    ['pull/x.ts', 'export { a as default };', 'has a default export'],
    ['pull/x.ts', 'try {\n} catch {}', 'catches and says nothing'],
    ['pull/x.ts', 'try { a(); } catch (error) {\n}', 'catches and says nothing'],
    ['pull/x.ts', 'p.catch(() => {});', 'catches and says nothing'],
    ['pull/utils.ts', '', 'is named "utils", which says nothing of what is in it'],
    ['helpers/x.ts', '', 'is named "helpers", which says nothing of what is in it'],
    ['pull/fill-manager.ts', '', 'is named "manager", which says nothing of what is in it'],
    ['pull/service.ts', '', 'is named "service", which says nothing of what is in it'],
    ['pull/common/x.ts', '', 'is named "common", which says nothing of what is in it'],
    ['pull/misc.ts', '', 'is named "misc", which says nothing of what is in it'],
    ['proxy/x.ts', '', 'is in proxy, which the import table does not know'],
  ])('%s: %j', (path, text, breach) => {
    expect(breaches(path, text).join('\n')).toContain(breach);
  });

  test('and says in which line', () => {
    const text = "/* a\n b */\nimport { a } from './a.ts';\nimport {\n  b,\n} from '../http/b.ts';\n\nsetTimeout(a, 1);\n";
    expect(breaches('pull/x.ts', text)).toEqual([
      'src/pull/x.ts:6 imports http/b.ts, which pull may not',
      'src/pull/x.ts:8 uses setTimeout, which only system may',
    ]);
  });
});

describe('the checker lets pass', () => {
  test.each([
    [
      'pull/x.ts',
      "import { a } from './fill.ts';\nimport type { B } from '../blobs/blob-store.ts';\nimport { c } from '../oci/digest.ts';",
    ],
    ['http/x.ts', "import type { Reply } from '../pull/reply.ts';\nimport { Hono } from 'hono';"],
    ['commands/serve.ts', "import { a } from '../config/load.ts';\nimport { b } from '../http/app.ts';"],
    ['compose.ts', "import { a } from './metadata/lmdb.ts';"],
    ['system/node-disk.ts', "import { open } from 'node:fs/promises';\nsetTimeout(f, 1); Date.now(); Math.random();"],
    ['metadata/lmdb.ts', "import { open } from 'lmdb';"],
    ['pull/x.ts', '// setTimeout(f, 1); console.log(1)\n/* Date.now() */'],
    ['pull/x.ts', "const text = 'setTimeout(f) Date.now() export default';"],
    ['pull/x.ts', 'const text = `Math.random() and ${name}`;'],
    ['pull/x.ts', String.raw`const quote = /["'` + '`' + String.raw`]/; const text = 'Date.now()';`],
    ['pull/x.ts', "const half = a / b; const text = 'Date.now()'; const c = d / e;"],
    ['pull/x.ts', 'const text = new Date(at).toISOString();'],
    ['pull/x.ts', 'clock.now(); mySetTimeout(1);'],
    ['pull/x.ts', 'try { a(); } catch {\n  // Gone already, which is what was wanted.\n}'],
    ['pull/x.ts', 'p.catch(() => undefined);'],
    ['pull/x.ts', 'p.catch(() => {}); // The caller hears of it.'],
    ['pull/x.ts', '// The caller hears of it.\np.catch(() => {});'],
    ['pull/x.ts', "const bytes = Buffer.from('hono'); const o = { from: 'undici' };"],
    ['pull/serviceable.ts', ''],
  ])('%s: %j', (path, text) => {
    expect(breaches(path, text)).toEqual([]);
  });
});
