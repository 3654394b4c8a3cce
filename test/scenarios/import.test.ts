import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { buildImage, randomBlob } from '../fakes/images.ts';
import { officialData, type OfficialData } from '../fakes/official-data.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { seed, sized } from './acceptance.ts';
import { command, type Ran } from './command.ts';
import { scenario, type Stage } from './harness.ts';
import { MAIN } from './process.ts';
import { pullWhole } from './pull-whole.ts';
import { baseSettings, type Settings } from './settings.ts';

const app = buildImage({ layers: [3000, 70_000], platforms: ['linux/amd64', 'linux/arm64'] });
const tool = buildImage({ layers: [3000], label: 'tool', format: 'docker' });
const own = { settings: null } as const;

interface Laid {
  readonly data: OfficialData;
  readonly root: string;
  readonly file: string;
  run(...args: readonly string[]): Promise<Ran>;
}

/** Data of an official registry elsewhere than in our own root directory, and a configuration. */
async function lay(stage: Stage, more: Settings = {}): Promise<Laid> {
  const root = join(stage.directory, 'data');
  await mkdir(root);
  const file = join(stage.directory, 'config.yml');
  await writeFile(file, JSON.stringify(baseSettings(root, more)));
  const data = officialData(join(stage.directory, 'old'));
  await data.image('team/app', 'v1', app);
  await data.image('tool', 'latest', tool);
  const run = (...args: readonly string[]): Promise<Ran> =>
    command(stage.directory, ['import', '--config', file, '--from-registry', 'old', ...args]);
  return { data, root, file, run };
}

const last = ({ out }: Ran): Record<string, unknown> =>
  JSON.parse(out.trim().split('\n').at(-1) ?? '{}') as Record<string, unknown>;

