import { join } from 'node:path';
import { readdir, utimes, writeFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import type { Reply } from '../fakes/http-client.ts';
import { blobOf, randomBlob, type Blob } from '../fakes/images.ts';
import { scenario, type Stage } from './harness.ts';
import type { RunningHere } from './in-process.ts';
import { refusalOf } from './paths.ts';
import type { Settings } from './settings.ts';

const own = { settings: null };
const APP = '/v2/team/app';
const UPLOADS = `${APP}/blobs/uploads/`;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** A plain registry that lets go of what is deleted. */
function start(stage: Stage, name = 'data', more: Settings = {}): Promise<RunningHere> {
  const rootdirectory = join(stage.directory, name);
  return stage.start({ storage: { filesystem: { rootdirectory }, delete: { enabled: true } }, ...more }, name);
}

async function begin(server: RunningHere, query = ''): Promise<string> {
  const reply = await server.get(`${UPLOADS}${query}`, { method: 'POST', headers: { 'content-length': '0' } });
  expect([reply.status, reply.headers.range, await reply.text()]).toEqual([202, '0-0', '']);
  expect(reply.headers['docker-upload-uuid']).toMatch(UUID);
  expect(reply.headers.location).toBe(`${UPLOADS}${reply.headers['docker-upload-uuid'] as string}`);
  return reply.headers.location!;
}

const patch = (server: RunningHere, at: string, bytes: Uint8Array, range?: string): Promise<Reply> =>
  server.get(at, { method: 'PATCH', body: bytes, headers: range === undefined ? {} : { 'content-range': range } });

const put = (server: RunningHere, at: string, digest: string, bytes?: Uint8Array, range?: string): Promise<Reply> =>
  server.get(`${at}?digest=${encodeURIComponent(digest)}`, {
    method: 'PUT',
    headers: {
      ...(bytes === undefined ? { 'content-length': '0' } : {}),
      ...(range === undefined ? {} : { 'content-range': range }),
    },
    ...(bytes === undefined ? {} : { body: bytes }),
  });

async function accepted(reply: Reply, offset: number): Promise<void> {
  expect([reply.status, reply.headers.range, await reply.text()]).toEqual([202, `0-${offset - 1}`, '']);
}

async function finished(server: RunningHere, reply: Reply, blob: Blob): Promise<void> {
  expect([reply.status, await reply.text()]).toEqual([201, '']);
  expect(reply.headers['docker-content-digest']).toBe(blob.digest);
  expect(reply.headers.location).toBe(`${APP}/blobs/${blob.digest}`);
  const pulled = await server.get(reply.headers.location!);
  expect(Buffer.compare(await pulled.bytes(), blob.bytes)).toBe(0);
}

/** The files of unfinished uploads. */
const parts = (stage: Stage, name = 'data'): Promise<string[]> => readdir(join(stage.directory, name, 'entrepot/parts'));

describe('a blob is pushed', () => {
  scenario(
    'in one POST',
    async (stage) => {
      const server = await start(stage);
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const blob = blobOf(Buffer.from(`whole ${algorithm}`), algorithm);
        const reply = await server.get(`${UPLOADS}?digest=${blob.digest}`, { method: 'POST', body: blob.bytes });
        await finished(server, reply, blob);
      }
      expect(await parts(stage)).toEqual([]);
    },
    own,
  );

  scenario(
    'by POST, then PUT; an empty one too',
    async (stage) => {
      const server = await start(stage);
      for (const blob of [randomBlob(300_000), blobOf(Buffer.alloc(0))]) {
        await finished(server, await put(server, await begin(server), blob.digest, blob.bytes), blob);
      }
    },
    own,
  );

  scenario(
    'in chunks, the last with the closing PUT or before it, in an algorithm that was said or was not',
    async (stage) => {
      const server = await start(stage);
      for (const algorithm of ['sha256', 'sha512'] as const) {
        for (const query of ['', `?digest-algorithm=${algorithm}`]) {
          for (const last of ['PATCH', 'PUT']) {
            const blob = blobOf(randomBlob(10_000, query.length + last.length).bytes, algorithm);
            const at = await begin(server, query);
            await accepted(await patch(server, at, blob.bytes.subarray(0, 4000), '0-3999'), 4000);
            await accepted(await patch(server, at, blob.bytes.subarray(4000, 7000), '4000-6999'), 7000);
            const rest = blob.bytes.subarray(7000);
            if (last === 'PATCH') await accepted(await patch(server, at, rest), 10_000);
            const closing = last === 'PATCH' ? put(server, at, blob.digest) : put(server, at, blob.digest, rest, '7000-9999');
            await finished(server, await closing, blob);
            expect(await refusalOf(await server.get(at))).toBe('404 BLOB_UPLOAD_UNKNOWN');
          }
        }
      }
    },
    own,
  );

  scenario(
    'as a stream without length',
    async (stage) => {
      const server = await start(stage);
      const blob = randomBlob(200_000);
      const at = await begin(server);
      const raw = await server.raw();
      raw.write(`PATCH ${at} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
      for (let from = 0; from < blob.size; from += 50_000) {
        raw.write(`c350\r\n${blob.bytes.subarray(from, from + 50_000).toString('latin1')}\r\n`);
      }
      raw.write('0\r\n\r\n');
      const answer = await raw.readUntil((text) => text.includes('\r\n\r\n'));
      expect(answer).toMatch(/^HTTP\/1\.1 202 /);
      expect(answer.toLowerCase()).toContain('\r\nrange: 0-199999\r\n');
      raw.close();
      await finished(server, await put(server, at, blob.digest), blob);
    },
    own,
  );

  scenario(
    'across a restart',
    async (stage) => {
      const blob = randomBlob(50_000);
      const first = await start(stage);
      const at = await begin(first);
      await accepted(await patch(first, at, blob.bytes.subarray(0, 20_000)), 20_000);
      await first.stop();
      const second = await start(stage);
      const status = await second.get(at);
      expect([status.status, status.headers.range, status.headers.location]).toEqual([204, '0-19999', at]);
      await finished(second, await put(second, at, blob.digest, blob.bytes.subarray(20_000), '20000-49999'), blob);
      expect(await parts(stage)).toEqual([]);
    },
    own,
  );

  scenario(
    'days after its first bytes, which no sweep of leftovers takes',
    async (stage) => {
      const blob = randomBlob(5000);
      const first = await start(stage);
      const at = await begin(first);
      await accepted(await patch(first, at, blob.bytes.subarray(0, 2000)), 2000);
      await first.stop();
      const directory = join(stage.directory, 'data', 'entrepot/parts');
      const leftover = join(directory, '0'.repeat(32));
      await writeFile(leftover, 'x');
      const long = new Date('2026-01-01');
      for (const name of await readdir(directory)) await utimes(join(directory, name), long, long);
      const second = await start(stage);
      while ((await readdir(directory)).length > 1) await second.get('/livez');
      await finished(second, await put(second, at, blob.digest, blob.bytes.subarray(2000)), blob);
    },
    own,
  );

  scenario(
    'over two servers that take alternate chunks, and is hashed all the same',
    async (stage) => {
      const blob = randomBlob(90_000);
      const servers = [await start(stage), await start(stage)];
      const at = await begin(servers[0]!);
      for (let chunk = 0; chunk < 9; chunk += 1) {
        const from = chunk * 10_000;
        const reply = await patch(servers[chunk % 2]!, at, blob.bytes.subarray(from, from + 10_000), `${from}-${from + 9999}`);
        await accepted(reply, from + 10_000);
      }
      await finished(servers[1]!, await put(servers[1]!, at, blob.digest), blob);
    },
    own,
  );

  scenario(
    'and Locations lead back to it, whatever the name was spelt by',
    async (stage) => {
      const server = await stage.start({
        routes: [{ match: '*/**', upstreams: ['hosted'] }],
        http: { addr: '127.0.0.1:0', prefix: '/registry/', debug: { addr: '127.0.0.1:0' } },
      });
      for (const [path, query, expected] of [
        ['/registry/v2/ghcr.io/acme/app', '', '/registry/v2/ghcr.io/acme/app'],
        ['/registry/ghcr.io/v2/acme/app', '', '/registry/ghcr.io/v2/acme/app'],
        ['/registry/v2/acme/app', '?ns=ghcr.io', '/registry/v2/acme/app'],
      ] as const) {
        const blob = blobOf(Buffer.from(`${path}${query}`));
        const opened = await server.get(`${path}/blobs/uploads/${query}`, { method: 'POST' });
        expect(opened.headers.location).toMatch(
          new RegExp(`^${expected}/blobs/uploads/[0-9a-f-]{36}${query.replace('?', '\\?')}$`),
        );
        expect(opened.headers['oci-namespace']).toBe(query === '' ? undefined : 'ghcr.io');
        const at = opened.headers.location!;
        const closed = await server.get(`${at}${at.includes('?') ? '&' : '?'}digest=${blob.digest}`, {
          method: 'PUT',
          body: blob.bytes,
        });
        expect([closed.status, closed.headers.location]).toEqual([201, `${expected}/blobs/${blob.digest}${query}`]);
        expect(await (await server.get(closed.headers.location!)).sha256()).toBe(blob.digest);
      }
    },
    own,
  );
});

describe('an upload is refused', () => {
  scenario(
    'a chunk in the wrong place: 416 with the right one, and goes on there',
    async (stage) => {
      const server = await start(stage);
      const blob = randomBlob(3000);
      const at = await begin(server);
      await accepted(await patch(server, at, blob.bytes.subarray(0, 1000), '0-999'), 1000);
      for (const [from, range] of [
        [2000, '2000-2999'],
        [0, '0-999'],
      ] as const) {
        const reply = await patch(server, at, blob.bytes.subarray(from, from + 1000), range);
        expect([await refusalOf(reply), reply.headers.range, reply.headers.location]).toEqual([
          '416 RANGE_INVALID',
          '0-999',
          at,
        ]);
        const closing = await put(server, at, blob.digest, blob.bytes.subarray(from, from + 1000), range);
        expect([await refusalOf(closing), closing.headers.range]).toEqual(['416 RANGE_INVALID', '0-999']);
      }
      const status = await server.get(at);
      expect([status.status, status.headers.range, status.headers['content-length']]).toEqual([204, '0-999', undefined]);
      await finished(server, await put(server, at, blob.digest, blob.bytes.subarray(1000), '1000-2999'), blob);
    },
    own,
  );

  scenario(
    'bytes that are not what they were said to be: 400, and nothing of them stays',
    async (stage) => {
      const server = await start(stage);
      const blob = randomBlob(2000);
      const wrong = blob.bytes.subarray(1);
      const single = await server.get(`${UPLOADS}?digest=${blob.digest}`, { method: 'POST', body: wrong });
      expect(await refusalOf(single)).toBe('400 DIGEST_INVALID');
      const at = await begin(server);
      expect(await refusalOf(await put(server, at, blob.digest, wrong))).toBe('400 DIGEST_INVALID');
      expect(await refusalOf(await server.get(at))).toBe('404 BLOB_UPLOAD_UNKNOWN');
      const chunked = await begin(server);
      await accepted(await patch(server, chunked, wrong), wrong.length);
      expect(await refusalOf(await put(server, chunked, blob.digest))).toBe('400 DIGEST_INVALID');
      expect(await refusalOf(await server.get(`${APP}/blobs/${blob.digest}`))).toBe('404 BLOB_UNKNOWN');
      expect(await parts(stage)).toEqual([]);
    },
    own,
  );

  scenario(
    'digests and algorithms that are none, places that are none, sizes that contradict each other',
    async (stage) => {
      const server = await start(stage);
      const at = await begin(server);
      const bytes = Buffer.alloc(10);
      const post = (query: string): Promise<Reply> => server.get(`${UPLOADS}${query}`, { method: 'POST', body: bytes });
      expect(await refusalOf(await post('?digest=sha256:abc'))).toBe('400 DIGEST_INVALID');
      expect(await refusalOf(await post('?mount=nothing&from=a'))).toBe('400 DIGEST_INVALID');
      expect(await refusalOf(await post('?digest-algorithm=md5'))).toBe('400 DIGEST_INVALID');
      expect(await refusalOf(await server.get(at, { method: 'PUT', body: bytes }))).toBe('400 DIGEST_INVALID');
      expect(await refusalOf(await put(server, at, `md5:${'0'.repeat(32)}`, bytes))).toBe('400 DIGEST_INVALID');
      expect(await refusalOf(await patch(server, at, bytes, 'nonsense'))).toBe('400 BLOB_UPLOAD_INVALID');
      expect(await refusalOf(await patch(server, at, bytes, '9-0'))).toBe('400 BLOB_UPLOAD_INVALID');
      expect(await refusalOf(await patch(server, at, bytes, '0-99'))).toBe('400 SIZE_INVALID');
      // None of them has used the upload up.
      await accepted(await patch(server, at, bytes, '0-9'), 10);
    },
    own,
  );

  scenario(
    'sessions that are not there, or are of another repository',
    async (stage) => {
      const server = await start(stage);
      const at = await begin(server);
      const elsewhere = at.replace('team/app', 'team/other');
      const unknown = `${UPLOADS}00000000-0000-4000-8000-000000000000`;
      for (const path of [elsewhere, unknown, `${UPLOADS}x`, `${UPLOADS}${'0'.repeat(36)}`]) {
        expect(await refusalOf(await server.get(path))).toBe('404 BLOB_UPLOAD_UNKNOWN');
        expect(await refusalOf(await patch(server, path, Buffer.alloc(3)))).toBe('404 BLOB_UPLOAD_UNKNOWN');
        expect(await refusalOf(await put(server, path, randomBlob(3).digest))).toBe('404 BLOB_UPLOAD_UNKNOWN');
        expect(await refusalOf(await server.get(path, { method: 'DELETE' }))).toBe('404 BLOB_UPLOAD_UNKNOWN');
      }
      expect((await server.get(at)).status).toBe(204);
    },
    own,
  );

  scenario(
    'a method that does not fit: 405 with those that do',
    async (stage) => {
      const server = await start(stage);
      const at = await begin(server);
      const reply = await server.get(at, { method: 'POST' });
      expect([await refusalOf(reply), reply.headers.allow]).toEqual(['405 UNSUPPORTED', 'GET, HEAD, PATCH, PUT, DELETE']);
    },
    own,
  );

  scenario(
    'when it is cancelled, with all that came of it',
    async (stage) => {
      const server = await start(stage);
      const at = await begin(server);
      await accepted(await patch(server, at, Buffer.alloc(1000)), 1000);
      expect(await parts(stage)).toHaveLength(1);
      const reply = await server.get(at, { method: 'DELETE' });
      expect([reply.status, reply.headers['content-length'], await reply.text()]).toEqual([204, undefined, '']);
      expect(await refusalOf(await server.get(at, { method: 'DELETE' }))).toBe('404 BLOB_UPLOAD_UNKNOWN');
      expect(await refusalOf(await patch(server, at, Buffer.alloc(3)))).toBe('404 BLOB_UPLOAD_UNKNOWN');
      expect(await parts(stage)).toEqual([]);
    },
    own,
  );
});

describe('a mount', () => {
  scenario(
    'links what is here, from a repository that is named, or from any that may be read',
    async (stage) => {
      const server = await start(stage);
      const blob = randomBlob(1000);
      const first = await server.get(`/v2/base/image/blobs/uploads/?digest=${blob.digest}`, {
        method: 'POST',
        body: blob.bytes,
      });
      expect(first.status).toBe(201);
      for (const [path, query] of [
        ['/v2/a/named', '&from=base/image'],
        ['/v2/a/anonymous', ''],
        ['/v2/base/image', '&from=a/named'],
      ] as const) {
        const reply = await server.get(`${path}/blobs/uploads/?mount=${blob.digest}${query}`, { method: 'POST' });
        expect([reply.status, reply.headers.location]).toEqual([201, `${path}/blobs/${blob.digest}`]);
        expect(reply.headers['docker-content-digest']).toBe(blob.digest);
        expect(await (await server.get(`${path}/blobs/${blob.digest}`)).sha256()).toBe(blob.digest);
      }
      // What is mounted outlives what it was mounted from.
      await server.get(`/v2/base/image/blobs/${blob.digest}`, { method: 'DELETE' });
      expect((await server.get(`/v2/base/image/blobs/${blob.digest}`)).status).toBe(404);
      expect(await (await server.get(`/v2/a/named/blobs/${blob.digest}`)).sha256()).toBe(blob.digest);
    },
    own,
  );

  scenario(
    '[S09] of what is not there, or may not be read there, is an upload that begins, and says no more',
    async (stage) => {
      const server = await stage.start({
        routes: [
          { match: 'local/secret/**', deny: true },
          { match: 'local/**', upstreams: ['hosted'] },
        ],
        names: { default: 'local' },
      });
      const blob = randomBlob(1000);
      await server.reload({
        ...(JSON.parse(JSON.stringify({ version: 0.1 })) as Settings),
        http: { addr: '127.0.0.1:0', debug: { addr: '127.0.0.1:0' } },
        storage: { filesystem: { rootdirectory: join(stage.directory, 'data') } },
        names: { default: 'local' },
        routes: [{ match: 'local/**', upstreams: ['hosted'] }],
      });
      const hidden = await server.get(`/v2/secret/app/blobs/uploads/?digest=${blob.digest}`, {
        method: 'POST',
        body: blob.bytes,
      });
      expect(hidden.status).toBe(201);
      await server.reload({
        version: 0.1,
        http: { addr: '127.0.0.1:0', debug: { addr: '127.0.0.1:0' } },
        storage: { filesystem: { rootdirectory: join(stage.directory, 'data') } },
        names: { default: 'local' },
        routes: [
          { match: 'local/secret/**', deny: true },
          { match: 'local/**', upstreams: ['hosted'] },
        ],
      });
      for (const query of ['&from=secret/app', '', '&from=team/nothing', '&from=NOT%20A%20NAME', '&from=team/app']) {
        const reply = await server.get(`${UPLOADS}?mount=${blob.digest}${query}`, { method: 'POST' });
        expect([query, reply.status]).toEqual([query, 202]);
        expect(reply.headers.location).toMatch(/\/blobs\/uploads\/[0-9a-f-]{36}$/);
      }
      expect((await server.get(`${APP}/blobs/${blob.digest}`)).status).toBe(404);
    },
    own,
  );
});

describe('routes that take no pushes', () => {
  scenario('answer 405 to each way to push, and no body is taken', async ({ server, upstream }) => {
    const path = '/v2/docker.io/library/alpine';
    for (const [method, at] of [
      ['POST', `${path}/blobs/uploads/00000000-0000-4000-8000-000000000000`],
      ['POST', `${path}/blobs/uploads/`],
      ['POST', `${path}/blobs/uploads/?mount=${randomBlob(1).digest}&from=a`],
      ['PATCH', `${path}/blobs/uploads/00000000-0000-4000-8000-000000000000`],
      ['PUT', `${path}/blobs/uploads/00000000-0000-4000-8000-000000000000?digest=${randomBlob(1).digest}`],
      ['DELETE', `${path}/blobs/uploads/00000000-0000-4000-8000-000000000000`],
      ['PUT', `${path}/manifests/latest`],
      ['DELETE', `${path}/manifests/latest`],
      ['DELETE', `${path}/blobs/${randomBlob(1).digest}`],
    ] as const) {
      const reply = await server.get(at, { method, headers: { 'content-length': '10' }, body: Buffer.alloc(10) });
      expect([method, at, await refusalOf(reply), reply.headers.allow]).toEqual([method, at, '405 UNSUPPORTED', 'GET, HEAD']);
    }
    expect(upstream.requests).toEqual([]);
  });
});
