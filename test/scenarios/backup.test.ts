import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { faultsOf, imageOf, pushWhole, type PushedImage } from '../faults/push-and-collect.ts';
import { buildImage, randomBlob } from '../fakes/images.ts';
import { redisMissing, startRedis } from '../fakes/redis-server.ts';
import { createScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { command as runCommand, type Ran } from './command.ts';
import { startFrom, type RunningHere } from './in-process.ts';
import { pullWhole } from './pull-whole.ts';
import { baseSettings, type Settings } from './settings.ts';

let home: string;
const running: RunningHere[] = [];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'entrepot-backup-'));
  for (const name of ['data', 'restored']) await mkdir(join(home, name));
});
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
  await rm(home, { recursive: true, force: true });
});

const layers = [randomBlob(700, 1), randomBlob(90_000, 2), randomBlob(800, 3)];
const image = (at: number, tag = `v${at}`): PushedImage =>
  imageOf(`team/app-${at % 3}`, tag, [layers[at % 3]!, randomBlob(2000, 100 + at)], 500 + at);
const pause = (): Promise<void> => Promise.resolve();

/** A plain registry whose data are in `home/<name>`. */
async function settingsOf(name: string, more: Settings = {}): Promise<string> {
  const file = join(home, `${name}.yml`);
  const storage = { filesystem: { rootdirectory: join(home, name) }, delete: { enabled: true } };
  await writeFile(file, JSON.stringify({ ...baseSettings('', {}), log: { accesslog: { disabled: true } }, ...more, storage }));
  return file;
}

async function start(file: string): Promise<RunningHere> {
  const server = await startFrom(file);
  running.push(server);
  return server;
}

const command = (...args: readonly string[]): Promise<Ran> => runCommand(home, args);

const last = ({ out }: Ran): Record<string, unknown> =>
  JSON.parse(out.trim().split('\n').at(-1) ?? '{}') as Record<string, unknown>;

test('what was backed up while serving is restored, whole and proven, and nothing that came later', async () => {
  const file = await settingsOf('data');
  const server = await start(file);
  const before = [0, 1, 2, 3].map((at) => image(at));
  for (const one of before) await pushWhole(server, one, undefined, pause);
  await server.get(`/v2/team/app-0/manifests/v3`, { method: 'DELETE' });
  const made = await command('backup', '--config', file, 'backup');
  expect(made).toMatchObject({ code: 0, err: '' });
  expect(made.out).toContain(`backed up to ${join(home, 'backup')}: all metadata and hosted content`);
  await pushWhole(server, image(9, 'later'), undefined, pause);

  const target = await settingsOf('restored');
  const restored = await command('restore', '--config', target, 'backup');
  expect(restored).toMatchObject({ code: 0, err: '' });
  expect(restored.out).toMatch(/: 3 tags, 4 manifests, \d+ blobs in 3 hosted repositories; .* each verified/);
  const second = await start(target);
  for (const one of before.slice(0, 3)) expect(await faultsOf(second, one, one.tag)).toEqual([]);
  expect((await second.get('/v2/team/app-0/manifests/v3')).status).toBe(404);
  expect((await second.get('/v2/team/app-0/manifests/later')).status).toBe(404);
  // It is a registry like any other.
  await pushWhole(second, image(10), undefined, pause);
  expect(await faultsOf(second, image(10), 'v10')).toEqual([]);
  expect((await command('collect', '--config', target)).code).toBe(0);
});

test('a second backup adds what is new; until it is done the first one is what would be restored', async () => {
  const file = await settingsOf('data');
  const server = await start(file);
  await pushWhole(server, image(1), undefined, pause);
  const first = last(await command('backup', '--config', file, '--json', 'backup'));
  await pushWhole(server, image(2), undefined, pause);
  const second = last(await command('backup', '--config', file, '--json', 'backup'));
  expect(first).toMatchObject({ kind: 'backed-up', linked: 4, known: 0, lost: 0 });
  expect(second).toMatchObject({ kind: 'backed-up', linked: 4, known: 4, lost: 0 });
  expect((await readdir(join(home, 'backup'))).filter((name) => name.startsWith('metadata-'))).toHaveLength(1);
  // Where it was broken off: newer metadata, and nothing that names them.
  await writeFile(join(home, 'backup', `metadata-${'0'.repeat(32)}.jsonl`), '{"half');
  const target = await settingsOf('restored');
  expect((await command('restore', '--config', target, 'backup')).code).toBe(0);
  const other = await start(target);
  for (const at of [1, 2]) expect(await faultsOf(other, image(at), `v${at}`)).toEqual([]);
});

