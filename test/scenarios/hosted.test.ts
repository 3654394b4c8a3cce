import { readFileSync } from 'node:fs';
import { rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { parse } from 'yaml';
import { openStore } from '../../src/compose/open-store.ts';
import { printExplanation } from '../../src/commands/explain.ts';
import { printRoutes } from '../../src/commands/print-config.ts';
import { remoteAdmin } from '../../src/commands/remote-admin.ts';
import { printStatus } from '../../src/commands/status.ts';
import { buildImage } from '../fakes/images.ts';
import type { Reply } from '../fakes/http-client.ts';
import { load } from '../unit/config/load.ts';
import { scenario, times, type Stage } from './harness.ts';
import { fileOf, refusalOf } from './paths.ts';
import { pushBlob, pushImage, pushManifest, type PushedTo } from './push.ts';
import { baseSettings, type Settings } from './settings.ts';

const own = { settings: null };
const app = buildImage({ label: 'ours', platforms: ['linux/amd64', 'linux/arm64'] });
const other = buildImage({ label: 'another', layers: [2000] });
const PLAIN: Settings = {};

/** Our own names, and Docker Hub's with ours among them. */
function mixed(upstream: { readonly url: string }, more: Settings = {}): Settings {
  return {
    upstreams: { hub: { url: upstream.url } },
    routes: [
      { match: 'registry.acme.test/**', name: 'own', upstreams: ['hosted'] },
      { match: 'docker.io/**', name: 'mixed', upstreams: ['hosted', 'hub'], push: true, negativettl: '0s', ...more },
    ],
  };
}

const hub = '/v2/docker.io/acme/app';
const mine = '/v2/registry.acme.test/team/app';

/** All of an image that a client asks for. */
async function pulls(server: PushedTo, path: string, tag: string, image: typeof app): Promise<void> {
  const manifest = await server.get(`${path}/manifests/${tag}`);
  expect([await manifest.sha256(), manifest.headers['cache-status']]).toEqual([image.top.digest, 'entrepot; hit']);
  for (const child of image.manifests)
    expect(await (await server.get(`${path}/manifests/${child.digest}`)).sha256()).toBe(child.digest);
  for (const blob of [...image.layers, ...image.configs])
    expect(await (await server.get(`${path}/blobs/${blob.digest}`)).sha256()).toBe(blob.digest);
}

async function pushes(server: PushedTo, path: string, tag: string, image: typeof app): Promise<void> {
  const reply = await pushImage(server, path, tag, image);
  expect([reply.status, await reply.text()]).toEqual([201, '']);
}

const listOf = async (reply: Reply): Promise<unknown> => (expect(reply.status).toBe(200), reply.json());

const sample = (name: string): Settings =>
  parse(readFileSync(new URL(`../fixtures/config/${name}`, import.meta.url), 'utf8')) as Settings;

describe('a plain registry', () => {
  for (const name of ['plain-2.yml', 'plain-3.yml']) {
    scenario(
      `the official registry's ${name} serves as it is, but for addresses: names are the path as it stands`,
      async (stage) => {
        const { http: _, storage, ...rest } = sample(name);
        const { filesystem: __, ...kept } = storage as Settings;
        const directory = join(stage.directory, 'data');
        const server = await stage.start({ ...rest, storage: { ...kept, filesystem: { rootdirectory: directory } } });
        expect((await server.get('/v2/')).status).toBe(200);
        expect(await refusalOf(await server.get('/v2/ubuntu/manifests/1'))).toBe('404 MANIFEST_UNKNOWN');
        expect(await refusalOf(await server.get('/v2/ubuntu/tags/list'))).toBe('404 NAME_UNKNOWN');
        await pushes(server, '/v2/ubuntu', '1', app);
        await pushes(server, '/v2/docker.io/library/ubuntu', '1', other);
        await pulls(server, '/v2/ubuntu', '1', app);
        await pulls(server, '/v2/docker.io/library/ubuntu', '1', other);
        expect(await refusalOf(await server.get('/v2/library/ubuntu/manifests/1'))).toBe('404 MANIFEST_UNKNOWN');
        // What a client says of another registry changes nothing, and nothing is said back.
        const ns = await server.get('/v2/ubuntu/manifests/1?ns=quay.io');
        expect([await ns.sha256(), ns.headers['oci-namespace']]).toEqual([app.top.digest, undefined]);
        expect(await listOf(await server.get('/v2/ubuntu/tags/list'))).toEqual({ name: 'ubuntu', tags: ['1'] });
        expect(await listOf(await server.get('/v2/_catalog'))).toEqual({
          repositories: ['docker.io/library/ubuntu', 'ubuntu'],
        });
        const admin = remoteAdmin(join(directory, 'entrepot.sock'));
        for (const pattern of [undefined, 'ubuntu', 'ubuntu:1', 'ubu*']) {
          const names: string[] = [];
          for await (const { repository, tag } of admin.ls(pattern)) names.push(`${repository}:${tag}`);
          expect(names).toEqual([...(pattern === undefined ? ['docker.io/library/ubuntu:1'] : []), 'ubuntu:1']);
        }
        expect((await server.metrics()).sum('entrepot_requests_total', { registry: 'local', outcome: 'hit' })).toBeGreaterThan(
          0,
        );
        expect(server.records.filter(({ level }) => level === 'error')).toEqual([]);
      },
      own,
    );
  }

  scenario(
    'becomes routes, by a reload, and what was pushed stays where it was',
    async (stage) => {
      const server = await stage.start(PLAIN);
      await pushes(server, '/v2/ubuntu', '1', app);
      stage.upstream.image('library/alpine', '3');
      const directory = join(stage.directory, 'data');
      const routes = (names: Settings): Settings =>
        baseSettings(directory, {
          names,
          upstreams: { hub: { url: stage.upstream.url } },
          routes: [
            { match: 'local/**', upstreams: ['hosted'] },
            { match: 'docker.io/**', upstreams: ['hub'] },
          ],
        });
      await server.reload(routes({ default: 'local' }));
      await pulls(server, '/v2/ubuntu', '1', app);
      expect((await server.get('/v2/docker.io/library/alpine/manifests/3')).status).toBe(200);
      await server.reload(routes({ hosts: { 'registry.acme.test': 'local' } }));
      const headers = { host: 'registry.acme.test' };
      expect(await (await server.get('/v2/ubuntu/manifests/1', { headers })).sha256()).toBe(app.top.digest);
      await server.reload(routes({ self: ['registry.acme.test'], aliases: { 'registry.acme.test': 'local' } }));
      expect(await (await server.get('/v2/ubuntu/manifests/1', { headers })).sha256()).toBe(app.top.digest);
      await server.reload(baseSettings(directory, PLAIN));
      await pulls(server, '/v2/ubuntu', '1', app);
    },
    own,
  );

  scenario(
    'survives a restart, and is the upstream of another one',
    async (stage) => {
      const first = await stage.start(PLAIN);
      await pushes(first, '/v2/team/app', '1', app);
      await first.stop();
      const server = await stage.start(PLAIN);
      await pulls(server, '/v2/team/app', '1', app);
      const mirror = await stage.start(
        { upstreams: { inner: { url: server.url } }, routes: [{ match: 'docker.io/**', upstreams: ['inner'] }] },
        'mirror',
      );
      expect(await (await mirror.get('/v2/team/app/manifests/1')).sha256()).toBe(app.top.digest);
      expect(await listOf(await mirror.get('/v2/team/app/tags/list'))).toEqual({ name: 'team/app', tags: ['1'] });
      expect(await refusalOf(await mirror.get('/v2/team/none/manifests/1'))).toBe('404 MANIFEST_UNKNOWN');
      expect((await mirror.get(`/v2/team/app/referrers/${app.top.digest}`)).status).toBe(200);
    },
    own,
  );
});

describe('one server, registry and mirror', () => {
  scenario(
    '[S14] what was pushed is ours alone: an upstream that has the name too is never asked for it',
    async (stage) => {
      const { upstream } = stage;
      const server = await stage.start(mixed(upstream));
      upstream.image('library/alpine', '3');
      expect((await server.get('/v2/docker.io/library/alpine/manifests/3')).status).toBe(200);
      await pushes(server, hub, '1', app);
      await pushes(server, mine, '1', other);
      // Somebody takes the name out there.
      upstream.image('acme/app', '1', { label: 'evil' });
      upstream.image('acme/app', 'evil', { label: 'evil' });
      upstream.forget();
      await pulls(server, hub, '1', app);
      await pulls(server, mine, '1', other);
      for (const method of ['GET', 'HEAD']) {
        const reply = await server.get(`${hub}/manifests/evil`, { method });
        expect([reply.status, reply.headers['cache-status']]).toEqual([404, 'entrepot; detail=hosted']);
        await reply.bytes();
      }
      expect(await refusalOf(await server.get(`${mine}/manifests/evil`))).toBe('404 MANIFEST_UNKNOWN');
      expect(await listOf(await server.get(`${hub}/tags/list`))).toEqual({ name: 'docker.io/acme/app', tags: ['1'] });
      expect(await refusalOf(await server.get(`${hub}/blobs/${other.layers[0]!.digest}`))).toBe('404 BLOB_UNKNOWN');
      expect(upstream.requests).toEqual([]);
      const request = await server.logged('request', ({ reference }) => reference === 'evil');
      expect(request).toMatchObject({ outcome: 'negative', route: 'mixed', registry: 'docker.io', repository: 'acme/app' });
    },
    own,
  );

  scenario(
    '[S14] a disk that fails is a 503 for what is hosted, and the upstream log stays empty',
    async (stage) => {
      const { upstream } = stage;
      const server = await stage.start(mixed(upstream));
      await pushes(server, hub, '1', other);
      await server.stop();
      // By no means readable: the file is a link to itself.
      for (const blob of [other.top, ...other.layers]) {
        await rm(fileOf(stage, blob));
        await symlink(fileOf(stage, blob), fileOf(stage, blob));
      }
      const again = await stage.start(mixed(upstream));
      upstream.image('acme/app', '1', { label: 'evil' });
      upstream.blob('acme/app', other.layers[0]!);
      upstream.forget();
      for (const path of [
        `${hub}/manifests/1`,
        `${hub}/manifests/${other.top.digest}`,
        `${hub}/blobs/${other.layers[0]!.digest}`,
      ])
        expect([path, await refusalOf(await again.get(path))]).toEqual([path, '503 UNAVAILABLE']);
      expect(upstream.requests).toEqual([]);
    },
    own,
  );

  scenario(
    'by its own Host the names are its own, by any other those that it mirrors',
    async (stage) => {
      const { upstream } = stage;
      upstream.image('library/alpine', '3');
      const server = await stage.start({ ...mixed(upstream), names: { self: ['registry.acme.test'] } });
      const as = (host: string): PushedTo => {
        const at = { headers: { host } };
        const also = (options: { readonly headers?: object } = {}) => ({
          ...options,
          headers: { ...options.headers, ...at.headers },
        });
        return { get: (path, options) => server.get(path, also(options)), head: (path) => server.head(path, at) };
      };
      await pushes(as('registry.acme.test'), '/v2/team/app', '1', app);
      await pushes(as('mirror.acme.test'), '/v2/acme/base', '1', other);
      await pulls(as('registry.acme.test:443'), '/v2/team/app', '1', app);
      await pulls(as('mirror.acme.test'), mine, '1', app);
      await pulls(as('mirror.acme.test'), '/v2/docker.io/acme/base', '1', other);
      expect((await as('mirror.acme.test').get('/v2/alpine/manifests/3')).status).toBe(200);
      const catalogue = async (host: string): Promise<unknown> => (await as(host).get('/v2/_catalog')).json();
      expect(await catalogue('registry.acme.test')).toEqual({ repositories: ['team/app'] });
      expect(await catalogue('mirror.acme.test')).toEqual({
        repositories: ['acme/base', 'library/alpine', 'registry.acme.test/team/app'],
      });
    },
    own,
  );

  scenario(
    'the catalogue holds what is hosted and what is mirrored, in stable pages',
    async (stage) => {
      const { upstream } = stage;
      const server = await stage.start(mixed(upstream));
      for (const at of times(3, String)) {
        upstream.image(`library/m${at}`, '1');
        await (await server.get(`/v2/docker.io/library/m${at}/manifests/1`)).bytes();
        await pushes(server, `/v2/registry.acme.test/h${at}`, '1', other);
      }
      const seen: string[] = [];
      let path: string | undefined = '/v2/_catalog?n=2';
      for (let pages = 0; path !== undefined && pages < 9; pages += 1) {
        const reply = await server.get(path);
        seen.push(...(await reply.json<{ repositories: string[] }>()).repositories);
        path = /^<(.*)>; rel="next"$/.exec(String(reply.headers.link ?? ''))?.[1];
      }
      const names = times(3, (at) => [`library/m${at}`, `registry.acme.test/h${at}`]).flat();
      expect(seen).toEqual(names.toSorted());
      const search = await server.get('/v1/search?q=h1');
      expect(await search.json()).toMatchObject({ results: [{ name: 'registry.acme.test/h1' }] });
    },
    own,
  );
});

describe('names that an upstream answers', () => {
  scenario(
    'cannot be taken by a push, unless the route says so',
    async (stage) => {
      const { upstream } = stage;
      upstream.image('acme/app', '1');
      const server = await stage.start(mixed(upstream));
      const refused = await pushImage(server, hub, '2', app);
      expect(await refusalOf(refused)).toBe('403 DENIED');
      expect(await refusalOf(await pushManifest(server, hub, '2', app.manifests[0]!))).toBe('403 DENIED');
      expect(await (await server.get(`${hub}/manifests/1`)).sha256()).toMatch(/^sha256:/);
      await server.reload(baseSettings(join(stage.directory, 'data'), mixed(upstream, { shadow: true })));
      // Its layer is the upstream's too, as the client was told by HEAD: it comes from there, and stays.
      expect((await server.head(`${hub}/blobs/${app.layers[0]!.digest}`)).status).toBe(200);
      await pushes(server, hub, '2', app);
      expect(upstream.hits(`GET blob`)).toBe(1);
      upstream.forget();
      await pulls(server, hub, '2', app);
      expect(await refusalOf(await server.get(`${hub}/manifests/1`))).toBe('404 MANIFEST_UNKNOWN');
      expect(upstream.requests).toEqual([]);
      // It is ours: no question about the name any more.
      await server.reload(baseSettings(join(stage.directory, 'data'), mixed(upstream)));
      upstream.forget();
      await pushes(server, hub, '3', other);
      expect(upstream.requests).toEqual([]);
    },
    own,
  );

  scenario(
    'and none while an upstream cannot say',
    async (stage) => {
      const { upstream } = stage;
      const server = await stage.start(mixed(upstream));
      upstream.all.status(500);
      const refused = await pushBlob(server, '/v2/docker.io/acme/new', app.layers[0]!);
      expect([refused.status >= 500, refused.status]).toEqual([true, 503]);
    },
    own,
  );

  scenario(
    'routes without hosted, and those that say push: false, take none',
    async (stage) => {
      const server = await stage.start({
        upstreams: { hub: { url: stage.upstream.url } },
        routes: [
          { match: 'a.test/**', upstreams: ['hub'] },
          { match: 'b.test/**', upstreams: ['hosted'], push: false },
          { match: 'c.test/**', upstreams: ['hosted', 'hub'] },
          { match: 'd.test/**', deny: true },
        ],
      });
      for (const [registry, expected] of [
        ['a', '405 UNSUPPORTED'],
        ['b', '405 UNSUPPORTED'],
        ['c', '405 UNSUPPORTED'],
        ['d', '403 DENIED'],
        ['e', '404 NAME_UNKNOWN'],
      ] as const)
        expect([registry, await refusalOf(await pushManifest(server, `/v2/${registry}.test/x`, '1', other.top))]).toEqual([
          registry,
          expected,
        ]);
    },
    own,
  );
});

describe('what is told of it', () => {
  async function given(stage: Stage, name: string): Promise<ReturnType<typeof remoteAdmin>> {
    const server = await stage.start(mixed(stage.upstream), name);
    await pushes(server, hub, '1', other);
    await pushes(server, mine, '1', other);
    return remoteAdmin(join(stage.directory, name, 'entrepot.sock'));
  }

  scenario(
    'by a running server: status, ls, explain, disown',
    async (stage) => {
      const admin = await given(stage, 'data');
      expect(printStatus(await admin.status())).toMatch(/^hosted +own \(push\), mixed \(push\)$/m);
      const listed: unknown[] = [];
      for await (const { repository, tag, owner, upstream } of admin.ls(undefined))
        listed.push([repository, tag, owner, upstream]);
      expect(listed).toEqual([
        ['docker.io/acme/app', '1', 'push', 'hosted'],
        ['registry.acme.test/team/app', '1', 'push', 'hosted'],
      ]);
      stage.upstream.forget();
      const { signal } = new AbortController();
      const explained = printExplanation(await admin.explain('acme/app:1', signal));
      expect(explained).toMatch(/^route: mixed \(config\.yml:1\): hosted, hub$/m);
      expect(explained).toMatch(/^hosted: pushed here since .*: nobody else answers for it; takes pushes$/m);
      expect(explained).toMatch(/^ {2}tag pushed /m);
      expect(stage.upstream.requests).toEqual([]);
      await expect(admin.disown('registry.acme.test/team/app')).rejects.toThrow('nobody else would answer');
      expect(await admin.disown('acme/app')).toEqual({ repository: 'docker.io/acme/app', chain: ['hub'] });
      await expect(admin.disown('acme/app')).rejects.toThrow('docker.io/acme/app is not hosted here');
    },
    own,
  );

  scenario(
    'disown, with no server running: the chain answers from then on',
    async (stage) => {
      const { upstream } = stage;
      const first = await stage.start(mixed(upstream));
      await pushes(first, hub, '1', app);
      const theirs = upstream.image('acme/app', '1', { label: 'theirs', layers: [3000] });
      await first.stop();
      const directory = join(stage.directory, 'data');
      const store = await openStore(await load(JSON.stringify(baseSettings(directory, mixed(upstream)))), 'test');
      expect(await store.admin.disown('acme/app')).toMatchObject({ chain: ['hub'] });
      await store.close();
      const server = await stage.start(mixed(upstream));
      expect(await (await server.get(`${hub}/manifests/1`)).sha256()).toBe(theirs.top.digest);
      expect(await refusalOf(await server.get(`${hub}/blobs/${app.layers[0]!.digest}`))).toBe('404 BLOB_UNKNOWN');
    },
    own,
  );

  scenario(
    'by check: which routes are hosted, and which take pushes',
    async (stage) => {
      const { routes } = await load(JSON.stringify(mixed(stage.upstream, { shadow: true })));
      const table = printRoutes(routes);
      expect(table).toMatch(/^registry\.acme\.test\/\*\* +own +hosted \(push\) {2,}config/m);
      expect(table).toMatch(/^docker\.io\/\*\* +mixed +hosted \(push, shadow\), hub +tags 5m/m);
    },
    own,
  );
});
