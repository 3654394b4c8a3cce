import { join } from 'node:path';
import { describe, expect } from 'vitest';
import type { Reply } from '../fakes/http-client.ts';
import { blobOf, buildImage, descriptorOf, manifestBlob, MEDIA_TYPE, randomBlob, type ManifestBlob } from '../fakes/images.ts';
import { scenario, times, type Stage } from './harness.ts';
import type { RunningHere } from './in-process.ts';
import { refusalOf } from './paths.ts';
import { pushBlob, pushImage, pushManifest } from './push.ts';
import type { Settings } from './settings.ts';

const own = { settings: null };
const APP = '/v2/team/app';
const image = buildImage({ layers: [500, 700] });
const config = blobOf(Buffer.from('{}'));
const CONFIG = descriptorOf(config, 'application/vnd.oci.empty.v1+json');

function start(stage: Stage, more: Settings = {}): Promise<RunningHere> {
  const rootdirectory = join(stage.directory, 'data');
  return stage.start({ storage: { filesystem: { rootdirectory }, delete: { enabled: true } }, ...more });
}

const artifact = (fields: Readonly<Record<string, unknown>>): ManifestBlob =>
  manifestBlob(MEDIA_TYPE.ociManifest, { config: CONFIG, layers: [], ...fields });

async function created(reply: Reply, manifest: Pick<ManifestBlob, 'digest'>, path = APP): Promise<void> {
  expect([reply.status, await reply.text()]).toEqual([201, '']);
  expect(reply.headers['docker-content-digest']).toBe(manifest.digest);
  expect(reply.headers.location).toBe(`${path}/manifests/${manifest.digest}`);
}

describe('a manifest is pushed', () => {
  scenario(
    'by tag and by digest, and comes back byte for byte under its type',
    async (stage) => {
      const server = await start(stage);
      for (const format of ['oci', 'docker'] as const) {
        const pushed = buildImage({ format, platforms: ['linux/amd64', 'linux/arm64'] });
        await created(await pushImage(server, APP, format, pushed), pushed.top);
        await created(await pushManifest(server, APP, pushed.top.digest, pushed.top), pushed.top);
        for (const reference of [format, pushed.top.digest]) {
          const pulled = await server.get(`${APP}/manifests/${reference}`);
          expect(pulled.headers['content-type']).toBe(pushed.top.mediaType);
          expect(Buffer.compare(await pulled.bytes(), pushed.top.bytes)).toBe(0);
        }
      }
      expect(await (await server.get(`${APP}/tags/list`)).json()).toEqual({ name: 'team/app', tags: ['docker', 'oci'] });
    },
    own,
  );

  scenario(
    'by digest with tags beside it, each said back',
    async (stage) => {
      const server = await start(stage);
      await pushImage(server, APP, 'first', image);
      const tags = times(20, (at) => `v${at}`);
      const query = tags.map((tag) => `tag=${tag}`).join('&');
      const reply = await pushManifest(server, APP, `${image.top.digest}?${query}`, image.top);
      await created(reply, image.top);
      expect(reply.headers['oci-tag']).toBe(tags.join(', '));
      for (const tag of tags) expect(await (await server.get(`${APP}/manifests/${tag}`)).sha256()).toBe(image.top.digest);
      expect(await refusalOf(await pushManifest(server, APP, `${image.top.digest}?tag=.no`, image.top))).toBe(
        '400 TAG_INVALID',
      );
      const many = times(101, (at) => `tag=t${at}`).join('&');
      expect(await refusalOf(await pushManifest(server, APP, `${image.top.digest}?${many}`, image.top))).toBe(
        '414 TAG_INVALID',
      );
    },
    own,
  );

  scenario(
    'under a sha512, by which its tag is then pulled',
    async (stage) => {
      const server = await start(stage);
      await pushImage(server, APP, '1', image);
      const { digest } = blobOf(image.top.bytes, 'sha512');
      await created(await pushManifest(server, APP, `${digest}?tag=long`, image.top), { digest });
      const pulled = await server.get(`${APP}/manifests/long`);
      expect([pulled.headers['docker-content-digest'], Buffer.compare(await pulled.bytes(), image.top.bytes)]).toEqual([
        digest,
        0,
      ]);
    },
    own,
  );

  scenario(
    'with a subject, which need not be there, and is listed from that moment on',
    async (stage) => {
      const server = await start(stage);
      await pushBlob(server, APP, config);
      const subject = descriptorOf(image.top, image.top.mediaType);
      const signature = artifact({ subject, artifactType: 'application/x.signature', annotations: { by: 'ann' } });
      const reply = await pushManifest(server, APP, signature.digest, signature);
      await created(reply, signature);
      expect(reply.headers['oci-subject']).toBe(image.top.digest);
      const listed = await (await server.get(`${APP}/referrers/${image.top.digest}`)).json<{ manifests: unknown[] }>();
      expect(listed.manifests).toEqual([
        {
          ...descriptorOf(signature, signature.mediaType),
          artifactType: 'application/x.signature',
          annotations: { by: 'ann' },
        },
      ]);
      // S53: not under another repository.
      await pushBlob(server, '/v2/team/other', config);
      const elsewhere = await (
        await server.get(`/v2/team/other/referrers/${image.top.digest}`)
      ).json<{ manifests: unknown[] }>();
      expect(elsewhere.manifests).toEqual([]);
    },
    own,
  );

  scenario(
    'with layers that are elsewhere by their own addresses',
    async (stage) => {
      const server = await start(stage);
      await pushBlob(server, APP, config);
      const foreign = { ...descriptorOf(randomBlob(9, 77), MEDIA_TYPE.ociLayer), urls: ['https://store.example.test/x'] };
      const manifest = artifact({ layers: [foreign] });
      await created(await pushManifest(server, APP, 'windows', manifest), manifest);
    },
    own,
  );

  scenario(
    'and the tag moves; one that is immutable does not',
    async (stage) => {
      const server = await start(stage, {
        names: { default: 'local' },
        routes: [{ match: 'local/**', upstreams: ['hosted'], immutable: ['v*'] }],
      });
      const next = buildImage({ label: 'next' });
      for (const tag of ['latest', 'v1']) await pushImage(server, APP, tag, image);
      await created(await pushImage(server, APP, 'latest', next), next.top);
      expect(await (await server.get(`${APP}/manifests/latest`)).sha256()).toBe(next.top.digest);
      const moved = await server.logged('tag moved');
      expect(moved).toMatchObject({ repository: 'local/team/app', tag: 'latest', from: image.top.digest, to: next.top.digest });
      expect(await refusalOf(await pushManifest(server, APP, 'v1', next.top))).toBe('409 DENIED');
      expect(await refusalOf(await pushManifest(server, APP, `${next.top.digest}?tag=new&tag=v1`, next.top))).toBe(
        '409 DENIED',
      );
      expect((await server.get(`${APP}/manifests/new`)).status).toBe(404);
      expect(await (await server.get(`${APP}/manifests/v1`)).sha256()).toBe(image.top.digest);
      // The same again is no move.
      await created(await pushManifest(server, APP, 'v1', image.top), image.top);
    },
    own,
  );
});

