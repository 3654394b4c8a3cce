import { mkdir, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect } from 'vitest';
import { buildImage } from '../fakes/images.ts';
import { until } from './acceptance.ts';
import { command } from './command.ts';
import { scenario, type Stage } from './harness.ts';
import { basic, sending, tokenFor, writeUsers } from './people.ts';
import { pushImage } from './push.ts';
import type { Settings } from './settings.ts';

const own = { settings: null };
const app = buildImage({ label: 'audited' });
const layer = app.layers[0]!;
const REPOSITORY = 'registry.acme.test/team/app';
const LATEST = '/v2/team/app/manifests/latest';

interface Told {
  readonly action: string;
  readonly result: string;
  readonly subject: string | null;
  readonly reference: string | null;
  readonly reason: string | null;
  readonly [more: string]: string | null;
}

/** ann pushes and deletes, ben pulls. */
async function settings(stage: Stage, audit: Settings): Promise<Settings> {
  return {
    names: { default: 'registry.acme.test', self: ['registry.acme.test'] },
    routes: [{ match: 'registry.acme.test/**', name: 'own', upstreams: ['hosted'] }],
    storage: { filesystem: { rootdirectory: `${stage.directory}/data` }, delete: { enabled: true } },
    auth: { htpasswd: { realm: 'acme', path: await writeUsers(stage, 'ann', 'ben') } },
    access: [{ match: '**', pull: ['user:ann', 'user:ben', 'token:ci'], push: ['user:ann'], delete: ['user:ann'] }],
    audit,
  };
}

async function toldIn(path: string): Promise<Told[]> {
  const lines = await readFile(path, 'utf8').catch(() => '');
  return lines
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Told);
}

const inShort = ({ action, result, subject, reference, reason }: Told): string =>
  [action, result, subject, reference, reason].filter((text) => text !== null).join(' ');

