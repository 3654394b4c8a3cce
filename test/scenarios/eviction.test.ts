import { readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, vi } from 'vitest';
import type { EvictStep } from '../../src/admin/evict.ts';
import type { ListedTag } from '../../src/admin/ls.ts';
import { Evictor } from '../../src/evict/evictor.ts';
import { blobOf, descriptorOf, manifestBlob, MEDIA_TYPE, randomBlob, type Image } from '../fakes/images.ts';
import { command, type Ran } from './command.ts';
import { scenario, type Stage } from './harness.ts';
import { ALPINE } from './paths.ts';
import { pullWhole } from './pull-whole.ts';
import type { RunningHere } from './in-process.ts';
import { routesTo, type Settings } from './settings.ts';

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;
const LIMIT = 16 * MIB;
const BUSYBOX = 'library/busybox';

/** The wall clock goes on only by what a test lets pass: what was used a minute ago is in use no more. */
let passed = 0;
beforeEach(() => {
  const real = Date.now;
  passed = 0;
  vi.spyOn(Date, 'now').mockImplementation(() => real() + passed);
});
afterEach(() => vi.restoreAllMocks());

const small = (upstream: { readonly url: string }, policy: Settings = {}): Settings => ({
  ...routesTo(upstream, policy),
  cache: { maxsize: '16MiB', keepfree: '0%' },
});

const SHARED = randomBlob(100_000, 1);

