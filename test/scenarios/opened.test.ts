import { join } from 'node:path';
import { describe, expect } from 'vitest';
import type { Image } from '../fakes/images.ts';
import type { Reply } from '../fakes/http-client.ts';
import { until } from './acceptance.ts';
import { scenario, type Stage } from './harness.ts';
import type { RunningHere } from './in-process.ts';
import { blobPath, manifestPath } from './paths.ts';
import { basic, sending, tokenFor, writeUsers } from './people.ts';
import { pushImage } from './push.ts';
import { baseSettings, type Settings } from './settings.ts';

const own = { settings: null };
const PRIVATE = 'acme/secret';
const OPEN = 'library/open';

/** docker.io with an account that unlocks where nobody may pull unnamed; `who` may pull. */
async function settings(stage: Stage, who: string, more: { route?: Settings; upstream?: Settings } = {}): Promise<Settings> {
  const account = { url: stage.upstream.url, username: 'me', password: 'pw', ...more.upstream };
  return baseSettings(join(stage.directory, 'data'), {
    upstreams: { hub: account },
    routes: [
      {
        match: 'docker.io/**',
        name: 'hub',
        upstreams: ['hub'],
        tagttl: '1h',
        negativettl: '0s',
        immutable: ['v*'],
        ...more.route,
      },
      { match: 'registry.acme.test/**', name: 'own', upstreams: ['hosted'] },
    ],
    auth: { htpasswd: { realm: 'acme', path: await writeUsers(stage, 'ann') } },
    access: [
      { match: 'docker.io/**', pull: [who] },
      { match: 'registry.acme.test/**', pull: ['user:ann'], push: ['user:ann'] },
    ],
  });
}

const lock = ({ upstream }: Stage, privateRepositories: string[]): void =>
  upstream.auth.set({ scheme: 'bearer', username: 'me', password: 'pw', privateRepositories });

const asksOf = (image: Image, repository: string): string[] => [
  manifestPath('1', repository),
  manifestPath('v1', repository),
  manifestPath(image.top.digest, repository),
  blobPath(image.layers[0]!, repository),
  `/v2/${repository}/tags/list`,
];

async function statuses(client: Pick<RunningHere, 'get' | 'head'>, paths: readonly string[]): Promise<number[]> {
  const replies: Reply[] = [];
  for (const path of paths) replies.push(await client.get(path), await client.head(path));
  return Promise.all(replies.map(async (reply) => (await reply.untilBroken(), reply.status)));
}

/** All of it, until it is held: a client has the last byte a little earlier. */
async function pullWhole(client: Pick<RunningHere, 'get' | 'head'>, paths: readonly string[]): Promise<void> {
  expect(new Set(await statuses(client, paths))).toEqual(new Set([200]));
  const ask = async (): Promise<string> => String((await client.head(paths[3]!)).headers['cache-status']);
  await until(ask, (said) => said.startsWith('entrepot; hit'));
}

interface Unlocked {
  readonly server: RunningHere;
  readonly ann: Pick<RunningHere, 'get' | 'head'>;
  readonly image: Image;
  readonly paths: readonly string[];
}

/** ann has pulled what the account unlocks, by all names. */
async function startUnlocked(stage: Stage): Promise<Unlocked> {
  const image = stage.upstream.image(PRIVATE, '1', { label: 'secret' });
  stage.upstream.manifest(PRIVATE, 'v1', image.top);
  lock(stage, [PRIVATE]);
  const server = await stage.start(await settings(stage, 'user:ann'));
  const ann = sending(server, basic('ann'));
  const paths = asksOf(image, PRIVATE);
  await pullWhole(ann, paths);
  return { server, ann, image, paths };
}

/** Whoever has not said who they are. */
async function anybody(server: RunningHere, repository = PRIVATE): Promise<Pick<RunningHere, 'get' | 'head'>> {
  return sending(
    server,
    await tokenFor(server, undefined, `repository:${repository}:pull`, `repository:docker.io/${repository}:pull`),
  );
}

const all = (paths: readonly string[], status: number): number[] => paths.flatMap(() => [status, status]);

