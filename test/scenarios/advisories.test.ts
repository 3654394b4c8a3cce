import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { blobOf, buildImage, descriptorOf, manifestBlob, MEDIA_TYPE, randomBlob } from '../fakes/images.ts';
import { scenario, type Stage } from './harness.ts';
import type { RunningHere } from './in-process.ts';
import { ALPINE, blobPath, manifestPath } from './paths.ts';
import { basic, sending, tokenFor, writeUsers } from './people.ts';
import { pushBlob, pushImage, pushManifest, type PushedTo } from './push.ts';
import { routesTo, type Settings } from './settings.ts';

/**
 * Weaknesses that registries, mirrors and what they are built of were published with, tried on this one through its front door.
 * `test/statements/advisories.ts` lists them all, with those that have their test elsewhere.
 */
const own = { settings: null };

/** What may be connected to, and should not be. */
async function canary(stage: Stage): Promise<{ readonly port: number; readonly connections: () => number }> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stage.defer(() => server.close());
  return { port: (server.address() as { port: number }).port, connections: () => connections };
}

describe('what a client may make a mirror do', () => {
  scenario(
    '[GHSA-chwm-m7g7-685g] [GHSA-g2rq-jv54-wcpr] to ask whatever address a request names, by whichever spelling',
    async (stage) => {
      const { port, connections } = await canary(stage);
      const server = await stage.start({ routes: [{ match: '**', name: 'all', upstreams: ['origin'] }] });
      const hosts = ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[64:ff9b::7f00:1]', '127.1'];
      const more = ['2130706433', '0x7f.1', '0177.0.0.1', '0', '0.0.0.0', 'localhost.', 'a.localhost', '127.0.0.1.'];
      const ways = (name: string): string[] => [
        `/v2/a/b/manifests/x?ns=${encodeURIComponent(name)}`,
        `/v2/${name}/a/b/manifests/x`,
      ];
      const first = `${hosts[0]}:${port}`;
      const others = [`/${first}/v2/a/b/manifests/x`, `/v2/a/b/manifests/x?ns=${encodeURIComponent(`http://${first}`)}`];
      const paths = [...hosts, ...more].flatMap((host) => ways(`${host}:${port}`));
      const statuses = await Promise.all(
        [...paths, ...others].map(async (path) => [path, (await server.get(path)).status] as const),
      );
      expect(statuses.filter(([, status]) => ![400, 404, 502].includes(status))).toEqual([]);
      expect(connections()).toBe(0);
    },
    own,
  );

  scenario(
    '[CVE-2025-4374] to keep a repository for somebody who may not pull it',
    async (stage) => {
      stage.upstream.image(ALPINE, '1');
      const access = [{ match: 'docker.io/**', pull: ['user:ann'] }];
      const auth = { htpasswd: { realm: 'acme', path: await writeUsers(stage, 'ann', 'ben') } };
      const server = await stage.start({ ...routesTo(stage.upstream), auth, access });
      for (const authorization of [undefined, basic('ben'), basic('ben', 'wrong')]) {
        const client = sending(server, authorization);
        for (const path of [manifestPath('1'), manifestPath('none'), `/v2/docker.io/${ALPINE}/tags/list`])
          expect([401, 404]).toContain((await client.get(path)).status);
      }
      expect(stage.upstream.requests).toEqual([]);
      const ann = sending(server, basic('ann'));
      expect(await (await ann.get('/v2/_catalog')).json()).toEqual({ repositories: [] });
      expect((await ann.get(manifestPath('1'))).status).toBe(200);
    },
    own,
  );

  scenario('[CVE-2023-2253] [GHSA-hqxw-f8mx-cpmw] to set aside what a parameter says', async ({ server, upstream }) => {
    upstream.image(ALPINE, '1');
    await (await server.get(manifestPath('1'))).bytes();
    const held = (): number => process.memoryUsage().heapTotal + process.memoryUsage().arrayBuffers;
    const before = held();
    for (const path of ['/v2/_catalog', `/v2/docker.io/${ALPINE}/tags/list`, '/v1/search']) {
      for (const n of ['2147483647', '9999999999', '1e9', '-1', '0x10', '99999999999999999999']) {
        const { status } = await server.get(`${path}?n=${n}&q=alpine`);
        expect([path, n, status === 200 || status === 400]).toEqual([path, n, true]);
      }
    }
    expect(held() - before).toBeLessThan(64 * 1024 * 1024);
    expect((await server.get('/v2/_catalog?n=-1')).status).toBe(400);
    expect((await server.get('/v2/_catalog?n=2147483647')).status).toBe(200);
  });

  scenario('[CVE-2024-4956] [GHSA-79hx-3fp8-hj66] to read a file that is none of its own', async ({ server, upstream }) => {
    const image = upstream.image(ALPINE, '1');
    for (const name of ['%2F%2F..%2F..%2Fetc', '..%2f..%2f..%2f', '%2e%2e/%2e%2e', '../..', '%252e%252e', '..\\..', 'a%00b'])
      for (const rest of [`manifests/1`, `blobs/${image.config.digest}`, 'tags/list', 'blobs/uploads/x']) {
        const connection = await server.raw();
        connection.write(`GET /v2/${name}/${rest} HTTP/1.1\r\nHost: mirror.test\r\nConnection: close\r\n\r\n`);
        const said = await connection.readUntil(() => false);
        expect([name, rest, /^HTTP\/1\.1 4\d\d /.test(said), said.includes('root:')]).toEqual([name, rest, true, false]);
        connection.close();
      }
    for (const digest of ['sha256:../../../../etc/passwd', `sha256:${'../'.repeat(21)}x`, `sha256:${'.'.repeat(64)}`])
      expect([400, 404]).toContain((await server.get(`/v2/docker.io/${ALPINE}/blobs/${digest}`)).status);
    // Not even of an upstream is anything asked by such a name.
    expect(upstream.requests.map(({ url }) => url)).toEqual([]);
  });
});

describe('what an upstream may make a mirror do', () => {
  scenario(
    '[CVE-2024-3727] [GHSA-6wvf-f2vw-3425] to take any text for a digest, and so for the name of a file',
    async ({ server, upstream }) => {
      const path = `sha256:${'../'.repeat(21)}x`;
      expect(path).toHaveLength('sha256:'.length + 64);
      const config = descriptorOf(randomBlob(10), MEDIA_TYPE.ociConfig);
      const bad = manifestBlob(MEDIA_TYPE.ociManifest, { config: { ...config, digest: path }, layers: [] });
      upstream.manifest(ALPINE, 'bad', bad);
      expect((await server.get(manifestPath('bad'))).status).toBe(502);
      const good = upstream.image(ALPINE, 'good');
      upstream.on('GET manifest').digestHeader(path);
      expect(await (await server.get(manifestPath('good'))).sha256()).toBe(good.top.digest);
    },
  );

  scenario(
    '[CVE-2020-27832] [GHSA-4cw7-mgqj-hgmg] [CVE-2026-44458] to show a page of its own in a browser',
    async ({ server, upstream }) => {
      const page = Buffer.from('<html><script>fetch("//evil.test")</script>');
      const blob = blobOf(page);
      upstream.blob(ALPINE, blob).mediaType('text/html').header('content-disposition', 'inline');
      upstream.on('GET manifest').status(404, { 'content-type': 'text/html' }, page.toString());
      const shown = ['/v2/<script>alert(1)</script>/manifests/x', '/client/<script>'];
      for (const path of [blobPath(blob), manifestPath('1'), ...shown.map((text) => encodeURI(text))]) {
        const { headers } = await server.get(path);
        expect([path, headers['x-content-type-options'], headers['content-disposition']]).toEqual([path, 'nosniff', undefined]);
        expect(headers['content-type']).toMatch(/^(?:application\/(?:octet-stream|json)|text\/plain)/);
      }
    },
  );
});

/** ann may all, ben pulls, cid pushes; dora may nothing but pull what is open. */
async function settings(stage: Stage, more: Settings = {}): Promise<Settings> {
  return {
    names: { default: 'registry.acme.test', self: ['registry.acme.test'] },
    routes: [{ match: 'registry.acme.test/**', name: 'own', upstreams: ['hosted'], immutable: ['*'] }],
    storage: { filesystem: { rootdirectory: `${stage.directory}/data` }, delete: { enabled: true } },
    auth: { htpasswd: { realm: 'acme', path: await writeUsers(stage, 'ann', 'ben', 'cid', 'dora') } },
    access: [
      { match: 'registry.acme.test/open/**', pull: ['anyone'], push: ['user:ann'], delete: ['user:ann'] },
      {
        match: 'registry.acme.test/**',
        pull: ['user:ann', 'user:ben', 'group:ci'],
        push: ['user:ann', 'group:ci'],
        delete: ['user:ann'],
      },
    ],
    groups: { ci: ['user:cid'] },
    ...more,
  };
}

const as = (server: RunningHere, user: string): PushedTo => sending(server, basic(user));
const app = buildImage({ label: 'app' });
const BEGIN = { method: 'POST', headers: { 'content-length': '0' } };

describe('what somebody may make a registry do', () => {
  scenario(
    '[GHSA-fv45-mwhh-q23r] [CVE-2026-39406] [CVE-2026-39407] [GHSA-wc8c-qw6v-h7f6] [CVE-2026-47676] to judge one name and answer another',
    async (stage) => {
      const server = await stage.start(await settings(stage));
      expect((await pushImage(as(server, 'ann'), '/v2/team/app', 'latest', app)).status).toBe(201);
      const open = buildImage({ label: 'open' });
      expect((await pushImage(as(server, 'ann'), '/v2/open/app', 'latest', open)).status).toBe(201);
      const ways = ['//v2/team', '/v2//team', '/v2/./team', '/v2/open/../team', '/v2/open/..%2fteam', '/v2/open%2f..%2fteam'];
      const more = [
        '/v2/%74eam',
        '/v2/team%2f',
        '/v2/open\\..\\team',
        '/V2/team',
        '/v2;x/team',
        '/%76%32/team',
        '/v2/open/%2e%2e/team',
      ];
      const hidden = ['/v2/registry.acme.test/team', '/registry.acme.test/v2/team', '/v2/REGISTRY.acme.test/team', '/v2/TEAM'];
      for (const way of [...ways, ...more, ...hidden]) {
        for (const authorization of [undefined, basic('dora')]) {
          for (const what of ['manifests/latest', `manifests/${app.top.digest}`, `blobs/${app.config.digest}`, 'tags/list']) {
            const connection = await server.raw();
            const who = authorization === undefined ? '' : `Authorization: ${authorization}\r\n`;
            connection.write(`GET ${way}/app/${what} HTTP/1.1\r\nHost: registry.acme.test\r\n${who}Connection: close\r\n\r\n`);
            const said = await connection.readUntil(() => false);
            connection.close();
            expect([way, what, said.split('\r\n')[0], said.includes(app.config.digest.slice(7))]).toEqual([
              way,
              what,
              expect.stringMatching(/^HTTP\/1\.1 4\d\d /),
              false,
            ]);
          }
        }
      }
    },
    own,
  );

  scenario(
    '[CVE-2026-35172] [GHSA-f2g3-hh2r-cwgc] to show again what was deleted, since another repository has it',
    async (stage) => {
      const server = await stage.start(await settings(stage));
      const ann = as(server, 'ann');
      const secret = randomBlob(3000, 5);
      for (const path of ['/v2/team/a', '/v2/team/b']) expect((await pushBlob(ann, path, secret)).status).toBe(201);
      const ask = async (path: string) => [
        (await ann.get(`${path}/blobs/${secret.digest}`)).status,
        (await ann.head(`${path}/blobs/${secret.digest}`)).status,
        (await ann.get(`${path}/blobs/${secret.digest}`, { headers: { range: 'bytes=0-9' } })).status,
      ];
      expect(await ask('/v2/team/a')).toEqual([200, 200, 206]);
      expect((await ann.get(`/v2/team/a/blobs/${secret.digest}`, { method: 'DELETE' })).status).toBe(202);
      expect(await ask('/v2/team/a')).toEqual([404, 404, 404]);
      expect(await ask('/v2/team/b')).toEqual([200, 200, 206]);
      expect(await ask('/v2/team/a')).toEqual([404, 404, 404]);
    },
    own,
  );

  scenario(
    '[CVE-2026-31801] [GHSA-85jx-fm8m-x8c6] to treat a tag otherwise because it is called latest',
    async (stage) => {
      const server = await stage.start(await settings(stage));
      const [one, two] = [buildImage({ label: 'one' }), buildImage({ label: 'two' })];
      const outcomes = [];
      for (const tag of ['latest', 'x']) {
        const [cid, ben] = [as(server, 'cid'), as(server, 'ben')];
        const refused = (await pushManifest(ben, '/v2/team/app', tag, one.top)).status;
        const first = (await pushImage(cid, '/v2/team/app', tag, one)).status;
        const moved = (await pushImage(cid, '/v2/team/app', tag, two)).status;
        const deleted = (await cid.get(`/v2/team/app/manifests/${tag}`, { method: 'DELETE' })).status;
        outcomes.push([refused, first, moved, deleted]);
      }
      expect(outcomes).toEqual([outcomes[1], [404, 201, 409, 404]]);
    },
    own,
  );

  scenario(
    '[CVE-2022-31666] [CVE-2022-31667] [CVE-2022-31670] [GHSA-9rqp-mgmw-5879] to work on what is another’s, by its id',
    async (stage) => {
      const server = await stage.start(await settings(stage));
      const begun = await as(server, 'cid').get('/v2/team/app/blobs/uploads/', BEGIN);
      const path = new URL(String(begun.headers['location']), server.url).pathname;
      const id = path.slice(path.lastIndexOf('/') + 1);
      const blob = randomBlob(100);
      const finish = `?digest=${blob.digest}`;
      for (const user of ['ben', 'dora', 'ann'])
        for (const at of [path, `/v2/open/app/blobs/uploads/${id}`])
          for (const [method, query] of [
            ['GET', ''],
            ['PATCH', ''],
            ['PUT', finish],
            ['DELETE', ''],
          ] as const) {
            const body = method === 'PATCH' || method === 'PUT' ? { body: blob.bytes } : {};
            expect([user, at, method, (await as(server, user).get(`${at}${query}`, { method, ...body })).status]).toEqual([
              user,
              at,
              method,
              404,
            ]);
          }
      // ann may push there herself, and still it is not hers; and it is as it was.
      const done = await as(server, 'cid').get(`${path}${finish}`, { method: 'PUT', body: blob.bytes });
      expect(done.status).toBe(201);
    },
    own,
  );

  scenario(
    '[GHSA-c9p4-xwr9-rfhx] to go on counting somebody among a group that they have left',
    async (stage) => {
      const server = await stage.start(await settings(stage));
      const token = await tokenFor(server, basic('cid'), 'repository:team/app:pull,push');
      const ask = async () => (await sending(server, token).get('/v2/team/app/blobs/uploads/', BEGIN)).status;
      expect(await ask()).toBe(202);
      await server.reload({
        ...(await settings(stage)),
        version: 0.1,
        http: { addr: '127.0.0.1:0', debug: { addr: '127.0.0.1:0', prometheus: { enabled: true } } },
        groups: { ci: ['user:ann'] },
      });
      expect([await ask(), (await as(server, 'cid').get('/v2/team/app/blobs/uploads/', BEGIN)).status]).toEqual([404, 404]);
    },
    own,
  );

  scenario(
    '[CVE-2026-4404] [GHSA-hj7x-hmf2-hc2p] to let in whoever knows a password that nobody has set',
    async (stage) => {
      const server = await stage.start(await settings(stage));
      for (const name of ['admin', 'root', 'entrepot'])
        for (const password of ['Harbor12345', name]) {
          const { status } = await server.get('/v2/', { headers: { authorization: basic(name, password) } });
          expect([name, password, [401, 429].includes(status)]).toEqual([name, password, true]);
        }
    },
    own,
  );

  scenario(
    '[GHSA-8523] to leave what it signs with where others on the machine can read it, or in its log',
    async (stage) => {
      const server = await stage.start(await settings(stage));
      const token = await tokenFor(server, basic('ann'), 'repository:team/app:pull');
      const { mode } = await stat(join(stage.directory, 'data', 'entrepot', 'metadata'));
      expect((mode & 0o777).toString(8)).toBe('700');
      expect(JSON.stringify(server.records)).not.toContain(token.slice(-20));
    },
    own,
  );

  scenario(
    '[CVE-2024-43787] [CVE-2024-48913] to write because a page in somebody’s browser says so',
    async (stage) => {
      const server = await stage.start(await settings(stage));
      const ann = as(server, 'ann');
      const send = (site: string | undefined, path: string, type: string) =>
        ann.get(path, {
          method: 'POST',
          headers: {
            'content-type': type,
            'content-length': '0',
            origin: 'null',
            ...(site === undefined ? {} : { 'sec-fetch-site': site }),
          },
        });
      for (const path of ['/v2/team/app/blobs/uploads/', '/token'])
        for (const type of ['text/plain', 'application/x-www-form-urlencoded', ''])
          for (const site of ['cross-site', 'same-site'])
            expect([path, type, site, (await send(site, path, type)).status]).toEqual([path, type, site, 403]);
      expect((await send('none', '/v2/team/app/blobs/uploads/', 'text/plain')).status).toBe(202);
      expect((await send(undefined, '/v2/team/app/blobs/uploads/', '')).status).toBe(202);
      const reading = await ann.get('/v2/', { headers: { 'sec-fetch-site': 'cross-site' } });
      expect([reading.status, reading.headers['set-cookie'], reading.headers['access-control-allow-origin']]).toEqual([
        200,
        undefined,
        undefined,
      ]);
    },
    own,
  );

  scenario(
    '[CVE-2026-24472] [CVE-2026-44457] to have a proxy before it keep for all what it showed to one',
    async (stage) => {
      const server = await stage.start(await settings(stage));
      expect((await pushImage(as(server, 'ann'), '/v2/team/app', 'latest', app)).status).toBe(201);
      expect((await pushImage(as(server, 'ann'), '/v2/open/app', 'latest', app)).status).toBe(201);
      const token = await tokenFor(server, basic('ann'), 'repository:team/app:pull');
      for (const authorization of [basic('ann'), token])
        for (const path of ['manifests/latest', `manifests/${app.top.digest}`, `blobs/${app.config.digest}`, 'tags/list']) {
          const { status, headers } = await sending(server, authorization).get(`/v2/team/app/${path}`);
          expect([path, status, headers['cache-control']]).toEqual([path, 200, 'private']);
        }
      const refused = await as(server, 'dora').get('/v2/team/app/manifests/latest');
      expect([refused.status, refused.headers['cache-control']]).toEqual([404, 'no-store']);
    },
    own,
  );

  scenario(
    '[CVE-2024-22244] [GHSA-5757-v49g-f6r7] to send a client elsewhere, since the request names that',
    async (stage) => {
      const http = { addr: '127.0.0.1:0', host: 'https://registry.acme.test', debug: { addr: '127.0.0.1:0' } };
      const server = await stage.start(await settings(stage, { http }));
      const hostile = { host: 'evil.test', 'x-forwarded-host': 'evil.test', 'x-forwarded-proto': 'http' };
      const challenge = await server.get('/v2/', { headers: hostile });
      expect(challenge.headers['www-authenticate']).toContain('realm="https://registry.acme.test/token"');
      const begun = await as(server, 'ann').get('/v2/team/app/blobs/uploads/', {
        ...BEGIN,
        headers: { ...BEGIN.headers, ...hostile },
      });
      const connection = await server.raw();
      connection.write('GET http://evil.test/v2/ HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n');
      const said = await connection.readUntil(() => false);
      connection.close();
      expect(JSON.stringify([challenge.headers, begun.headers, said])).not.toContain('evil');
      expect(new URL(String(begun.headers['location']), 'https://registry.acme.test').host).toBe('registry.acme.test');
    },
    own,
  );

  scenario(
    '[CVE-2026-47673] [CVE-2025-30204] to take a token whatever it is called, or to count all its dots',
    async (stage) => {
      const server = await stage.start(await settings(stage));
      const token = (await tokenFor(server, basic('ann'), 'repository:team/app:pull')).slice('Bearer '.length);
      const ask = async (authorization: string) =>
        (await server.get('/v2/team/app/tags/list', { headers: { authorization } })).status;
      expect(await ask(`Bearer ${token}`)).toBe(404);
      for (const scheme of ['Basic', 'Digest', 'Token', 'JWT', 'Negotiate', 'BearerX'])
        expect([scheme, await ask(`${scheme} ${token}`)]).toEqual([scheme, 401]);
      const started = performance.now();
      for (let left = 20; left > 0; left--) expect(await ask(`Bearer ${'.'.repeat(30_000)}`)).toBe(401);
      expect(performance.now() - started).toBeLessThan(5000);
    },
    own,
  );
});