describe('a manifest is refused', () => {
  scenario(
    '[S10] when it names what is not in this repository, though another one has it',
    async (stage) => {
      const server = await start(stage);
      await pushImage(server, '/v2/private/a', '1', image);
      const refused = await pushManifest(server, APP, '1', image.top);
      expect(await refusalOf(refused)).toBe('400 MANIFEST_BLOB_UNKNOWN');
      for (const blob of [...image.layers, image.config]) {
        expect((await server.get(`${APP}/blobs/${blob.digest}`)).status).toBe(404);
      }
      const index = manifestBlob(MEDIA_TYPE.ociIndex, { manifests: [descriptorOf(image.top, image.top.mediaType)] });
      expect(await refusalOf(await pushManifest(server, APP, '2', index))).toBe('400 MANIFEST_BLOB_UNKNOWN');
      expect((await server.get(`${APP}/manifests/2`)).status).toBe(404);
      expect((await server.get(`${APP}/manifests/${index.digest}`)).status).toBe(404);
    },
    own,
  );

  const put = (server: RunningHere, reference: string, body: Uint8Array, contentType?: string): Promise<Reply> =>
    server.get(`${APP}/manifests/${reference}`, {
      method: 'PUT',
      body,
      headers: contentType === undefined ? {} : { 'content-type': contentType },
    });

  scenario(
    'when it is not what its digest says',
    async (stage) => {
      const server = await start(stage);
      await pushImage(server, APP, '1', image);
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const { digest } = blobOf(Buffer.concat([image.top.bytes, Buffer.from(' ')]), algorithm);
        expect(await refusalOf(await pushManifest(server, APP, digest, image.top))).toBe('400 DIGEST_INVALID');
      }
      expect(await refusalOf(await put(server, 'sha256:baddigeststring', image.top.bytes))).toBe('400 DIGEST_INVALID');
    },
    own,
  );

  scenario(
    '[CVE-2026-44456] [CVE-2026-54288] when it is too large, whether it says so or not',
    async (stage) => {
      const server = await start(stage);
      const large = Buffer.alloc(4 * 1024 * 1024 + 1, ' ');
      expect(await refusalOf(await put(server, 'x', large, MEDIA_TYPE.ociManifest))).toBe('413 SIZE_INVALID');
      await pushBlob(server, APP, config);
      const fits = artifact({ annotations: { long: 'x'.repeat(4 * 1024 * 1024 - 400) } });
      expect(fits.size).toBeLessThanOrEqual(4 * 1024 * 1024);
      await created(await pushManifest(server, APP, 'fits', fits), fits);
    },
    own,
  );

  scenario(
    '[S12] [CVE-2021-41190] [GHSA-mc8v-mgrf-8f4m] [GHSA-77vh-xpmg-72qh] [GHSA-qq97-vm5h-rrhg] [GHSA-5j5w-g665-5m35] when clients could read it differently, or it is none',
    async (stage) => {
      const server = await start(stage);
      await pushImage(server, APP, '1', image);
      const text = image.top.bytes.toString();
      const layers = text.slice(1, -1);
      const deep = `{"schemaVersion":2,"x":${'['.repeat(70)}${']'.repeat(70)}}`;
      const both = `{${layers},"manifests":[]}`;
      const md5 = manifestBlob(MEDIA_TYPE.ociManifest, { config: { ...CONFIG, digest: `md5:${'0'.repeat(32)}` }, layers: [] });
      const cases: readonly (readonly [what: string, body: string | Buffer, type: string | undefined])[] = [
        ['no JSON', '{', MEDIA_TYPE.ociManifest],
        ['nothing', '', MEDIA_TYPE.ociManifest],
        ['an image by its header alone', '{"schemaVersion":2}', MEDIA_TYPE.ociManifest],
        ['an index by its header alone', '{"schemaVersion":2,"manifests":null}', MEDIA_TYPE.ociIndex],
        ['a list', '[]', MEDIA_TYPE.ociManifest],
        ['too deep', deep, MEDIA_TYPE.ociManifest],
        ['an index and an image', both, MEDIA_TYPE.ociManifest],
        ['an index and an image, said to be an index', both, MEDIA_TYPE.ociIndex],
        ['another type than it says', text, MEDIA_TYPE.dockerManifest],
        ['no type of manifest', text, 'application/json'],
        ['an unknown type', '{"schemaVersion":2,"mediaType":"application/vnd.acme+json"}', 'application/vnd.acme+json'],
        ['schema 1', '{"schemaVersion":1,"fsLayers":[]}', 'application/vnd.docker.distribution.manifest.v1+json'],
        ['a key twice', `{${layers},"layers":[]}`, MEDIA_TYPE.ociManifest],
        ['a key twice, once escaped', `{${layers},"\\u006cayers":[]}`, MEDIA_TYPE.ociManifest],
        ['a key in another case', `{${layers},"MediaType":"x/y"}`, MEDIA_TYPE.ociManifest],
        ['a descriptor in another case', text.replace('"digest"', '"Digest":"x","digest"'), MEDIA_TYPE.ociManifest],
        ['an algorithm that nobody can check', md5.bytes, MEDIA_TYPE.ociManifest],
      ];
      for (const [what, body, type] of cases) {
        expect([what, await refusalOf(await put(server, 'x', Buffer.from(body), type))]).toEqual([
          what,
          '400 MANIFEST_INVALID',
        ]);
      }
      expect((await server.get(`${APP}/manifests/x`)).status).toBe(404);
      // Parameters of the type do not count.
      expect((await put(server, 'y', image.top.bytes, `${image.top.mediaType}; charset=utf-8`)).status).toBe(201);
      expect((await server.get(`${APP}/manifests/y`)).headers['content-type']).toBe(image.top.mediaType);
    },
    own,
  );
});