describe('[promise 9] what an account unlocked is not published by opening a rule', () => {
  scenario(
    'an upstream has to say that anybody may read it: while it does not, it is not there',
    async (stage) => {
      const { server, image, paths } = await startUnlocked(stage);
      await server.reload(await settings(stage, 'anyone'));
      const nobody = await anybody(server);
      expect(await statuses(nobody, paths)).toEqual(all(paths, 404));
      expect(await statuses(sending(server, basic('ann')), paths)).toEqual(all(paths, 404));

      lock(stage, []);
      stage.upstream.forget();
      expect(new Set(await statuses(nobody, paths))).toEqual(new Set([200]));
      // It is asked about, and not fetched again.
      expect(stage.upstream.hits('GET blob')).toBe(0);
      stage.upstream.forget();
      expect(new Set(await statuses(nobody, paths.slice(0, 4)))).toEqual(new Set([200]));
      expect(stage.upstream.seen('manifest').length + stage.upstream.seen('blob').length).toBe(0);
      expect(await (await nobody.get(manifestPath('v1', PRIVATE))).sha256()).toBe(image.top.digest);
    },
    own,
  );

  scenario(
    'nor while nobody can be asked; and who may have it by name still may',
    async (stage) => {
      const { server, ann, paths } = await startUnlocked(stage);
      await server.reload(await settings(stage, 'anyone'));
      stage.upstream.all.status(503);
      const nobody = await anybody(server);
      for (const status of await statuses(nobody, paths)) expect(status).toBeGreaterThanOrEqual(404);
      await server.reload(await settings(stage, 'anyone', { route: { offline: true } }));
      const offline = await statuses(nobody, paths);
      expect(offline.slice(0, 8)).toEqual(all(paths.slice(0, 4), 404));
      expect(await (await nobody.get(paths[4]!)).text()).not.toContain('v1');

      await server.reload(await settings(stage, 'user:ann', { route: { offline: true } }));
      expect(new Set(await statuses(ann, paths))).toEqual(new Set([200]));
      await server.reload(await settings(stage, 'user:ann'));
      expect(new Set(await statuses(ann, paths))).toEqual(new Set([200]));
    },
    own,
  );

  scenario(
    'nor by making the account pay only; but where it unlocks for all by what is written, it does',
    async (stage) => {
      const { server, ann, paths } = await startUnlocked(stage);
      await server.reload(await settings(stage, 'user:ann', { upstream: { use: 'quota' } }));
      expect(await statuses(ann, paths)).toEqual(all(paths, 404));
      await server.reload(await settings(stage, 'anyone', { upstream: { use: 'all' } }));
      stage.upstream.forget();
      expect(new Set(await statuses(await anybody(server), paths))).toEqual(new Set([200]));
      expect(stage.upstream.seen('manifest').length + stage.upstream.seen('blob').length).toBe(0);
    },
    own,
  );

  scenario(
    'and where headers open the door for all, a hit asks nobody',
    async (stage) => {
      const image = stage.upstream.image(OPEN, '1', { label: 'open' });
      stage.upstream.manifest(OPEN, 'v1', image.top);
      const upstream = { username: undefined, password: undefined, headers: { 'x-door': 'key' } };
      const server = await stage.start(await settings(stage, 'anyone', { upstream }));
      const nobody = await anybody(server, OPEN);
      const paths = asksOf(image, OPEN);
      await pullWhole(nobody, paths);
      stage.upstream.forget();
      expect(new Set(await statuses(nobody, paths))).toEqual(new Set([200]));
      expect(stage.upstream.seen('manifest').length + stage.upstream.seen('blob').length).toBe(0);
    },
    own,
  );

  scenario(
    'nor by a mount: who pushes elsewhere brings the bytes',
    async (stage) => {
      const { server, ann, image } = await startUnlocked(stage);
      const layer = image.layers[0]!;
      const mount = `/v2/registry.acme.test/app/blobs/uploads/?mount=${layer.digest}&from=docker.io/${PRIVATE}`;
      await server.reload(await settings(stage, 'anyone'));
      expect((await ann.get(mount, { method: 'POST', headers: { 'content-length': '0' } })).status).toBe(202);
      await server.reload(await settings(stage, 'user:ann'));
      expect((await ann.get(mount, { method: 'POST', headers: { 'content-length': '0' } })).status).toBe(201);
    },
    own,
  );

  scenario(
    'what anybody could have all along is served as ever, with nobody asked',
    async (stage) => {
      const image = stage.upstream.image(OPEN, '1', { label: 'open' });
      stage.upstream.manifest(OPEN, 'v1', image.top);
      const [account, none] = [{}, { username: undefined, password: undefined }];
      lock(stage, [PRIVATE]);
      const server = await stage.start(await settings(stage, 'user:ann', { upstream: none }));
      const paths = asksOf(image, OPEN);
      await pullWhole(sending(server, basic('ann')), paths);
      stage.upstream.all.status(503);
      for (const upstream of [none, account]) {
        await server.reload(await settings(stage, 'anyone', { upstream }));
        expect(new Set(await statuses(await anybody(server, OPEN), paths))).toEqual(new Set([200]));
      }
      const pushed = await pushImage(sending(server, basic('ann')), '/v2/registry.acme.test/app', '1', image);
      expect(pushed.status).toBe(201);
    },
    own,
  );
});
