import { rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { buildImage, descriptorOf, manifestBlob, MEDIA_TYPE, type Image } from '../fakes/images.ts';
import { officialData, type OfficialData } from '../fakes/official-data.ts';
import { scenario, type Stage } from './harness.ts';
import type { RunningHere } from './in-process.ts';
import { pullWhole } from './pull-whole.ts';

const app = buildImage({ layers: [3000, 70_000], platforms: ['linux/amd64', 'linux/arm64'] });
const tool = buildImage({ layers: [3000], label: 'tool', format: 'docker' });

/** A plain registry's own configuration, on what it left. */
async function plain(stage: Stage, fill: (data: OfficialData) => Promise<void>): Promise<[RunningHere, OfficialData]> {
  const data = officialData(join(stage.directory, 'data'));
  await fill(data);
  return [await stage.start({ storage: storageOf(data) }), data];
}

function storageOf({ root }: OfficialData) {
  return { filesystem: { rootdirectory: root }, delete: { enabled: true } };
}

const mirror = (stage: Stage, data: OfficialData) => ({
  proxy: { remoteurl: stage.upstream.url },
  storage: storageOf(data),
});

const own = { settings: null } as const;
const digestOf = async (server: RunningHere, path: string): Promise<string> => {
  const reply = await server.get(path);
  return reply.status === 200 ? reply.sha256() : `${reply.status} ${await reply.text()}`;
};

async function fillBoth(data: OfficialData): Promise<void> {
  await data.image('team/app', 'v1', app);
  await data.image('tool', 'latest', tool);
}

describe('a plain registry', () => {
  scenario(
    'every image of the data that are there is served from the first start, and again after a restart',
    async (stage) => {
      const [server, data] = await plain(stage, fillBoth);
      expect(await pullWhole(server, 'team/app', 'v1', app)).toEqual([]);
      expect(await pullWhole(server, 'tool', 'latest', tool)).toEqual([]);
      const again = await server.get('/v2/tool/manifests/latest');
      expect(again.headers['cache-status']).toBe('entrepot; hit');
      await server.stop();
      // What was taken over is ours: it does not need that registry's names any more.
      await rm(data.at('repositories'), { recursive: true });
      const second = await stage.start({ storage: storageOf(data) });
      expect(await pullWhole(second, 'team/app', 'v1', app)).toEqual([]);
      expect(await pullWhole(second, 'tool', 'latest', tool)).toEqual([]);
    },
    own,
  );

  scenario(
    'lists show what is there, before anything of it was asked for and among what was pushed since',
    async (stage) => {
      const [server] = await plain(stage, async (data) => {
        await fillBoth(data);
        await data.image('team-b/x', '0', tool);
        for (const tag of ['a', 'c', 'e']) await data.tag('tool', tag, tool.top.digest);
      });
      const json = async (path: string): Promise<unknown> => (await server.get(path)).json();
      expect(await json('/v2/_catalog')).toEqual({ repositories: ['team-b/x', 'team/app', 'tool'] });
      expect(await json('/v2/_catalog?n=1&last=team-b/x')).toEqual({ repositories: ['team/app'] });
      expect(await json('/v2/tool/tags/list')).toEqual({ name: 'tool', tags: ['a', 'c', 'e', 'latest'] });
      const pushed = await server.get('/v2/tool/manifests/b', put(tool));
      expect(pushed.status).toBe(201);
      expect(await json('/v2/tool/tags/list')).toEqual({ name: 'tool', tags: ['a', 'b', 'c', 'e', 'latest'] });
      expect(await json('/v2/tool/tags/list?n=2&last=a')).toEqual({ name: 'tool', tags: ['b', 'c'] });
      expect((await server.get('/v2/none/tags/list')).status).toBe(404);
    },
    own,
  );

  scenario(
    'what is deleted here stays deleted, though it is still there; nothing there is touched',
    async (stage) => {
      const [server, data] = await plain(stage, fillBoth);
      const gone = async (path: string): Promise<number> => (await server.get(path, { method: 'DELETE' })).status;
      expect(await gone('/v2/team/app/manifests/v1')).toBe(202);
      expect(await gone('/v2/team/app/manifests/v1')).toBe(404);
      expect((await server.get('/v2/team/app/manifests/v1')).status).toBe(404);
      expect(await (await server.get('/v2/team/app/tags/list')).json()).toEqual({ name: 'team/app', tags: [] });
      // By its digest it is still there, until that is deleted too; before and after it was taken over.
      expect(await digestOf(server, `/v2/tool/manifests/${tool.top.digest}`)).toBe(tool.top.digest);
      expect(await gone(`/v2/tool/manifests/${tool.top.digest}`)).toBe(202);
      expect((await server.get('/v2/tool/manifests/latest')).status).toBe(404);
      expect((await server.get(`/v2/tool/manifests/${tool.top.digest}`)).status).toBe(404);
      expect(await gone(`/v2/tool/blobs/${tool.layers[0]!.digest}`)).toBe(202);
      expect((await server.get(`/v2/tool/blobs/${tool.layers[0]!.digest}`)).status).toBe(404);
      await server.stop();
      const second = await stage.start({ storage: storageOf(data) });
      expect((await second.get('/v2/team/app/manifests/v1')).status).toBe(404);
      expect((await second.get('/v2/tool/manifests/latest')).status).toBe(404);
      const official = await stage.start({ storage: storageOf(officialData(join(stage.directory, 'data'))) }, 'data');
      expect(official.url).not.toBe(second.url);
    },
    own,
  );

  scenario(
    'a push needs only what is not there, moves a tag that is, and an immutable one it does not',
    async (stage) => {
      const data = officialData(join(stage.directory, 'data'));
      await fillBoth(data);
      const server = await stage.start({ storage: storageOf(data), defaults: { immutable: ['fixed'] } });
      await data.tag('tool', 'fixed', tool.top.digest);
      await data.image('tool', 'other', app);
      // Its layers were never asked for: the manifest alone is pushed.
      expect((await server.get('/v2/tool/manifests/new', put(tool))).status).toBe(201);
      expect((await server.get('/v2/tool/manifests/latest', put(app))).status).toBe(201);
      expect(await digestOf(server, '/v2/tool/manifests/latest')).toBe(app.top.digest);
      expect((await server.get('/v2/tool/manifests/fixed', put(app))).status).toBe(409);
      expect(await digestOf(server, '/v2/tool/manifests/fixed')).toBe(tool.top.digest);
      const mount = `/v2/fresh/blobs/uploads/?mount=${app.layers[1]!.digest}&from=team/app`;
      expect((await server.get(mount, { method: 'POST', headers: { 'content-length': '0' } })).status).toBe(201);
    },
    own,
  );

  scenario(
    'referrers that clients listed by a tag are listed by the API',
    async (stage) => {
      const { signature, index, tag } = signed(tool);
      const [server] = await plain(stage, async (data) => {
        await fillBoth(data);
        for (const blob of signature.layers.concat(signature.configs)) await data.layer('tool', blob);
        await data.manifest('tool', signature.top);
        await data.manifest('tool', index);
        await data.tag('tool', tag, index.digest);
      });
      const found = (await (await server.get(`/v2/tool/referrers/${tool.top.digest}`)).json()) as {
        manifests: { digest: string }[];
      };
      expect(found.manifests.map(({ digest }) => digest)).toEqual([signature.top.digest]);
    },
    own,
  );
});

describe('a mirror', () => {
  scenario(
    'serves what it has cached, its tags as old as they are there; with the upstream gone as well',
    async (stage) => {
      const data = officialData(join(stage.directory, 'data'));
      await fillBoth(data);
      const link = data.at('repositories/tool/_manifests/tags/latest/current/link');
      await utimes(link, 1_600_000_000, 1_600_000_000);
      stage.upstream.manifest('team/app', 'v1', app.top);
      const server = await stage.start(mirror(stage, data));
      expect(await pullWhole(server, 'team/app', 'v1', app)).toEqual([]);
      // Its tag is fresh, and its bytes are here: nobody was asked for anything.
      expect(stage.upstream.requests).toEqual([]);
      await stage.upstream.close();
      expect(await pullWhole(server, 'tool', 'latest', tool)).toEqual([]);
      const stale = await server.get('/v2/tool/manifests/latest');
      expect(stale.headers['cache-status']).toContain('detail=stale');
      const list = await server.get('/v2/tool/tags/list');
      expect(list.headers['warning']).toContain('only tags that are held here');
      expect(await list.json()).toEqual({ name: 'tool', tags: ['latest'] });
      expect((await server.get('/v2/other/tags/list')).status).toBe(502);
    },
    own,
  );

  scenario(
    'what is damaged there is fetched from upstream; one repository grants nothing to another',
    async (stage) => {
      const data = officialData(join(stage.directory, 'data'));
      await fillBoth(data);
      const [layer] = tool.layers;
      await data.bytes(layer!, Buffer.alloc(layer!.size, 7));
      stage.upstream.manifest('tool', 'latest', tool.top);
      for (const blob of [...tool.layers, ...tool.configs]) stage.upstream.blob('tool', blob);
      const server = await stage.start(mirror(stage, data));
      expect(await pullWhole(server, 'tool', 'latest', tool)).toEqual([]);
      expect(stage.upstream.hits('GET blob')).toBe(1);
      expect((await server.get(`/v2/tool/blobs/${app.layers[1]!.digest}`)).status).toBe(404);
      expect(await server.logged('not taken over')).toMatchObject({ repository: 'tool', reference: layer!.digest });
    },
    own,
  );
});

describe('a mirror whose repository misses a link', () => {
  scenario(
    'bytes that are there need not come again, once an upstream says that the repository has them',
    async (stage) => {
      const data = officialData(join(stage.directory, 'data'));
      await fillBoth(data);
      const [layer] = tool.layers;
      await rm(data.at('repositories/tool/_layers', ...layer!.digest.split(':')), { recursive: true });
      await rm(data.at('repositories/team/app/_layers', ...layer!.digest.split(':')), { recursive: true });
      stage.upstream.manifest('tool', 'latest', tool.top);
      stage.upstream.blob('tool', layer!);
      const server = await stage.start(mirror(stage, data));
      expect(await pullWhole(server, 'tool', 'latest', tool)).toEqual([]);
      expect(stage.upstream.hits('HEAD blob')).toBe(1);
      expect(stage.upstream.hits('GET blob')).toBe(0);
      // Nobody says so of this one.
      expect((await server.get(`/v2/team/app/blobs/${layer!.digest}`)).status).toBe(404);
    },
    own,
  );
});

describe('hostile or broken data', () => {
  scenario(
    'damaged bytes are never served: a blob is not there, and of a tag it is said that it is lost',
    async (stage) => {
      const [server, data] = await plain(stage, async (made) => {
        await fillBoth(made);
        const [layer] = tool.layers;
        await made.bytes(layer!, layer!.bytes.subarray(0, layer!.size - 1));
        await made.bytes(app.top, Buffer.from(app.top.bytes.toString().replace('linux', 'xxxxx')));
      });
      expect((await server.get(`/v2/tool/blobs/${tool.layers[0]!.digest}`)).status).toBe(404);
      expect((await server.get('/v2/team/app/manifests/v1')).status).toBe(500);
      expect((await server.get('/v2/team/app/manifests/v1')).status).toBe(500);
      expect(server.records.filter(({ msg }) => msg === 'not taken over')).toHaveLength(2);
      await data.bytes(app.top);
    },
    own,
  );

  scenario(
    'links that dangle, lead out of the tree, or name another digest grant nothing',
    async (stage) => {
      const secret = buildImage({ layers: [500], label: 'secret' });
      const [server] = await plain(stage, async (data) => {
        await fillBoth(data);
        await data.tag('tool', 'dangling', app.top.digest);
        await data.tag('tool', 'odd', '../../../../etc/passwd');
        await data.tag('tool', 'long', 'x'.repeat(10_000));
        // Bytes that this registry's disk holds, elsewhere.
        const outside = join(stage.directory, 'outside');
        await writeFile(outside, secret.layers[0]!.bytes);
        await data.layer('tool', secret.layers[0]!);
        await rm(data.dataOf(secret.layers[0]!.digest));
        await symlink(outside, data.dataOf(secret.layers[0]!.digest));
        // A link file that is a symbolic one, and one that names something else than its place does.
        const named = (digest: string): string => data.at('repositories/tool/_layers', ...digest.split(':'), 'link');
        await data.layer('tool', secret.configs[0]!);
        await rm(named(secret.configs[0]!.digest));
        await symlink(named(tool.layers[0]!.digest), named(secret.configs[0]!.digest));
        await data.layer('tool', app.layers[1]!);
        await writeFile(named(app.layers[1]!.digest), tool.layers[0]!.digest);
      });
      const statusOf = async (path: string): Promise<number> => (await server.get(path)).status;
      for (const tag of ['dangling', 'odd', 'long'])
        expect([tag, await statusOf(`/v2/tool/manifests/${tag}`)]).toEqual([tag, 404]);
      for (const blob of [secret.layers[0]!, secret.configs[0]!, app.layers[1]!])
        expect(await statusOf(`/v2/tool/blobs/${blob.digest}`)).toBe(404);
      expect(await (await server.get('/v2/tool/tags/list')).json()).toEqual({ name: 'tool', tags: ['latest'] });
      expect(await pullWhole(server, 'tool', 'latest', tool)).toEqual([]);
    },
    own,
  );
});

function put(image: Image) {
  const { bytes, mediaType } = image.top;
  return { method: 'PUT', headers: { 'content-type': mediaType, 'content-length': String(bytes.length) }, body: bytes };
}

/** As a client that signs leaves it in a registry without a referrers API. */
function signed(subject: Image) {
  const base = buildImage({ layers: [50], label: 'signature' });
  const written = JSON.parse(base.top.bytes.toString()) as Record<string, unknown>;
  const top = manifestBlob(MEDIA_TYPE.ociManifest, { ...written, subject: descriptorOf(subject.top, subject.top.mediaType) });
  const index = manifestBlob(MEDIA_TYPE.ociIndex, { manifests: [descriptorOf(top, top.mediaType)] });
  return { signature: { ...base, top }, index, tag: subject.top.digest.replace(':', '-') };
}