describe('the audit', () => {
  scenario(
    'tells who pulled, pushed, deleted, was denied, was not believed, and who changed what anybody may: and no secret',
    async (stage) => {
      const path = join(stage.directory, 'audit.log');
      const server = await stage.start(await settings(stage, { file: path }));
      const [ann, ben] = [sending(server, basic('ann')), sending(server, basic('ben'))];
      expect((await pushImage(ann, '/v2/team/app', 'latest', app)).status).toBe(201);
      expect((await ben.get(LATEST, { headers: { 'x-request-id': 'pull-of-ben' } })).status).toBe(200);
      await (await ben.get(`/v2/team/app/blobs/${layer.digest}`)).bytes();
      expect((await ben.get(LATEST, { method: 'DELETE' })).status).toBe(404);
      expect((await sending(server, basic('ann', 'wr0ng-pass')).get('/v2/')).status).toBe(401);
      expect((await sending(server, basic('typed-pass', 'x')).get('/v2/')).status).toBe(401);
      const narrow = await tokenFor(server, basic('ben'), 'repository:team/other:pull');
      expect((await sending(server, narrow).get(LATEST)).status).toBe(401);
      expect((await sending(server, 'Bearer e30.e30.e30').get(LATEST)).status).toBe(401);
      expect((await ann.get(LATEST, { method: 'DELETE' })).status).toBe(202);
      const run = (...args: string[]) => command(join(stage.directory, 'data'), [...args, '--config', 'config.yml']);
      const token = (await run('token', 'create', 'ci')).out.trim();
      expect((await run('pin', 'registry.acme.test/team/app')).code).toBe(0);
      await server.stop();
      // The store itself is asked where no server runs.
      expect((await run('token', 'revoke', 'ci')).code).toBe(0);
      expect((await run('token', 'revoke', token)).code).toBe(1);

      const told = await toldIn(path);
      const acts = told.map(inShort).toSorted();
      expect(acts).toEqual(
        [
          `reload allowed ${stage.directory}/htpasswd`,
          ...[...app.layers, ...app.configs].map(() => 'push allowed user:ann'),
          'push allowed user:ann latest',
          'pull allowed user:ben latest',
          `pull allowed user:ben ${layer.digest}`,
          'delete denied user:ben latest access',
          'sign-in failed user:ann wrong password',
          'sign-in failed wrong password',
          'sign-in failed wrong token',
          'pull denied user:ben latest scope',
          'delete allowed user:ann latest',
          'token create allowed administrator ci',
          `pin allowed administrator ${REPOSITORY}`,
          'token revoke allowed administrator ci',
        ].toSorted(),
      );
      expect(told.find(({ request_id: id }) => id === 'pull-of-ben')).toEqual({
        time: expect.stringMatching(/^2\d{3}-.*Z$/) as string,
        msg: 'audit',
        action: 'pull',
        result: 'allowed',
        subject: 'user:ben',
        client: '127.0.0.1',
        repository: REPOSITORY,
        reference: 'latest',
        digest: app.top.digest,
        request_id: 'pull-of-ben',
        reason: null,
      });
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      const text = await readFile(path, 'utf8');
      for (const secret of ['wr0ng-pass', 'typed-pass', token, basic('ann').slice(6), narrow.slice(7)])
        expect(text).not.toContain(secret);
    },
    own,
  );

  scenario(
    'tells what goes or comes by command, with a server and without; and nothing of what would',
    async (stage) => {
      const path = join(stage.directory, 'audit.log');
      const image = stage.upstream.image('library/alpine', '3');
      const names = ['registry.acme.test', 'mixed.test'];
      const routes = [
        { match: 'docker.io/**', name: 'hub', upstreams: ['hub'] },
        { match: 'mixed.test/**', name: 'mixed', upstreams: ['hosted', 'hub'], push: true, shadow: true },
      ];
      const access = [{ match: '**', pull: ['user:ann'], push: ['user:ann'] }];
      const server = await stage.start({
        ...(await settings(stage, { file: path })),
        names: { self: names },
        upstreams: { hub: { url: stage.upstream.url } },
        routes,
        access,
      });
      const ann = sending(server, basic('ann'));
      for (const tag of ['3', image.top.digest]) await (await ann.get(`/v2/docker.io/library/alpine/manifests/${tag}`)).bytes();
      expect((await pushImage(ann, '/v2/mixed.test/app', 'latest', app)).status).toBe(201);
      const run = async (...args: string[]): Promise<number> =>
        (await command(join(stage.directory, 'data'), [...args, '--config', 'config.yml'])).code;
      expect(await run('collect')).toBe(0);
      await server.stop();
      const codes = [
        await run('evict', 'alpine:3', '--dry-run'),
        await run('collect', '--dry-run'),
        await run('evict', 'nobody/nothing'),
        await run('evict', 'alpine:3'),
        await run('collect', '--delete-untagged'),
        await run('disown', 'mixed.test/app'),
      ];
      expect(codes).toEqual([0, 0, 1, 0, 0, 0]);
      const acts = (await toldIn(path)).filter(({ subject }) => subject === 'administrator').map(inShort);
      expect(acts).toEqual([
        'collect allowed administrator what nothing needs',
        'evict allowed administrator alpine:3',
        'collect allowed administrator untagged too',
        'disown allowed administrator mixed.test/app',
      ]);
    },
    own,
  );

  scenario(
    'tells once a minute of an address that limits refuse',
    async (stage) => {
      const path = join(stage.directory, 'audit.log');
      const address = { rate: '1/h', burst: 1 };
      const server = await stage.start({ ...(await settings(stage, { file: path })), limits: { address } });
      const replies = [];
      for (let at = 0; at < 5; at += 1) replies.push((await server.get(LATEST)).status);
      expect(replies).toEqual([401, 429, 429, 429, 429]);
      await server.stop();
      const told = (await toldIn(path)).filter(({ action }) => action === 'limit');
      expect(told).toMatchObject([
        { result: 'denied', subject: null, client: '127.0.0.1', reason: 'too much of this address' },
      ]);
    },
    own,
  );

  scenario(
    'goes on in a new file where the old one was moved away, and where a reload says',
    async (stage) => {
      const [path, other] = [join(stage.directory, 'audit.log'), join(stage.directory, 'other.log')];
      const all = await settings(stage, { file: path });
      const server = await stage.start(all);
      const pull = async (): Promise<unknown> => (await sending(server, basic('ben')).get(LATEST)).bytes();
      const pulled = (file: string) => async (): Promise<number> =>
        (await toldIn(file)).filter(({ action }) => action === 'pull').length;
      await pull();
      await until(pulled(path), (count) => count === 1);
      await rename(path, `${path}.1`);
      await pull();
      await until(pulled(path), (count) => count === 1);
      expect(await pulled(`${path}.1`)()).toBe(1);
      await server.reload({ ...all, audit: { file: other } });
      await pull();
      await until(pulled(other), (count) => count === 1);
      await server.reload({ ...all, audit: {} });
      await pull();
      await server.stop();
      expect([await pulled(path)(), await pulled(other)()]).toEqual([1, 1]);
    },
    own,
  );

  scenario(
    'that cannot be written is said once and stops nobody; what waits is written when it can be',
    async (stage) => {
      const path = join(stage.directory, 'not', 'there', 'audit.log');
      const server = await stage.start(await settings(stage, { file: path }));
      expect(await server.logged('degraded')).toMatchObject({ level: 'error', reason: 'audit' });
      const ben = sending(server, basic('ben'));
      for (const _ of [1, 2, 3]) expect((await ben.get(LATEST)).status).toBe(404);
      expect((await server.get('/readyz')).status).toBe(200);
      expect((await server.metrics()).sum('entrepot_degraded', { reason: 'audit' })).toBe(1);
      await mkdir(dirname(path), { recursive: true });
      await server.stop();
      expect(server.records.filter(({ msg }) => msg === 'degraded')).toHaveLength(1);
      expect((await toldIn(path)).filter(({ action }) => action === 'pull')).toHaveLength(3);
    },
    own,
  );

  scenario(
    'on standard output stands among the log, whatever its level',
    async (stage) => {
      const server = await stage.start(await settings(stage, { file: '-' }));
      await (await sending(server, basic('ben')).get(LATEST)).bytes();
      expect(await server.logged('audit', ({ action }) => action === 'pull')).toMatchObject({
        result: 'failed',
        subject: 'user:ben',
        repository: REPOSITORY,
        reason: 'status 404',
      });
    },
    own,
  );
});