describe('what is deleted', () => {
  scenario(
    'by tag is that tag; by digest all of them, and the referrer; blobs by their digest',
    async (stage) => {
      const server = await start(stage);
      const drop = (path: string): Promise<Reply> => server.get(`${APP}/${path}`, { method: 'DELETE' });
      for (const tag of ['a', 'b', 'c']) await pushImage(server, APP, tag, image);
      const signed = artifact({ subject: descriptorOf(image.top, image.top.mediaType) });
      await pushBlob(server, APP, config);
      await pushManifest(server, APP, signed.digest, signed);
      expect((await drop('manifests/a')).status).toBe(202);
      expect((await server.get(`${APP}/manifests/a`)).status).toBe(404);
      expect(await (await server.get(`${APP}/tags/list`)).json()).toEqual({ name: 'team/app', tags: ['b', 'c'] });
      expect((await drop(`manifests/${signed.digest}`)).status).toBe(202);
      expect(await (await server.get(`${APP}/referrers/${image.top.digest}`)).json()).toMatchObject({ manifests: [] });
      expect((await drop(`manifests/${image.top.digest}`)).status).toBe(202);
      for (const reference of ['b', 'c', image.top.digest])
        expect((await server.get(`${APP}/manifests/${reference}`)).status).toBe(404);
      expect((await drop(`blobs/${config.digest}`)).status).toBe(202);
      expect((await server.get(`${APP}/blobs/${config.digest}`)).status).toBe(404);
      for (const gone of ['manifests/a', 'manifests/none', `manifests/${image.top.digest}`]) {
        expect(await refusalOf(await drop(gone))).toBe('404 MANIFEST_UNKNOWN');
      }
      expect(await refusalOf(await drop(`blobs/${config.digest}`))).toBe('404 BLOB_UNKNOWN');
      // What was deleted can be pushed again.
      await created(await pushImage(server, APP, 'a', image), image.top);
    },
    own,
  );

  scenario(
    '[CVE-2026-41888] is not, unless storage.delete.enabled says so',
    async (stage) => {
      const server = await stage.start({});
      await pushImage(server, APP, '1', image);
      for (const path of ['manifests/1', `manifests/${image.top.digest}`, `blobs/${image.config.digest}`]) {
        expect(await refusalOf(await server.get(`${APP}/${path}`, { method: 'DELETE' }))).toBe('405 UNSUPPORTED');
      }
      expect(await (await server.get(`${APP}/manifests/1`)).sha256()).toBe(image.top.digest);
    },
    own,
  );

  scenario(
    'of what is cached is let go of, and asked for again',
    async (stage) => {
      const { upstream } = stage;
      const hub = upstream.image('library/alpine', '3');
      const server = await start(stage, {
        upstreams: { hub: { url: upstream.url } },
        routes: [{ match: 'docker.io/**', upstreams: ['hub'], tagttl: '1h' }],
      });
      const path = '/v2/docker.io/library/alpine';
      const manifest = `${path}/manifests/3`;
      for (let pull = 0; pull < 2; pull += 1) await (await server.get(manifest)).bytes();
      expect(upstream.hits('GET manifest')).toBe(1);
      expect((await server.get(manifest, { method: 'DELETE' })).status).toBe(202);
      await (await server.get(manifest)).bytes();
      expect(upstream.hits('GET manifest') + upstream.hits('HEAD manifest')).toBe(2);
      expect((await server.get(`${path}/manifests/${hub.top.digest}`, { method: 'DELETE' })).status).toBe(202);
      expect(await refusalOf(await server.get(`${path}/manifests/${hub.top.digest}`, { method: 'DELETE' }))).toBe(
        '404 MANIFEST_UNKNOWN',
      );
      expect(await (await server.get(manifest)).sha256()).toBe(hub.top.digest);
      expect((await server.get(`${path}/blobs/${hub.config.digest}`, { method: 'DELETE' })).status).toBe(404);
      await (await server.get(`${path}/blobs/${hub.config.digest}`)).bytes();
      await server.settled();
      expect((await server.get(`${path}/blobs/${hub.config.digest}`, { method: 'DELETE' })).status).toBe(202);
    },
    own,
  );
});

