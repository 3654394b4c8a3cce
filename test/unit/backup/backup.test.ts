import { beforeEach, expect, test } from 'vitest';
import { backUp, type BackupDeps, type BackupStep } from '../../../src/backup/backup.ts';
import { backupLayout } from '../../../src/backup/layout.ts';
import { hashFile, readLines } from '../../../src/backup/lines.ts';
import { readMarker } from '../../../src/backup/marker.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryDisk, type MemoryDisk } from '../../fakes/memory-disk.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

const LAYOUT = backupLayout('/backup');
const content = digestOf(Buffer.from('content'));
const MANY = Array.from({ length: 5000 }, (_, at) => `line ${at} ü ${'x'.repeat(at % 200)}`);

let disk: MemoryDisk;
let seed = 0;

beforeEach(async () => {
  disk = createMemoryDisk();
  await disk.makeDirectory('/backup');
});

async function* each(lines: readonly string[]): AsyncGenerator<string> {
  for (const line of lines) yield await Promise.resolve(line);
}

async function run(changes: Partial<BackupDeps> = {}): Promise<BackupStep[]> {
  const steps: BackupStep[] = [];
  const deps: BackupDeps = {
    clock: createFakeClock(1_700_000_000_000),
    disk,
    random: createSeededRandom((seed += 1)),
    layout: LAYOUT,
    lines: () => each(MANY),
    linesLayout: 1,
    linkOf: (line) => (line.startsWith('line 7 ') ? { repository: 'a', digest: content, size: 7, hosted: true } : undefined),
    pathOf: () => '/here',
    take: async () => ({ kind: 'linked', size: 7 }),
    check: () => Promise.resolve(),
    writtenBy: 'entrepot 0.1.0',
    ...changes,
  };
  for await (const step of backUp(deps, false)) steps.push(step);
  return steps;
}

const marker = () => readMarker(disk, LAYOUT, 1);

test('the metadata are there as they were told, with their hash, and backup.json says where', async () => {
  expect((await run()).at(-1)).toMatchObject({ kind: 'backed-up', lines: 5000, done: 5000, linked: 1, bytes: 7, lost: 0 });
  const found = await marker();
  if (found === 'none' || 'fault' in found) throw new Error('no backup');
  expect(found).toMatchObject({ backup: 1, layout: 1, lines: 5000, at: '2023-11-14T22:13:20.000Z', cached: false });
  const path = LAYOUT.metadata(found.metadata);
  expect(await hashFile(disk, path)).toBe(found.sha256);
  const lines: string[] = [];
  for await (const line of readLines(disk, path)) lines.push(line);
  expect(lines).toEqual(MANY);
  expect(disk.openFiles()).toEqual([]);
});

test('until its content is there nothing says that a backup was made', async () => {
  const take = async () => Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }));
  await expect(run({ take })).rejects.toThrow('ENOSPC');
  expect(await marker()).toBe('none');
  await run();
  const first = await marker();
  await expect(run({ take })).rejects.toThrow('ENOSPC');
  // The earlier one stands, and so do its metadata.
  expect(await marker()).toEqual(first);
  if (first === 'none' || 'fault' in first) throw new Error('no backup');
  expect(await hashFile(disk, LAYOUT.metadata(first.metadata))).toBe(first.sha256);
});

test('once content may be collected it goes no further', async () => {
  await expect(run({ check: () => Promise.reject(new Error('the turn was lost')) })).rejects.toThrow('the turn was lost');
  expect(await marker()).toBe('none');
});

test('[promise 6] whatever a power cut comes after, what is named is there', async () => {
  for (let calls = 0; calls < 60; calls += 1) {
    disk = createMemoryDisk();
    await disk.makeDirectory('/backup');
    await disk.syncDirectory('/');
    await run();
    disk.stopAfter(calls);
    await run().catch(() => undefined);
    disk.crash({ random: createSeededRandom(calls) });
    const found = await marker();
    if (found === 'none' || 'fault' in found) throw new Error(`after ${calls} calls: ${JSON.stringify(found)}`);
    expect(await hashFile(disk, LAYOUT.metadata(found.metadata))).toBe(found.sha256);
  }
});

test('[CVE-2023-25153] [GHSA-259w-8hf6-59c2] a line that never ends is not read into memory', async () => {
  const file = await disk.open('/backup/lines', 'create');
  await file?.write(Buffer.from(`short\n${'x'.repeat(2_000_000)}`), 0);
  await file?.close();
  const read: string[] = [];
  const reading = (async () => {
    for await (const line of readLines(disk, '/backup/lines', 1_000_000)) read.push(line);
  })();
  await expect(reading).rejects.toThrow('it has a line of more than 1000000 characters');
  expect(read).toEqual(['short']);
});
