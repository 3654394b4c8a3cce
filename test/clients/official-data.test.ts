import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { freePort } from '../fakes/free-port.ts';
import { createHttpClient } from '../fakes/http-client.ts';
import { buildImage, type Image } from '../fakes/images.ts';
import { sized, table } from '../scenarios/acceptance.ts';
import { scenario, type Stage } from '../scenarios/harness.ts';
import { MAIN, startProcess, type RunningProcess } from '../scenarios/process.ts';
import { pullWhole } from '../scenarios/pull-whole.ts';
import { pushImage, startOfficialFrom } from './official-registry.ts';
import { needs } from './program.ts';

/** Repository, tag, image. */
type Named = readonly [string, string, Image];

/** Fifty where all is run, most of which share layers; every tenth is an index. */
const images: readonly Named[] = Array.from({ length: sized(10, 50) }, (_, at) => [
  `team-${at % 7}/app-${at}`,
  `v${at}`,
  buildImage({
    layers: [2000 + (at % 5), 9000 + at],
    label: `image ${at}`,
    format: at % 3 === 0 ? 'docker' : 'oci',
    ...(at % 10 === 0 ? { platforms: ['linux/amd64', 'linux/arm64'] } : {}),
  }),
]);

const COUNTS = sized(/took 10 tags, 12 manifests, 31 blobs; /, /took 50 tags, 60 manifests, 155 blobs; /);

/** A file of the official registry's own, and where it makes it listen. */
interface Written {
  readonly file: string;
  readonly port: number;
  readonly url: string;
  readonly root: string;
}

async function write(stage: Stage, name: string, more: Readonly<Record<string, unknown>>): Promise<Written> {
  const port = await freePort();
  const root = join(stage.directory, name);
  const settings = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: root }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}`, debug: { addr: `127.0.0.1:${await freePort()}` } },
    ...more,
  };
  const file = join(stage.directory, `${name}.yml`);
  await writeFile(file, JSON.stringify(settings));
  return { file, port, url: `http://127.0.0.1:${port}`, root };
}

async function startOfficial(stage: Stage, { file, port }: Written): Promise<{ stop(): Promise<void> }> {
  const daemon = await startOfficialFrom(file, port);
  stage.defer(() => daemon.stop());
  return daemon;
}

/** Our program, on the file as it is. */
async function startOurs(stage: Stage, { file }: Written): Promise<RunningProcess> {
  const server = await startProcess(undefined, stage.directory, { args: ['serve', file] });
  stage.defer(() => server.stop());
  return server;
}

/** Pulls every image, some at a time; yields what is wrong with any of them. */
async function wrongWith(url: string, wanted: readonly Named[] = images, atOnce = 10): Promise<string[]> {
  const client = createHttpClient(url);
  const faults: string[] = [];
  for (let at = 0; at < wanted.length; at += atOnce) {
    const some = wanted.slice(at, at + atOnce).map(([repository, tag, image]) => pullWhole(client, repository, tag, image));
    faults.push(...(await Promise.all(some)).flat());
  }
  client.close();
  return faults;
}

async function pushAll(url: string): Promise<void> {
  for (let at = 0; at < images.length; at += 10)
    await Promise.all(images.slice(at, at + 10).map(([repository, tag, image]) => pushImage(url, repository, tag, image)));
}

const command = async (...args: readonly string[]): Promise<string> =>
  (await promisify(execFile)(process.execPath, [MAIN, ...args])).stdout;

/** Every file below a directory with the hash of its bytes and when it was written: what may not change. */
async function printOf(directory: string): Promise<ReadonlyMap<string, string>> {
  const print = new Map<string, string>();
  for (const path of await readdir(directory, { recursive: true })) {
    const found = await stat(join(directory, path));
    if (!found.isFile()) continue;
    const hash = createHash('sha256')
      .update(await readFile(join(directory, path)))
      .digest('hex');
    print.set(path, `${hash} ${found.mtimeMs} ${found.ino}`);
  }
  return print;
}

const official = { settings: null, timeoutMs: 120_000, ...needs(['docker-registry']) };

describe('[#5.6] the data of an official registry', () => {
  scenario(
    'a plain one: served by its own unchanged file, then taken over, and it still starts on them',
    async (stage) => {
      const plain = await write(stage, 'plain', {});
      const before = await startOfficial(stage, plain);
      await pushAll(plain.url);
      await before.stop();
      const docker = join(plain.root, 'docker');
      const print = await printOf(docker);

      const ours = await startOurs(stage, plain);
      expect(await wrongWith(plain.url)).toEqual([]);
      const said = await command('import', '--config', plain.file, '--from-registry', plain.root);
      expect(said).toMatch(COUNTS);
      expect(said).toContain('that directory is needed no more');
      expect(await wrongWith(plain.url)).toEqual([]);
      await ours.stop();
      expect(await printOf(docker)).toEqual(print);

      const again = await startOfficial(stage, plain);
      expect(await wrongWith(plain.url)).toEqual([]);
      await again.stop();
      table('a plain registry, taken over', { images: images.length, wrong: 0, import: said.trim() });
    },
    official,
  );

  scenario(
    'a mirror: served by its own unchanged file, then taken over, with the upstream gone',
    async (stage) => {
      const source = await write(stage, 'source', {});
      const upstream = await startOfficial(stage, source);
      await pushAll(source.url);
      const mirror = await write(stage, 'mirror', { proxy: { remoteurl: source.url } });
      const before = await startOfficial(stage, mirror);
      // Of two repositories that ask it for one layer at once, it keeps it for one alone.
      expect(await wrongWith(mirror.url, images, 1)).toEqual([]);
      await settled(mirror.root);
      await before.stop();
      await upstream.stop();
      const docker = join(mirror.root, 'docker');
      const print = await printOf(docker);

      // Half of them are asked for before the import: the other half it takes itself.
      const first = await startOurs(stage, mirror);
      expect(await wrongWith(mirror.url, images.slice(0, images.length / 2))).toEqual([]);
      await first.stop();
      const said = await command('import', '--config', mirror.file, '--from-registry', mirror.root);
      expect(said).toMatch(COUNTS);
      expect(said).toMatch(/ in \d\d+ files linked, 0 copied/);
      const second = await startOurs(stage, mirror);
      expect(await wrongWith(mirror.url)).toEqual([]);
      await second.stop();
      expect(await printOf(docker)).toEqual(print);

      await startOfficial(stage, source);
      const again = await startOfficial(stage, mirror);
      expect(await wrongWith(mirror.url)).toEqual([]);
      await again.stop();
      table('a mirror, taken over', { images: images.length, wrong: 0, import: said.trim() });
    },
    official,
  );
});

/** That mirror keeps what it has answered after it has answered it. */
async function settled(root: string): Promise<void> {
  const wanted = new Set(images.flatMap(([, , { layers, configs }]) => [...layers, ...configs].map(({ digest }) => digest)));
  for (let left = wanted.size; left > 0;) {
    const held = await readdir(join(root, 'docker/registry/v2/blobs/sha256'), { recursive: true });
    left = [...wanted].filter((digest) => !held.includes(`${digest.slice(7, 9)}/${digest.slice(7)}/data`)).length;
  }
}
