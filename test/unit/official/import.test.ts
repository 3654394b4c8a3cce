import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { BlobStore } from '../../../src/blobs/blob-store.ts';
import { openDiskBlobStore } from '../../../src/blobs/disk.ts';
import { createTake } from '../../../src/blobs/take.ts';
import { createRecords, HOSTED, type Records } from '../../../src/metadata/records.ts';
import { openOfficialDirectory } from '../../../src/official/directory.ts';
import { importAll, type ImportStep } from '../../../src/official/import.ts';
import { createTakeover } from '../../../src/official/takeover.ts';
import { nodeDisk } from '../../../src/system/node-disk.ts';
import { systemRandom } from '../../../src/system/random.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { buildImage } from '../../fakes/images.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { officialData, type OfficialData } from '../../fakes/official-data.ts';

const [app, tool] = [buildImage({ layers: [3000] }), buildImage({ layers: [500], label: 'tool' })];
const clock = createFakeClock(1_700_000_000_000);

let data: OfficialData;
let blobs: BlobStore;
let records: Records;
/** Paths that cannot be opened, and how. */
let faults: ReadonlyMap<string, string>;
let checked: () => Promise<void>;

beforeEach(async () => {
  data = officialData(await mkdtemp(join(tmpdir(), 'entrepot-import-')));
  await data.image('team/app', 'v1', app);
  await data.image('tool', 'latest', tool);
  blobs = await openDiskBlobStore({ disk: nodeDisk, random: systemRandom, root: data.root, version: '0.0.0' });
  records = createRecords(createMemoryMetadata(), { clock });
  faults = new Map();
  checked = () => Promise.resolve();
});
afterEach(async () => {
  await records.close();
  await blobs.close();
  await rm(data.root, { recursive: true });
});

async function run(dryRun = false): Promise<ImportStep[]> {
  const failing = <T>(path: string, work: () => Promise<T>): Promise<T> => {
    const code = faults.get(path);
    return code === undefined ? work() : Promise.reject(Object.assign(new Error(`${code}: ${path}`), { code }));
  };
  const disk = {
    ...nodeDisk,
    isFile: (path: string) => failing(path, () => nodeDisk.isFile(path)),
    list: (path: string) => failing(path, () => nodeDisk.list(path)),
  };
  const directory = openOfficialDirectory(disk, data.root);
  const names = { registry: 'local', upstream: HOSTED, needed: 'nothing' } as const;
  const take = createTake({ disk, blobs, random: systemRandom });
  const takeover = createTakeover({ clock, blobs, records, directory, take, names });
  const steps: ImportStep[] = [];
  const deps = { clock, blobs, records, directory, takeover, names, whyNot: () => undefined, check: () => checked() };
  for await (const step of importAll(deps, { dryRun, own: true })) steps.push(step);
  return steps;
}

test('one file that cannot be read is named, everything else is taken, and another run ends it', async () => {
  faults = new Map([[data.dataOf(app.layers[0]!.digest), 'EACCES']]);
  const [first, second, ...more] = await run();
  expect(first).toMatchObject({ kind: 'not-taken', what: 'blob', repository: 'team/app', reference: app.layers[0]!.digest });
  expect(second).toMatchObject({ kind: 'imported', finished: false, notTaken: 1, tags: 2, manifests: 2, blobs: 3 });
  expect(more).toEqual([]);
  expect(await records.official.imported()).toBeUndefined();
  faults = new Map();
  expect(await run()).toMatchObject([{ kind: 'imported', finished: true, notTaken: 0, linked: 1, known: 7 }]);
  expect(await records.official.imported()).toBe(clock.now());
});

test('one directory that cannot be read likewise', async () => {
  faults = new Map([[data.at('repositories/team/'), 'EIO']]);
  const steps = await run();
  expect(steps).toMatchObject([
    { kind: 'not-taken', what: 'repository', repository: 'team/' },
    { kind: 'imported', finished: false, notTaken: 1, tags: 1 },
  ]);
  faults = new Map();
  expect((await run()).at(-1)).toMatchObject({ finished: true, tags: 2 });
});

test('a disk that is full ends the import, which can be begun again', async () => {
  faults = new Map([[data.dataOf(app.layers[0]!.digest), 'ENOSPC']]);
  await expect(run()).rejects.toMatchObject({ code: 'ENOSPC' });
  faults = new Map();
  expect((await run()).at(-1)).toMatchObject({ finished: true, notTaken: 0 });
});

test('no more is taken once another may remove it', async () => {
  checked = () => Promise.reject(new Error('the turn was lost'));
  await expect(run()).rejects.toThrow('the turn was lost');
  expect(await records.repositories(undefined, 10)).toEqual([]);
});

test('what was deleted here before is not taken, and no fault', async () => {
  await records.official.withhold('local/tool', 'latest', 1);
  await records.official.withhold('local/team/app', app.top.digest, 1);
  const steps = await run();
  expect(steps).toMatchObject([{ kind: 'imported', finished: true, notTaken: 0, tags: 0, manifests: 1 }]);
  expect(await records.hostedTags('local/team/app', undefined, 10)).toEqual([]);
});

test('a dry run changes nothing', async () => {
  expect((await run(true)).at(-1)).toMatchObject({ kind: 'imported', dryRun: true, tags: 2, manifests: 2, blobs: 4 });
  expect(await records.repositories(undefined, 10)).toEqual([]);
  expect(await records.official.imported()).toBeUndefined();
});

test('a link whose bytes were lost here is taken again', async () => {
  await run();
  await blobs.remove(tool.layers[0]!.digest);
  expect(await run()).toMatchObject([{ kind: 'imported', linked: 1, notTaken: 0 }]);
  const held = await blobs.open(tool.layers[0]!.digest);
  expect(held?.size).toBe(tool.layers[0]!.size);
  held?.close();
});
