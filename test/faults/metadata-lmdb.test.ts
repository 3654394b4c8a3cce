import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openLmdb } from '../../src/metadata/lmdb.ts';
import { nodeDisk } from '../../src/system/node-disk.ts';
import { text } from '../conformance/metadata-store.ts';
import { buildSources, type BuiltSources } from '../fakes/built-sources.ts';
import { sized } from '../scenarios/acceptance.ts';

const KILLS = sized(8, 100);

describe('LMDB and real processes', () => {
  let built: BuiltSources;
  let directory: string;
  const children = new Set<ChildProcess>();

  beforeAll(() => {
    built = buildSources('metadata/lmdb.ts', 'metadata/records.ts', 'system/node-disk.ts');
  });
  afterAll(() => built.clean());
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'entrepot-lmdb-faults-'));
  });
  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    children.clear();
    await rm(directory, { recursive: true, force: true });
  });

  const openHere = (): ReturnType<typeof openLmdb> =>
    openLmdb({ directory, disk: nodeDisk, remoteFileSystem: async () => undefined });

  function start(job: string, name = ''): { child: ChildProcess; lines: AsyncIterable<string>; ended: Promise<unknown[]> } {
    const args = [built.path('metadata/lmdb.ts'), built.path('metadata/records.ts'), directory, job, name];
    const child = spawn(process.execPath, [join(import.meta.dirname, 'lmdb-child.mjs'), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.add(child);
    return { child, lines: createInterface({ input: child.stdout }), ended: once(child, 'exit') };
  }

  async function runAll(job: string, count: number): Promise<string[][]> {
    const runs = Array.from({ length: count }, (_, at) => start(job, `child-${at}`));
    const said = await Promise.all(runs.map(({ lines }) => all(lines)));
    for (const { ended } of runs) expect((await ended)[0]).toBe(0);
    return said;
  }

  test('two processes that count together lose no count', async () => {
    await runAll('count', 2);
    const store = await openHere();
    expect(text(await store.get('shared', ['tags', 'counter']))).toBe('1000');
    await store.close();
  }, 60_000);

  test('two processes never hold a lease under one fence', async () => {
    const fences = (await runAll('lease', 2)).map((lines) => lines.filter((line) => line !== 'ready').map(Number));
    expect(fences.flat()).toHaveLength(200);
    expect(new Set(fences.flat()).size).toBe(200);
    for (const own of fences) expect(own).toEqual(own.toSorted((a, b) => a - b));
  }, 60_000);

  test(
    `a writer killed ${KILLS} times loses nothing it acknowledged, and tears no commit`,
    async () => {
      let acknowledged = 0;
      let durable = 0;
      for (let kill = 0; kill < KILLS; kill++) {
        const { child, lines, ended } = start('write');
        let left = 5 + (kill % 20) * 3;
        for await (const line of lines) {
          const [word, value] = line.split(' ');
          if (word === 'acknowledged') acknowledged = Number(value);
          if (word === 'durable') durable = Number(value);
          if (--left === 0) child.kill('SIGKILL');
        }
        expect((await ended)[1]).toBe('SIGKILL');
        const store = await openHere();
        const first = text(await store.get('pair', ['tags', 'a']));
        expect(text(await store.get('pair', ['links', 'b']))).toBe(first);
        expect((await store.get('pair', ['blob', 'fat']))?.length).toBe(Number(first) % 20_000);
        expect(Number(first)).toBeGreaterThanOrEqual(Math.max(acknowledged, durable));
        await store.close();
      }
      expect(durable).toBeGreaterThan(0);
    },
    sized(60_000, 600_000),
  );
});

async function all(lines: AsyncIterable<string>): Promise<string[]> {
  const said: string[] = [];
  for await (const line of lines) said.push(line);
  return said;
}