describe('import --from-registry', () => {
  scenario(
    'takes all of it, by hard link, without a server; a dry run says what, and takes nothing',
    async (stage) => {
      const { data, root, run } = await lay(stage);
      const dry = await run('--dry-run', '--json');
      const counts = { repositories: 2, tags: 2, manifests: 4, blobs: 6, notTaken: 0 };
      expect(last(dry)).toMatchObject({ kind: 'imported', dryRun: true, ...counts });
      expect(await readdir(join(root, 'entrepot/blobs')).catch(() => [])).toEqual([]);
      const made = await run();
      expect(made).toMatchObject({ code: 0, err: '' });
      expect(made.out).toMatch(/^took 2 tags, 4 manifests, 6 blobs; .* in 9 files linked, 0 copied; 2 repositories, /);
      expect((await stat(data.dataOf(app.layers[0]!.digest))).nlink).toBe(2);
      await rm(data.root, { recursive: true });
      const server = await stage.start({});
      expect(await pullWhole(server, 'team/app', 'v1', app)).toEqual([]);
      expect(await pullWhole(server, 'tool', 'latest', tool)).toEqual([]);
      expect(await (await server.get('/v2/_catalog')).json()).toEqual({ repositories: ['team/app', 'tool'] });
    },
    own,
  );

  scenario(
    'through the running server; what was pushed since stays, what was deleted since is back, and nothing is taken twice',
    async (stage) => {
      const { data, run } = await lay(stage);
      const server = await stage.start({
        storage: { filesystem: { rootdirectory: join(stage.directory, 'data') }, delete: { enabled: true } },
      });
      expect((await run()).code).toBe(0);
      const { bytes, mediaType } = app.top;
      const headers = { 'content-type': mediaType, 'content-length': String(bytes.length) };
      expect((await server.get('/v2/team/app/manifests/v1', { method: 'DELETE' })).status).toBe(202);
      expect((await server.get('/v2/team/app/manifests/new', { method: 'PUT', body: bytes, headers })).status).toBe(201);
      await data.tag('team/app', 'new', app.manifests[0]!.digest);
      const again = await run('--json');
      expect(last(again)).toMatchObject({ linked: 0, copied: 0, notTaken: 0 });
      expect((await server.get('/v2/team/app/manifests/v1')).status).toBe(200);
      expect(await (await server.get('/v2/team/app/manifests/new')).sha256()).toBe(app.top.digest);
    },
    own,
  );

  scenario(
    'what cannot be taken is named, and everything else is taken: exit 1',
    async (stage) => {
      const { data, run } = await lay(stage);
      const [damaged, gone, secret] = [randomBlob(500, 11), randomBlob(500, 12), randomBlob(500, 13)];
      for (const blob of [damaged, gone, secret]) await data.layer('tool', blob);
      await writeFile(data.dataOf(damaged.digest), randomBlob(500, 14).bytes);
      await rm(data.dataOf(gone.digest));
      await rm(data.dataOf(secret.digest));
      await writeFile(join(stage.directory, 'secret'), secret.bytes);
      await symlink(join(stage.directory, 'secret'), data.dataOf(secret.digest));
      await data.tag('tool', 'dangling', app.top.digest);
      await data.tag('tool', 'odd', '../../../etc/passwd');
      const schema1 = Buffer.from('{"schemaVersion":1,"name":"tool","tag":"old","fsLayers":[],"history":[]}');
      const old = { ...randomBlob(1), bytes: schema1, size: schema1.length, digest: digestOf(schema1) };
      await data.manifest('tool', old);
      await mkdir(data.at('repositories/tool/_layers/md5/0123\u001b[2J'), { recursive: true });
      const made = await run();
      expect(made.code).toBe(1);
      const said = made.out
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('not taken: '))
        .sort();
      expect(said).toEqual(
        [
          `not taken: blob tool@${damaged.digest}: its bytes are damaged: they are not those of this digest`,
          `not taken: blob tool@${gone.digest}: its bytes are not there`,
          `not taken: blob tool@${secret.digest}: its bytes are not there`,
          'not taken: blob tool@md5/0123?[2J: it is no link to a digest of a known algorithm',
          `not taken: manifest tool@${old.digest}: as a manifest it is refused: schema 1 is not served any more`,
          'not taken: tag tool:dangling: it points to a manifest that its repository does not hold',
          'not taken: tag tool:odd: it is no link to a digest of a known algorithm',
        ].sort(),
      );
      expect(made.err).toContain('7 could not be taken');
      const server = await stage.start({});
      expect(await pullWhole(server, 'tool', 'latest', tool)).toEqual([]);
      for (const { digest } of [damaged, gone, secret]) expect((await server.get(`/v2/tool/blobs/${digest}`)).status).toBe(404);
    },
    own,
  );

  scenario(
    'says whose they are, where routes leave a choice: hosted, or cached of a registry',
    async (stage) => {
      const mirror = await stage.addUpstream();
      const hub = { upstreams: { mirror: { url: mirror.url }, hub: { url: stage.upstream.url } } };
      const routes = [
        { match: 'registry.acme.test/**', upstreams: ['hosted'] },
        { match: 'docker.io/library/**', deny: true },
        { match: 'docker.io/**', upstreams: ['mirror', 'hub'], negativettl: '0s' },
      ];
      const { run, data } = await lay(stage, { ...hub, routes });
      await data.image('library/denied', 'x', tool);
      const refused = async (...args: readonly string[]): Promise<string> => {
        const { code, out, err } = await run(...args);
        expect({ code, out }).toEqual({ code: 1, out: '' });
        return err;
      };
      expect(await refused()).toContain('--as');
      const wrong = await run('--as', 'quay.io', '--hosted');
      expect(wrong.out).toContain('not taken: repository team/app: no route leads to quay.io/team/app');
      expect((await run('--as', 'registry.acme.test')).out).toContain('import with --hosted');
      expect((await run('--as', 'registry.acme.test', '--hosted')).code).toBe(0);
      const cached = await run('--as', 'docker.io');
      expect(cached.out).toContain('not taken: repository library/denied: the route docker.io/library/** denies it');
      await stage.upstream.close();
      const server = await stage.start({ ...hub, routes });
      expect(await pullWhole(server, 'registry.acme.test/team/app', 'v1', app)).toEqual([]);
      expect(await pullWhole(server, 'docker.io/team/app', 'v1', app)).toEqual([]);
      expect((await server.get('/v2/docker.io/team/app/manifests/v1')).headers['cache-status']).toContain('hit');
      // It is said to have come from one of them, and nobody knows whether it did: its word opens nothing of it elsewhere.
      const [layer] = app.layers;
      mirror.blob('thief/x', layer!).otherBytes(Buffer.alloc(layer!.size, 'garbage'));
      const { bytes } = await (await server.get(`/v2/docker.io/thief/x/blobs/${layer!.digest}`)).untilBroken();
      expect(bytes.equals(layer!.bytes)).toBe(false);
    },
    own,
  );

  scenario(
    'refuses, in one line, a directory that is none, a mirror that is to host, and bundles',
    async (stage) => {
      const { run, file } = await lay(stage, { proxy: { remoteurl: stage.upstream.url } });
      expect(await run('--hosted')).toMatchObject({ code: 1, err: expect.stringContaining('a mirror hosts nothing') });
      const elsewhere = await command(stage.directory, ['import', '--config', file, '--from-registry', '.']);
      expect(elsewhere).toMatchObject({ code: 1, err: expect.stringContaining("holds no official registry's data") });
      const bundle = await command(stage.directory, ['import', '--config', file]);
      expect(bundle).toMatchObject({ code: 2, err: expect.stringContaining('bundles') });
    },
    own,
  );

  scenario(
    '[promise 6] killed at any moment, it goes on where it stopped, and nothing is half there',
    async (stage) => {
      const { data, root, file, run } = await lay(stage);
      const images = Array.from({ length: sized(6, 30) }, (_, at) =>
        buildImage({ layers: [1_000_000 + at, 300], label: `${at}` }),
      );
      for (const [at, image] of images.entries()) await data.image(`many/app-${at % 5}`, `v${at}`, image);
      const random = createSeededRandom(seed);
      const blobs = join(root, 'entrepot/blobs/sha256');
      let killed = 0;
      for (let round = 0; round < sized(2, 40); round += 1) {
        const child = spawn(process.execPath, [MAIN, 'import', '--config', file, '--from-registry', data.root]);
        const exited = once(child, 'exit');
        // Some files further than the rounds before: at any moment of taking the next one.
        const before = await countFiles(blobs);
        const aim = before + Math.floor(random.fraction() * sized(4, 8));
        while (child.exitCode === null && (await countFiles(blobs)) <= aim);
        child.kill('SIGKILL');
        const [, by] = (await exited) as [number | null, NodeJS.Signals | null];
        killed += by === 'SIGKILL' ? 1 : 0;
      }
      expect(killed).toBeGreaterThan(0);
      expect(last(await run('--json'))).toMatchObject({ kind: 'imported', finished: true, notTaken: 0 });
      await rm(data.root, { recursive: true });
      const server = await stage.start({});
      for (const [at, image] of images.entries())
        expect(await pullWhole(server, `many/app-${at % 5}`, `v${at}`, image)).toEqual([]);
    },
    { ...own, timeoutMs: sized(60_000, 600_000) },
  );
});

async function countFiles(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true }).catch(() => []);
  return names.filter((name) => name.length > 64).length;
}
