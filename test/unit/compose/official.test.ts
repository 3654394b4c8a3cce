import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { BlobStore } from '../../../src/blobs/blob-store.ts';
import { openDiskBlobStore } from '../../../src/blobs/disk.ts';
import { serveOfficial, type Served } from '../../../src/compose/official.ts';
import type { Storage } from '../../../src/compose/storage.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { collect, GRACE_MS, type CollectStep } from '../../../src/evict/collect.ts';
import type { RetentionLine } from '../../../src/evict/retention.ts';
import { createRecords, type Records } from '../../../src/metadata/records.ts';
import { nodeDisk } from '../../../src/system/node-disk.ts';
import { systemRandom } from '../../../src/system/random.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { buildImage } from '../../fakes/images.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { officialData, type OfficialData } from '../../fakes/official-data.ts';

const TOOL = 'local/tool';
const tool = buildImage({ layers: [3000, 400], platforms: ['linux/amd64', 'linux/arm64'] });
const digests = [...tool.manifests, tool.top, ...tool.layers, ...tool.configs].map(({ digest }) => digest);

let data: OfficialData;
let clock: FakeClock;
let blobs: BlobStore;
let own: Records;
let served: Served;

beforeEach(async () => {
  data = officialData(await mkdtemp(join(tmpdir(), 'entrepot-served-')));
  clock = createFakeClock(1_700_000_000_000);
  blobs = await openDiskBlobStore({ disk: nodeDisk, random: systemRandom, root: data.root, version: '0.0.0' });
  own = createRecords(createMemoryMetadata(), { clock });
});
afterEach(async () => {
  await own.close();
  await blobs.close();
  await rm(data.root, { recursive: true });
});

async function serve(text: string): Promise<Served> {
  const file = join(data.root, 'config.yml');
  await writeFile(file, text);
  const readFile = async (): Promise<string> => text;
  const config = await loadConfig({ argument: file, env: {}, directory: data.root, readFile });
  const storage = { records: own, blobs, cached: blobs } as unknown as Storage;
  const system = { clock, disk: nodeDisk, random: systemRandom };
  return serveOfficial(config, { system, storage, report: () => undefined });
}

const plain = (): Promise<Served> => serve(`storage: {filesystem: {rootdirectory: ${data.root}}}`);

async function collected(retention: readonly RetentionLine[] = []): Promise<CollectStep[]> {
  const { records } = served.collected;
  const steps: CollectStep[] = [];
  const deps = {
    clock,
    blobs,
    records,
    holder: 'a',
    isDead: () => false,
    report: () => undefined,
    retention: () => retention,
    purge: async () => ({ uploads: 0 }),
    quotas: async () => [],
  };
  for await (const step of collect(deps, { dryRun: false, deleteUntagged: true })) steps.push(step);
  return steps;
}

test('nothing is laid behind the records where no such data are, or where the configuration is another registry’s', async () => {
  expect((await plain()).storage.records).toBe(own);
  await data.image('tool', 'v1', tool);
  expect((await plain()).storage.records).not.toBe(own);
  const routes = `storage: {filesystem: {rootdirectory: ${data.root}}}\nroutes: [{match: '**', upstreams: [hosted]}]`;
  expect((await serve(routes)).storage.records).toBe(own);
});

test('a collection takes what nothing here needs, and all of it is there when it is asked for', async () => {
  await data.image('tool', 'v1', tool);
  served = await plain();
  // A platform's manifest and a layer, of an index and a tag that nobody has asked for yet.
  for (const digest of [tool.manifests[0]!.digest, tool.layers[0]!.digest]) await served.storage.records.link(TOOL, digest);
  await clock.advance(2 * GRACE_MS);
  const steps = await collected();
  expect(steps.filter(({ kind }) => kind === 'blob')).toHaveLength(2);
  expect(await own.links(TOOL, undefined, 10)).toEqual([]);
  for (const digest of digests) expect(await served.storage.records.link(TOOL, digest)).toBeDefined();
  expect((await served.storage.records.hostedTag(TOOL, 'v1'))?.digest).toBe(tool.top.digest);
});

test('bytes that were evicted or lost here are taken again, until all was imported', async () => {
  await data.image('tool', 'v1', tool);
  served = await plain();
  const { digest, size } = tool.layers[0]!;
  const sizeOf = async (): Promise<number | undefined> => {
    const file = await served.storage.cached.open(digest);
    file?.close();
    return file?.size;
  };
  await served.storage.records.link(TOOL, digest);
  await blobs.remove(digest);
  expect(await sizeOf()).toBe(size);
  await blobs.remove(digest);
  await own.official.noteImported(1);
  expect(await sizeOf()).toBeUndefined();
  expect((await plain()).storage.records).toBe(own);
});

test('an imported tag is idle since its import, and as new as it was pushed', async () => {
  await data.image('tool', 'old', tool);
  await data.tag('tool', 'new', tool.top.digest);
  const linkOf = (tag: string): string => data.at('repositories/tool/_manifests/tags', tag, 'current/link');
  await utimes(linkOf('old'), 1_000_000, 1_000_000);
  await utimes(linkOf('new'), 2_000_000, 2_000_000);
  served = await plain();
  for (const tag of ['new', 'old']) await served.storage.records.hostedTag(TOOL, tag);
  const day = 24 * 3_600_000;
  await clock.advance(day - 1000);
  const unpulled: RetentionLine = { matches: () => true, rule: { kind: 'unpulled', ms: day } };
  const tagsOf = (steps: readonly CollectStep[]): unknown[] => steps.flatMap((step) => (step.kind === 'tag' ? step.tag : []));
  expect(tagsOf(await collected([unpulled]))).toEqual([]);
  expect(tagsOf(await collected([{ matches: () => true, rule: { kind: 'newest', count: 1 } }]))).toEqual(['old']);
  await clock.advance(1000);
  expect(tagsOf(await collected([unpulled]))).toEqual(['new']);
});

test('a tag that retention has taken stays taken', async () => {
  await data.image('tool', 'v1', tool);
  served = await plain();
  await served.storage.records.hostedTag(TOOL, 'v1');
  await clock.advance(2 * GRACE_MS);
  const steps = await collected([{ matches: () => true, rule: { kind: 'newest', count: 0 } }]);
  expect(steps[0]).toMatchObject({ kind: 'tag', tag: 'v1' });
  expect(await served.storage.records.hostedTag(TOOL, 'v1')).toBeUndefined();
  expect(await served.storage.records.hostedTags(TOOL, undefined, 10)).toEqual([]);
});

test.each([
  ['', 'nothing'],
  [', username: me, password: pw', 'account'],
])('what a mirror had fetched (proxy: {remoteurl%s}) is noted to have taken: %s', async (account, needed) => {
  await data.image('library/tool', '1', tool);
  const root = `storage: {filesystem: {rootdirectory: ${data.root}}}`;
  served = await serve(`${root}\nproxy: {remoteurl: "https://registry-1.docker.io"${account}}`);
  expect(await served.storage.records.tag('docker.io/library/tool', '1')).toMatchObject({ digest: tool.top.digest, needed });
  for (const { digest } of [tool.top, tool.layers[0]!])
    expect(await served.storage.records.link('docker.io/library/tool', digest)).toMatchObject({ by: 'upstream', needed });
});