describe('on a chain that is shared', () => {
  const mixed = (stage: Stage, more: Settings = {}): Settings => ({
    upstreams: { hub: { url: stage.upstream.url } },
    routes: [{ match: 'docker.io/**', upstreams: ['hosted', 'hub'], push: true, shadow: true, negativettl: '0s', ...more }],
  });

  scenario(
    'the first manifest takes along what the rest of the chain told its client to be there',
    async (stage) => {
      const base = stage.upstream.image('acme/app', 'base');
      const server = await start(stage, mixed(stage));
      const path = '/v2/docker.io/acme/app';
      const [layer] = base.layers;
      expect((await server.head(`${path}/blobs/${layer!.digest}`)).status).toBe(200);
      await pushBlob(server, path, config);
      const manifest = artifact({ layers: [descriptorOf(layer!, MEDIA_TYPE.ociLayer)] });
      await created(await pushManifest(server, path, 'ours', manifest), manifest, path);
      // From here on it is ours, whole, whatever becomes of the upstream.
      await stage.upstream.close();
      expect(await (await server.get(`${path}/manifests/ours`)).sha256()).toBe(manifest.digest);
      expect(await (await server.get(`${path}/blobs/${layer!.digest}`)).sha256()).toBe(layer!.digest);
      expect((await server.get(`${path}/manifests/base`)).status).toBe(404);
    },
    own,
  );

  scenario(
    'what nobody has is missing all the same',
    async (stage) => {
      const server = await start(stage, mixed(stage));
      const path = '/v2/docker.io/acme/new';
      await pushBlob(server, path, config);
      const manifest = artifact({ layers: [descriptorOf(randomBlob(50, 123), MEDIA_TYPE.ociLayer)] });
      expect(await refusalOf(await pushManifest(server, path, '1', manifest))).toBe('400 MANIFEST_BLOB_UNKNOWN');
    },
    own,
  );
});