/** Of about 2 MiB that no other has; all share their first layer. */
function build({ upstream }: Stage, tag: string, at: number, repository = ALPINE): Image {
  const layers = [SHARED, blobOf(Buffer.alloc(2 * MIB + at, `${repository} ${tag} `))];
  const config = blobOf(Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', author: `${repository} ${tag}` })));
  const top = manifestBlob(MEDIA_TYPE.ociManifest, {
    config: descriptorOf(config, MEDIA_TYPE.ociConfig),
    layers: layers.map((layer) => descriptorOf(layer, MEDIA_TYPE.ociLayer)),
  });
  for (const blob of [...layers, config]) upstream.blob(repository, blob);
  upstream.manifest(repository, tag, top);
  return { top, index: undefined, manifests: [top], config, configs: [config], layers };
}

async function pull(server: RunningHere, repository: string, tag: string, image: Image): Promise<void> {
  passed += MINUTE_MS;
  expect(await pullWhole(server, repository, tag, image)).toEqual([]);
  await server.settled();
}

const run = ({ directory }: Stage, ...args: readonly string[]): Promise<Ran> =>
  command(join(directory, 'data'), [...args, '--config', 'config.yml']);

async function told<T>(stage: Stage, ...args: readonly string[]): Promise<T[]> {
  const { code, out, err } = await run(stage, ...args, '--json');
  expect([code, err]).toEqual([0, '']);
  return out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

async function listed(stage: Stage): Promise<Record<string, ListedTag>> {
  return Object.fromEntries((await told<ListedTag>(stage, 'ls')).map((one) => [`${one.repository}:${one.tag}`, one]));
}

/** Upstream requests for the bytes of blobs and manifests since `act` began. */
async function fetchedBy({ upstream }: Stage, act: () => Promise<void>): Promise<number> {
  upstream.forget();
  await act();
  return upstream.hits('GET blob') + upstream.hits('GET manifest');
}

/** Bytes of all blobs, parts and quarantine, as the disk has them. */
function onDisk({ directory }: Stage): number {
  const sizes = readdirSync(join(directory, 'data', 'entrepot', 'blobs'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath, entry.name)).size);
  return sizes.reduce((sum, size) => sum + size, 0);
}

describe('a cache of 16 MiB', () => {
  scenario(
    'is never larger, whatever is pulled: the images that were used least recently go, and every pull is whole',
    async (stage) => {
      const { server } = stage;
      const images = Array.from({ length: 12 }, (_, at) => build(stage, `${at}`, at));
      for (const [at, image] of images.entries()) {
        await pull(server, ALPINE, `${at}`, image);
        // The first is used again and again: it stays.
        await pull(server, ALPINE, '0', images[0]!);
        expect((await server.metrics()).sum('entrepot_storage_bytes', { kind: 'cached' })).toBeLessThanOrEqual(LIMIT);
      }
      const metrics = await server.metrics();
      expect(metrics.sum('entrepot_cache_max_bytes')).toBe(LIMIT);
      expect(metrics.sum('entrepot_evictions_total')).toBeGreaterThan(0);
      expect(metrics.sum('entrepot_evicted_bytes_total')).toBeGreaterThan(4 * MIB);
      expect(metrics.sum('entrepot_eviction_age_seconds')).toBeGreaterThan(5 * 60);
      expect(metrics.sum('entrepot_storage_bytes', { kind: 'cached' })).toBe(onDisk(stage));
      expect(await server.logged('evicting')).toMatchObject({ level: 'info', why: 'limit' });

      const layers = await listed(stage);
      const whole = images.filter((image, at) => layers[`docker.io/${ALPINE}:${at}`]?.bytes === bytesOf(image));
      expect(whole).toContain(images[0]);
      expect(whole).toContain(images[11]);
      expect(whole).not.toContain(images[1]);
      expect(await fetchedBy(stage, () => pull(server, ALPINE, '0', images[0]!))).toBe(0);
      expect(await fetchedBy(stage, () => pull(server, ALPINE, '1', images[1]!))).toBeGreaterThan(0);

      const status = (await run(stage, 'status')).out;
      expect(status).toMatch(/^cache +\d+ MiB of 16 MiB: \d+ blobs$/m);
      expect(status).toMatch(/^makes room +at 15 MiB down to 14 MiB; 0 B of the disk stay free$/m);
      expect(status).toMatch(/^evicted +\d+ blobs, [\d.]+ MiB since the start; the last had not been used for \d+m/m);
      expect(status).toMatch(
        /^would hit +[\d.]+ % with 8\.0 MiB, [\d.]+ % with 16 MiB, [\d.]+ % with 32 MiB, [\d.]+ % with 64 MiB; of \d+ pulls/m,
      );
    },
    { settings: small, timeoutMs: 60_000 },
  );

  scenario(
    'keeps what is pinned, by configuration or by command, as long as it is',
    async (stage) => {
      const server = await stage.start(small(stage.upstream, { pin: [`docker.io/${ALPINE}:0`] }));
      const images = Array.from({ length: 10 }, (_, at) => build(stage, `${at}`, at));
      expect(await run(stage, 'pin', 'alpine:1')).toEqual({
        code: 0,
        out: 'docker.io/library/alpine:1 is pinned\n',
        err: 'note: nothing that is held matches it yet\n',
      });
      for (const [at, image] of images.entries()) await pull(server, ALPINE, `${at}`, image);
      for (const at of [0, 1]) expect(await fetchedBy(stage, () => pull(server, ALPINE, `${at}`, images[at]!))).toBe(0);
      expect(await fetchedBy(stage, () => pull(server, ALPINE, '2', images[2]!))).toBeGreaterThan(0);

      const held = await listed(stage);
      expect(held[`docker.io/${ALPINE}:0`]).toMatchObject({
        pinned: ['docker.io/library/alpine:0'],
        bytes: bytesOf(images[0]!),
      });
      expect(held[`docker.io/${ALPINE}:1`]).toMatchObject({ pinned: ['docker.io/library/alpine:1'] });
      expect(held[`docker.io/${ALPINE}:9`]).toMatchObject({ pinned: [] });
      const pinned = /^pinned +docker\.io\/library\/alpine:0 \(configuration\), docker\.io\/library\/alpine:1$/m;
      expect((await run(stage, 'status')).out).toMatch(pinned);
      expect((await run(stage, 'explain', 'alpine:1')).out).toContain(
        'pinned by docker.io/library/alpine:1, by command: it is never evicted',
      );

      expect((await run(stage, 'unpin', 'alpine:1')).out).toBe('docker.io/library/alpine:1 is not pinned any more\n');
      expect(await run(stage, 'unpin', 'alpine:1')).toMatchObject({
        code: 1,
        err: 'docker.io/library/alpine:1 is not pinned\n',
      });
      expect(await run(stage, 'unpin', 'alpine:0')).toMatchObject({
        code: 1,
        err: 'docker.io/library/alpine:0 is pinned by the configuration: take it out there\n',
      });
      for (let at = 3; at < 10; at += 1) await pull(server, ALPINE, `${at}`, images[at]!);
      expect(await fetchedBy(stage, () => pull(server, ALPINE, '1', images[1]!))).toBeGreaterThan(0);
    },
    { settings: null, timeoutMs: 60_000 },
  );

  scenario(
    'is held to a smaller limit as soon as it is written',
    async (stage) => {
      const server = await stage.start({ ...small(stage.upstream), cache: { maxsize: '64MiB', keepfree: '0%' } });
      for (let at = 0; at < 10; at += 1) await pull(server, ALPINE, `${at}`, build(stage, `${at}`, at));
      expect(onDisk(stage)).toBeGreaterThan(LIMIT);
      passed += MINUTE_MS;
      const next = { ...(await settingsOf(stage)), cache: { maxsize: '16MiB', keepfree: '0%' } };
      const makeRoom = vi.spyOn(Evictor.prototype, 'makeRoom');
      await server.reload(next);
      expect(makeRoom).toHaveBeenCalled();
      await server.logged('evicting');
      expect(onDisk(stage)).toBeLessThanOrEqual(LIMIT * 0.85);
    },
    { settings: null, timeoutMs: 60_000 },
  );
});

describe('evict', () => {
  scenario(
    'drops an image by name: a dry run, then what it said, then a fresh pull',
    async (stage) => {
      const { server } = stage;
      const [one, two] = [build(stage, '1', 1), build(stage, '2', 2)] as [Image, Image];
      const other = build(stage, '3', 3, BUSYBOX);
      await pull(server, ALPINE, '1', one);
      await pull(server, ALPINE, '2', two);
      await pull(server, BUSYBOX, '3', other);
      const before = onDisk(stage);

      const foreseen = await told<EvictStep>(stage, 'evict', 'alpine:1', '--dry-run');
      expect(onDisk(stage)).toBe(before);
      const bytes = bytesOf(one) - one.layers[0]!.size;
      expect(foreseen.at(-1)).toMatchObject({ kind: 'done', dryRun: true, images: 1, blobs: 3, bytes });
      const done = await run(stage, 'evict', 'alpine:1');
      expect(done.out.split('\n')[0]).toBe('gone: docker.io/library/alpine:1');
      expect(done.out).toMatch(/^freed 2\.0 MiB in 3 files of 1 images, 0 stay$/m);
      expect(onDisk(stage)).toBe(before - bytes);
      expect(await server.logged('evicting')).toMatchObject({ why: 'asked', blobs: 3 });

      expect(await fetchedBy(stage, () => pull(server, ALPINE, '2', two))).toBe(0);
      // Its manifest, config and own layer.
      expect(await fetchedBy(stage, () => pull(server, ALPINE, '1', one))).toBe(3);
      expect(onDisk(stage)).toBe(before);

      const all = await run(stage, 'evict', 'docker.io/library/alpine');
      expect(all.out).toContain(`stays: 98 KiB of ${one.layers[0]!.digest}: docker.io/library/busybox holds it too`);
      expect(onDisk(stage)).toBe(bytesOf(other));
      expect(await fetchedBy(stage, () => pull(server, BUSYBOX, '3', other))).toBe(0);
    },
    { timeoutMs: 60_000 },
  );

  scenario(
    'refuses what it may not drop, and names what it does not find',
    async (stage) => {
      const server = await stage.start(small(stage.upstream, { pin: [`docker.io/${ALPINE}:1`] }));
      const [one, two] = [build(stage, '1', 1), build(stage, '2', 2)] as [Image, Image];
      await pull(server, ALPINE, '1', one);
      await pull(server, ALPINE, '2', two);
      const before = onDisk(stage);
      const why = 'pinned by docker.io/library/alpine:1 in the configuration';
      expect(await run(stage, 'evict', 'alpine:1')).toMatchObject({
        code: 1,
        err: `nothing that matches alpine:1 may go: ${why}\n`,
      });
      expect(onDisk(stage)).toBe(before);
      for (const unknown of ['alpine:7', 'nothing', 'quay.io/**', `alpine@sha256:${'0'.repeat(64)}`])
        expect(await run(stage, 'evict', unknown)).toEqual({
          code: 1,
          out: '',
          err: `nothing that is held matches ${unknown}\n`,
        });
      const { code, out } = await run(stage, 'evict', 'docker.io/**');
      expect(code).toBe(0);
      expect(out).toContain(`stays: docker.io/library/alpine:1: ${why}\n`);
      expect(out).toContain('gone: docker.io/library/alpine:2\n');
      expect(onDisk(stage)).toBe(bytesOf(one));
      await server.reload({ ...(await settingsOf(stage)), routes: [{ match: 'docker.io/**', offline: true }] });
      expect(await run(stage, 'evict', 'alpine:1')).toMatchObject({
        code: 1,
        err: expect.stringContaining('served offline') as string,
      });
    },
    { settings: null, timeoutMs: 60_000 },
  );

  scenario(
    'goes on while the same images are pulled: every pull is whole, and what is counted is what is there',
    async (stage) => {
      const { server } = stage;
      const images = Array.from({ length: 3 }, (_, at) => build(stage, `${at}`, at));
      const others = images.map((_, at) => build(stage, `${at}`, at, BUSYBOX));
      let pulling = true;
      const evicting = (async () => {
        for (let round = 0; pulling; round += 1) {
          passed += MINUTE_MS;
          const { code, err } = await run(
            stage,
            'evict',
            ['docker.io/**', 'alpine:1', 'busybox', 'docker.io/library/*:2'][round % 4]!,
          );
          if (code !== 0) expect(err).toMatch(/^nothing that is held matches/);
        }
      })();
      const puller = async (repository: string, all: readonly Image[]): Promise<void> => {
        for (let round = 0; round < 5; round += 1)
          for (const [at, image] of all.entries()) expect(await pullWhole(server, repository, `${at}`, image)).toEqual([]);
      };
      await Promise.all([puller(ALPINE, images), puller(ALPINE, images), puller(BUSYBOX, others)]);
      pulling = false;
      await evicting;
      await server.settled();
      const metrics = await server.metrics();
      expect(metrics.sum('entrepot_evictions_total')).toBeGreaterThan(0);
      expect(metrics.sum('entrepot_storage_bytes', { kind: 'cached' })).toBe(onDisk(stage));
      await run(stage, 'evict', 'docker.io/**');
      expect(onDisk(stage)).toBe(0);
    },
    { settings: small, timeoutMs: 60_000 },
  );

  scenario(
    'without a name tells what would go next, the oldest first, and changes nothing',
    async (stage) => {
      const { server } = stage;
      for (let at = 0; at < 6; at += 1) await pull(server, ALPINE, `${at}`, build(stage, `${at}`, at));
      passed += MINUTE_MS;
      const before = onDisk(stage);
      const steps = await told<EvictStep>(stage, 'evict', '--dry-run');
      expect(steps[0]).toMatchObject({ kind: 'round', due: false, files: 0 });
      const blobs = steps.flatMap((step) => (step.kind === 'blob' ? [step] : []));
      const used = blobs.map(({ why = '' }) => Date.parse(why.replace('last used ', '')));
      expect(blobs.length).toBeGreaterThan(1);
      expect(used).toEqual(used.toSorted((a, b) => a - b));
      expect(blobs.reduce((sum, { bytes }) => sum + bytes, 0)).toBeGreaterThan(0.1 * LIMIT);
      expect(onDisk(stage)).toBe(before);
      expect(await run(stage, 'evict')).toMatchObject({ code: 2 });
    },
    { settings: small, timeoutMs: 60_000 },
  );

  scenario(
    'works on the store itself where no server runs; and so do pin and ls',
    async (stage) => {
      const { server } = stage;
      const image = build(stage, '1', 1);
      await pull(server, ALPINE, '1', image);
      await server.stop();
      expect((await run(stage, 'pin', 'docker.io/library/*')).out).toBe('docker.io/library/* is pinned\n');
      expect((await run(stage, 'ls')).out).toMatch(/ 2\.1 MiB .* pinned by docker\.io\/library\/\*$/m);
      expect(await run(stage, 'evict', 'alpine')).toMatchObject({
        code: 1,
        err: expect.stringContaining('pinned by') as string,
      });
      await run(stage, 'unpin', 'docker.io/library/*');
      expect((await run(stage, 'evict', 'alpine')).code).toBe(0);
      expect(onDisk(stage)).toBe(0);
    },
    { timeoutMs: 60_000 },
  );
});

function bytesOf({ manifests, configs, layers }: Image): number {
  return [...manifests, ...configs, ...layers].reduce((sum, { size }) => sum + size, 0);
}

async function settingsOf(stage: Stage): Promise<Settings> {
  return JSON.parse(await readFile(join(stage.directory, 'data', 'config.yml'), 'utf8')) as Settings;
}