test('without a server the same, by the command alone; hard links where the disk is one', async () => {
  const file = await settingsOf('data');
  const server = await start(file);
  await pushWhole(server, image(1), undefined, pause);
  await server.stop();
  expect(last(await command('backup', '--config', file, '--json', join(home, 'backup')))).toMatchObject({
    linked: 4,
    copied: 0,
  });
  const digest = layers[1]!.digest.slice('sha256:'.length);
  const path = ['entrepot/blobs/sha256', digest.slice(0, 2), digest];
  const [held, backedUp] = await Promise.all(['data', 'backup'].map((name) => stat(join(home, name, ...path))));
  expect(backedUp!.ino).toBe(held!.ino);
});

describe('refused, in one line that says what to do', () => {
  test('a target that is not empty, no backup, one that was never finished, a newer one, itself', async () => {
    const file = await settingsOf('data');
    const server = await start(file);
    await pushWhole(server, image(1), undefined, pause);
    expect((await command('backup', '--config', file, 'backup')).code).toBe(0);
    const refused = async (...args: readonly string[]): Promise<string> => {
      const { code, out, err } = await command(...args);
      expect({ code, out }).toEqual({ code: 1, out: '' });
      expect(err.trim().split('\n')).toHaveLength(1);
      return err;
    };
    expect(await refused('restore', '--config', file, 'backup')).toContain('is not empty');
    const target = await settingsOf('restored');
    expect(await refused('restore', '--config', target, 'restored')).toContain('holds no backup');
    await mkdir(join(home, 'restored', 'restoring-00ff'));
    expect(await refused('restore', '--config', target, 'backup')).toContain('which an earlier restore left: remove it');
    await rm(join(home, 'restored', 'restoring-00ff'), { recursive: true });
    const marker = join(home, 'backup', 'backup.json');
    const written = await readFile(marker, 'utf8');
    await writeFile(marker, written.replace('"layout": 1', '"layout": 2').replace(/"entrepot [^"]*"/, '"entrepot 9.1.0"'));
    expect(await refused('restore', '--config', target, 'backup')).toContain('entrepot 9.1.0');
    await rm(marker);
    expect(await refused('restore', '--config', target, 'backup')).toContain('was never finished');
    await writeFile(
      marker,
      written.replace(/(?<="sha256": ")./, (digit) => (digit === '0' ? '1' : '0')),
    );
    expect(await refused('restore', '--config', target, 'backup')).toContain('is damaged');
    expect(await readdir(join(home, 'restored'))).toEqual([]);
    expect(await refused('backup', '--config', file, 'data')).toContain('name another directory');
    expect(await refused('backup', '--config', file, 'data/entrepot/blobs')).toContain('name another directory');
    await rm(join(home, 'restored'), { recursive: true });
    expect(await refused('restore', '--config', target, 'backup')).toContain('make it');
  });

  test('data of an official registry that were not all taken over yet', async () => {
    const file = await settingsOf('data');
    await mkdir(join(home, 'data/docker/registry/v2/repositories'), { recursive: true });
    await start(file);
    const refused = await command('backup', '--config', file, 'backup');
    expect(refused.err).toContain('entrepot import --from-registry');
    expect((await command('import', '--config', file, '--from-registry', 'data')).code).toBe(0);
    expect((await command('backup', '--config', file, 'backup')).code).toBe(0);
  });
});

test('what is damaged in a backup is named and never served; all else is restored', async () => {
  const file = await settingsOf('data');
  const server = await start(file);
  for (const at of [1, 2]) await pushWhole(server, image(at), undefined, pause);
  await command('backup', '--config', file, 'backup');
  const bad = image(1).blobs[1]!;
  const hex = bad.digest.slice('sha256:'.length);
  const path = join(home, 'backup/entrepot/blobs/sha256', hex.slice(0, 2), hex);
  // A second name of the live file stands there: what is damaged is a copy of it.
  await rm(path);
  await writeFile(path, Buffer.alloc(bad.size, 1));
  const target = await settingsOf('restored');
  const restored = await command('restore', '--config', target, 'backup');
  expect(restored.code).toBe(1);
  expect(restored.out).toContain(`not whole: local/team/app-1 blob ${bad.digest}`);
  const other = await start(target);
  expect(await faultsOf(other, image(2), 'v2')).toEqual([]);
  expect((await other.get(`/v2/team/app-1/blobs/${bad.digest}`)).status).toBe(404);
  await pushWhole(other, image(1), undefined, pause);
  expect(await faultsOf(other, image(1), 'v1')).toEqual([]);
});

test('what is lost when it is to be backed up is named, and the backup is made all the same', async () => {
  const file = await settingsOf('data');
  const server = await start(file);
  for (const at of [1, 2]) await pushWhole(server, image(at), undefined, pause);
  const hex = image(1).blobs[1]!.digest.slice('sha256:'.length);
  await rm(join(home, 'data/entrepot/blobs/sha256', hex.slice(0, 2), hex));
  const made = await command('backup', '--config', file, 'backup');
  expect(made.code).toBe(1);
  expect(made.out).toContain(`lost: local/team/app-1 sha256:${hex}`);
  expect((await command('restore', '--config', await settingsOf('restored'), 'backup')).code).toBe(1);
});

describe('cached content', () => {
  const cached = buildImage({ layers: [3000, 40_000] });

  test.each(['with it', 'without it'])('%s: is served again, or fetched again', async (how) => {
    const upstream = await createScriptedUpstream();
    try {
      upstream.manifest('team/app', 'v1', cached.top);
      for (const blob of [...cached.layers, ...cached.configs]) upstream.blob('team/app', blob);
      const more = { proxy: { remoteurl: upstream.url }, cache: { maxsize: '20MiB' } };
      const file = await settingsOf('data', more);
      const server = await start(file);
      expect(await pullWhole(server, 'team/app', 'v1', cached)).toEqual([]);
      await server.settled();
      const made = await command(
        'backup',
        '--config',
        file,
        ...(how === 'with it' ? ['--with-cache'] : []),
        '--json',
        'backup',
      );
      expect(last(made)).toMatchObject({ cached: how === 'with it', linked: how === 'with it' ? 4 : 0 });
      const target = await settingsOf('restored', more);
      expect(await command('restore', '--config', target, 'backup')).toMatchObject({ code: 0, err: '' });
      const other = await start(target);
      const asked = upstream.hits('GET');
      expect(await pullWhole(other, 'team/app', 'v1', cached)).toEqual([]);
      expect(upstream.hits('GET') - asked).toBe(how === 'with it' ? 0 : 4);
      const bytes = [cached.top, ...cached.layers, ...cached.configs].reduce((sum, { size }) => sum + size, 0);
      await other.settled();
      expect((await other.metrics()).sum('entrepot_storage_bytes', { kind: 'cached' })).toBe(bytes);
    } finally {
      for (const server of running.splice(0)) await server.stop();
      await upstream.close();
    }
  });
});

/** Every push that was acknowledged before a backup began is in it, and every tag that is in it is whole. */
async function underLoad(file: string, target: string): Promise<void> {
  const server = await start(file);
  const acknowledged: PushedImage[] = [];
  let ended = false;
  const pushers = [0, 1, 2].map(async (pusher) => {
    for (let at = pusher; !ended; at += 3) {
      await pushWhole(server, image(at), undefined, pause);
      acknowledged.push(image(at));
    }
  });
  while (acknowledged.length < 6) await new Promise<void>((resolve) => void setImmediate(resolve));
  const before = [...acknowledged];
  const made = await command('backup', '--config', file, '--json', 'backup');
  ended = true;
  await Promise.all(pushers);
  expect(last(made)).toMatchObject({ kind: 'backed-up', lost: 0 });
  expect(acknowledged.length).toBeGreaterThan(before.length);
  await server.stop();

  expect(await command('restore', '--config', target, 'backup')).toMatchObject({ code: 0, err: '' });
  const other = await start(target);
  for (const one of before) expect(await faultsOf(other, one, one.tag)).toEqual([]);
  const byTag = new Map(acknowledged.map((one) => [`${one.repository}:${one.tag}`, one]));
  for (const at of [0, 1, 2]) {
    const { tags } = await (await other.get(`/v2/team/app-${at}/tags/list`)).json<{ tags: string[] }>();
    for (const tag of tags) expect(await faultsOf(other, byTag.get(`team/app-${at}:${tag}`)!, tag)).toEqual([]);
  }
}

test('under a load of pushes: what was acknowledged before is there, and nothing is torn', async () => {
  await underLoad(await settingsOf('data'), await settingsOf('restored'));
});

test.skipIf(redisMissing !== undefined)(
  `the same from Redis into Redis${redisMissing === undefined ? '' : `: ${redisMissing}`}`,
  async () => {
    const servers = await Promise.all([startRedis(), startRedis()]);
    try {
      const [from, to] = servers.map(({ address }) => ({ metadata: 'redis', redis: { addrs: [address] } }));
      await underLoad(await settingsOf('data', from), await settingsOf('restored', to));
      await rm(join(home, 'restored'), { recursive: true });
      await mkdir(join(home, 'restored'));
      const again = await command('restore', '--config', join(home, 'restored.yml'), 'backup');
      expect(again.err).toContain('the metadata store of this configuration is not empty');
      expect(await readdir(join(home, 'restored'))).toEqual([]);
    } finally {
      for (const server of running.splice(0)) await server.stop();
      await Promise.all(servers.map((server) => server.clean()));
    }
  },
);
