import { describe, expect } from 'vitest';
import { ROUTES } from '../../src/http/app.ts';
import { buildImage, randomBlob } from '../fakes/images.ts';
import type { Reply } from '../fakes/http-client.ts';
import { scenario, type Stage } from './harness.ts';
import { refusalOf } from './paths.ts';
import { basic, sending, tokenFor, writeUsers } from './people.ts';
import { pushBlob, pushImage, pushManifest, type PushedTo } from './push.ts';
import type { RunningHere } from './in-process.ts';
import type { Settings } from './settings.ts';

const own = { settings: null };
const app = buildImage({ label: 'private' });
const layer = app.layers[0]!;

/** ann may all; ben pulls; cid pushes besides; dora is signed in, and named by no rule. `open/` is anybody's to pull. */
async function settings(stage: Stage, more: Settings = {}): Promise<Settings> {
  return {
    names: { default: 'registry.acme.test', self: ['registry.acme.test'], open: ['open.acme.test'] },
    routes: [{ match: 'registry.acme.test/**', name: 'own', upstreams: ['hosted'] }],
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
    groups: { ci: ['user:cid', 'token:ci-*'] },
    ...more,
  };
}

const as = (server: RunningHere, user: string): PushedTo => sending(server, basic(user));

async function startWithApp(stage: Stage): Promise<RunningHere> {
  const server = await stage.start(await settings(stage));
  expect((await pushImage(as(server, 'ann'), '/v2/team/app', 'latest', app)).status).toBe(201);
  return server;
}

type Ask = (client: PushedTo) => Promise<Reply>;

const BEGIN = { method: 'POST', headers: { 'content-length': '0' } };

/** A request for each line of the table of routes, by method and name; what it must not change is not there. */
const ASKS: Readonly<Record<string, Ask>> = {
  'GET base': (client) => client.get('/v2/'),
  'GET catalog': (client) => client.get('/v2/_catalog'),
  'GET search': (client) => client.get('/v1/search?q=app'),
  'GET manifest': (client) => client.get('/v2/team/app/manifests/latest'),
  'PUT manifest': (client) => pushManifest(client, '/v2/team/app', 'again', app.top),
  'DELETE manifest': (client) => client.get('/v2/team/app/manifests/none', { method: 'DELETE' }),
  'POST upload': (client) => client.get('/v2/team/app/blobs/uploads/', BEGIN),
  'GET upload': (client) => client.get('/v2/team/app/blobs/uploads/none'),
  'PATCH upload': (client) => client.get('/v2/team/app/blobs/uploads/none', { method: 'PATCH', body: Buffer.from('x') }),
  'PUT upload': (client) => client.get(`/v2/team/app/blobs/uploads/none?digest=${layer.digest}`, { method: 'PUT' }),
  'DELETE upload': (client) => client.get('/v2/team/app/blobs/uploads/none', { method: 'DELETE' }),
  'GET blob': (client) => client.get(`/v2/team/app/blobs/${layer.digest}`),
  'DELETE blob': (client) => client.get(`/v2/team/app/blobs/sha256:${'0'.repeat(64)}`, { method: 'DELETE' }),
  'GET tags': (client) => client.get('/v2/team/app/tags/list'),
  'GET referrers': (client) => client.get(`/v2/team/app/referrers/${app.top.digest}`),
};

/** The same for every name, and for nobody in particular: what they are is said elsewhere. */
const OPEN = new Set(['ping', 'token', 'client', 'livez', 'readyz']);

interface Somebody {
  readonly who: string;
  readonly authorization: (server: RunningHere) => Promise<string | undefined>;
  /** What they may do with team/app. */
  readonly may: readonly string[];
  /** 401 to whatever they may not: nobody knows who they are, or their token is for something else. */
  readonly asked?: boolean;
}

const SOMEBODY: readonly Somebody[] = [
  { who: 'nobody', authorization: async () => undefined, may: [], asked: true },
  { who: 'a wrong password', authorization: async () => basic('ann', 'wrong'), may: [], asked: true },
  { who: 'what is no token', authorization: async () => 'Bearer e30.e30.e30', may: [], asked: true },
  {
    who: 'a token of nobody',
    authorization: (server) => tokenFor(server, undefined, 'repository:team/app:pull,push,delete'),
    may: ['sign-in'],
    asked: true,
  },
  { who: 'dora, whom no rule names', authorization: async () => basic('dora'), may: ['sign-in', 'list'] },
  { who: 'ben, who pulls [GHSA-5f2q]', authorization: async () => basic('ben'), may: ['sign-in', 'list', 'pull'] },
  {
    who: 'cid, who pushes [GHSA-qg67-7m6v-qg25]',
    authorization: async () => basic('cid'),
    may: ['sign-in', 'list', 'pull', 'push'],
  },
  { who: 'ann', authorization: async () => basic('ann'), may: ['sign-in', 'list', 'pull', 'push', 'delete'] },
  {
    who: "ann's token to pull [GHSA-vvc3]",
    authorization: (server) => tokenFor(server, basic('ann'), 'repository:team/app:pull'),
    may: ['sign-in', 'pull'],
    asked: true,
  },
  {
    who: "ann's token for another repository",
    authorization: (server) => tokenFor(server, basic('ann'), 'repository:team/other:pull,push,delete'),
    may: ['sign-in'],
    asked: true,
  },
  {
    who: "ben's token, to push with",
    authorization: (server) => tokenFor(server, basic('ben'), 'repository:team/app:pull,push,delete'),
    may: ['sign-in', 'pull'],
  },
];

const idless = (text: string): string => text.replaceAll(/ \(request [0-9a-f]+\)/g, '');

describe('every endpoint, for every kind of client', () => {
  const guarded = ROUTES.filter(({ name }) => !OPEN.has(name));
  for (const { who, authorization, may, asked = false } of SOMEBODY) {
    scenario(
      `[S36] ${who}`,
      async (stage) => {
        const server = await startWithApp(stage);
        const client = sending(server, await authorization(server));
        for (const route of guarded) {
          const line = `${'method' in route ? route.method : 'GET'} ${route.name}`;
          const ask = ASKS[line];
          if (ask === undefined) throw new Error(`nobody says how ${line} is asked: a new endpoint needs a line here`);
          const reply = await ask(client);
          const body = idless(await reply.text());
          if (may.includes(route.access)) {
            expect([line, reply.status === 401 || body.includes('is not to be had here')]).toEqual([line, false]);
          } else if (asked || route.access === 'list') {
            expect([line, reply.status, reply.headers['www-authenticate']?.startsWith('Bearer realm=')]).toEqual([
              line,
              401,
              true,
            ]);
          } else {
            expect([line, reply.status, JSON.parse(body)]).toEqual([
              line,
              404,
              {
                errors: [
                  {
                    code: 'NAME_UNKNOWN',
                    message: expect.stringContaining('registry.acme.test/team/app is not to be had here'),
                  },
                ],
              },
            ]);
          }
        }
      },
      own,
    );
  }

  scenario(
    'what is not yours and what is not there are told in the same words',
    async (stage) => {
      const server = await startWithApp(stage);
      const dora = as(server, 'dora');
      const told = async (path: string) => {
        const reply = await dora.get(path);
        const { date: _date, 'x-request-id': _id, ...headers } = reply.headers;
        return [reply.status, headers, idless(await reply.text())];
      };
      const paths = (name: string) =>
        [`manifests/latest`, `blobs/${layer.digest}`, 'tags/list'].map((rest) => `/v2/${name}/${rest}`);
      for (const [at, path] of paths('team/app').entries())
        expect(await told(path)).toEqual(
          JSON.parse(JSON.stringify(await told(paths('team/no1')[at]!)).replaceAll('team/no1', 'team/app')),
        );
    },
    own,
  );
});

describe('what a private image is made of', () => {
  scenario(
    '[S08] [CVE-2024-39897] [GHSA-55r9-5mx9-qq7r] is not to be read through a repository that one may read',
    async (stage) => {
      const server = await startWithApp(stage);
      const ben = as(server, 'dora');
      const open = buildImage({ label: 'open', layers: [1234] });
      expect((await pushImage(as(server, 'ann'), '/v2/open/app', 'latest', open)).status).toBe(201);
      for (const ask of [
        () => ben.get(`/v2/open/app/blobs/${layer.digest}`),
        () => ben.get(`/v2/open/app/blobs/${layer.digest}`, { headers: { range: 'bytes=0-9' } }),
        () => ben.get(`/v2/open/app/manifests/${app.top.digest}`),
      ])
        expect((await ask()).status).toBe(404);
      expect((await ben.head(`/v2/open/app/blobs/${layer.digest}`)).status).toBe(404);
      expect((await ben.get(`/v2/open/app/blobs/${open.layers[0]!.digest}`)).status).toBe(200);
    },
    own,
  );

  scenario(
    '[S09] is not to be mounted from where one may not pull: an upload begins instead, and says nothing',
    async (stage) => {
      const access = [
        { match: 'registry.acme.test/private/**', pull: ['user:ann'], push: ['user:ann'] },
        { match: 'registry.acme.test/**', pull: ['signed-in'], push: ['signed-in'] },
      ];
      const server = await stage.start(await settings(stage, { access }));
      const secret = randomBlob(2000, 1);
      await pushBlob(as(server, 'ann'), '/v2/private/a', secret);
      const mount = (user: string, digest: string, from: string) =>
        as(server, user).get(`/v2/shared/b/blobs/uploads/?mount=${digest}&from=${from}`, BEGIN);
      const absent = randomBlob(10, 2).digest;
      const statuses = [];
      for (const [user, digest] of [
        ['ben', secret.digest],
        ['ben', absent],
        ['ann', secret.digest],
      ] as const)
        statuses.push((await mount(user, digest, 'private/a')).status);
      expect(statuses).toEqual([202, 202, 201]);
    },
    own,
  );

  scenario(
    '[S09] is not to be mounted by its digest alone, by whoever may not pull it anywhere',
    async (stage) => {
      const access = [
        { match: 'registry.acme.test/private/**', pull: ['user:ann'], push: ['user:ann'] },
        { match: 'registry.acme.test/**', pull: ['signed-in'], push: ['signed-in'] },
      ];
      const server = await stage.start(await settings(stage, { access }));
      const secret = randomBlob(2000, 1);
      await pushBlob(as(server, 'ann'), '/v2/private/a', secret);
      const narrow = await tokenFor(server, basic('ann'), 'repository:shared/b:pull,push');
      const wide = await tokenFor(server, basic('ann'), 'repository:shared/c:pull,push', 'repository:private/a:pull');
      const statuses = [];
      for (const [who, name] of [
        [basic('ben'), 'shared/b'],
        [narrow, 'shared/b'],
        [wide, 'shared/c'],
        [basic('ann'), 'shared/d'],
      ] as const) {
        const client = sending(server, who);
        const mounted = await client.get(`/v2/${name}/blobs/uploads/?mount=${secret.digest}`, BEGIN);
        statuses.push([mounted.status, (await client.get(`/v2/${name}/blobs/${secret.digest}`)).status]);
      }
      expect(statuses).toEqual([
        [202, 404],
        [202, 404],
        [201, 200],
        [201, 200],
      ]);
    },
    own,
  );

  scenario(
    '[S09] with a token for the target alone nothing is mounted, though the user might',
    async (stage) => {
      const server = await startWithApp(stage);
      const narrow = sending(server, await tokenFor(server, basic('cid'), 'repository:team/b:pull,push'));
      const wide = sending(
        server,
        await tokenFor(server, basic('cid'), 'repository:team/b:pull,push', 'repository:team/app:pull'),
      );
      const path = `/v2/team/b/blobs/uploads/?mount=${layer.digest}&from=team/app`;
      expect([(await narrow.get(path, BEGIN)).status, (await wide.get(path, BEGIN)).status]).toEqual([202, 201]);
    },
    own,
  );
});

describe('lists', () => {
  scenario(
    'show each what they may pull, and nothing else',
    async (stage) => {
      const server = await startWithApp(stage);
      await pushImage(as(server, 'ann'), '/v2/open/app', 'latest', app);
      const listed = async (user: string) => {
        const client = as(server, user);
        const { repositories } = await (await client.get('/v2/_catalog')).json<{ repositories: string[] }>();
        const { results } = await (await client.get('/v1/search?q=app')).json<{ results: { name: string }[] }>();
        expect(results.map(({ name }) => name)).toEqual(repositories);
        return repositories;
      };
      expect(await listed('ben')).toEqual(['open/app', 'team/app']);
      expect(await listed('dora')).toEqual(['open/app']);
    },
    own,
  );

  scenario(
    'a token lists what its subject may pull, if it was issued for that',
    async (stage) => {
      const server = await startWithApp(stage);
      await pushImage(as(server, 'ann'), '/v2/open/app', 'latest', app);
      const token = await tokenFor(server, undefined, 'registry:catalog:*');
      const reply = await sending(server, token).get('/v2/_catalog');
      expect(await reply.json()).toEqual({ repositories: ['open/app'] });
    },
    own,
  );
});

describe('one port for mirror and registry', () => {
  scenario(
    'on an open Host nobody is asked, whatever they send, and what anyone may not have is not there',
    async (stage) => {
      const server = await startWithApp(stage);
      await pushImage(as(server, 'ann'), '/v2/open/app', 'latest', app);
      const at = (path: string, authorization = basic('ann', 'wrong')) =>
        server.get(path, { headers: { host: 'open.acme.test', authorization } });
      expect([(await at('/v2/')).status, (await at('/v2/open/app/manifests/latest')).status]).toEqual([200, 200]);
      for (const authorization of [basic('ann', 'wrong'), basic('ann'), 'Bearer x']) {
        const reply = await at('/v2/team/app/manifests/latest', authorization);
        expect([reply.status, reply.headers['www-authenticate']]).toEqual([404, undefined]);
      }
    },
    own,
  );

  scenario(
    'dockerd sends its login to Docker Hub to its mirrors: it gets a token for what anyone may have, and docker login none',
    async (stage) => {
      const server = await startWithApp(stage);
      await pushImage(as(server, 'ann'), '/v2/open/app', 'latest', app);
      const hub = basic('hub-user', 'hub-password');
      const token = await tokenFor(server, hub, 'repository:open/app:pull');
      expect((await sending(server, token).get('/v2/open/app/manifests/latest')).status).toBe(200);
      for (const path of ['/token', '/token?offline_token=true', '/token?scope=repository:team/app:pull'])
        expect([path, (await sending(server, hub).get(path)).status]).toEqual([path, 401]);
      expect(server.records.filter(({ msg }) => JSON.stringify(msg).includes('hub-'))).toEqual([]);
    },
    own,
  );

  scenario(
    '[S41] an upload is whose it is, by whichever way they say so: to others who push there it is not there',
    async (stage) => {
      const server = await startWithApp(stage);
      const blob = randomBlob(5000, 11);
      const ann = as(server, 'ann');
      const others = [
        as(server, 'cid'),
        sending(server, await tokenFor(server, basic('cid'), 'repository:team/app:pull,push')),
      ];
      const at = (await ann.get('/v2/team/app/blobs/uploads/', BEGIN)).headers.location!;
      const asks = (client: PushedTo): Promise<Reply>[] => [
        client.get(at),
        client.get(at, { method: 'PATCH', body: Buffer.from('x') }),
        client.get(`${at}?digest=${blob.digest}`, { method: 'PUT', headers: { 'content-length': '0' } }),
        client.get(at, { method: 'DELETE' }),
      ];
      for (const other of others)
        for (const reply of asks(other)) expect(await refusalOf(await reply)).toBe('404 BLOB_UPLOAD_UNKNOWN');

      expect((await ann.get(at, { method: 'PATCH', body: blob.bytes.subarray(0, 2000) })).status).toBe(202);
      // docker gets itself a new token in the middle of a push.
      const later = sending(server, await tokenFor(server, basic('ann'), 'repository:team/app:pull,push'));
      expect([(await later.get(at)).status, (await later.get(at)).headers.range]).toEqual([204, '0-1999']);
      const rest = { method: 'PUT', body: blob.bytes.subarray(2000) };
      expect((await later.get(`${at}?digest=${blob.digest}`, rest)).status).toBe(201);
      expect(await (await ann.get(`/v2/team/app/blobs/${blob.digest}`)).sha256()).toBe(blob.digest);
    },
    own,
  );

  scenario(
    'who signed in with docker is still signed in when the file of users has lost them for a moment',
    async (stage) => {
      const server = await startWithApp(stage);
      const answer = await as(server, 'ann').get('/token?offline_token=true');
      const { refresh_token: text } = await answer.json<{ readonly refresh_token: string }>();
      const exchange = async (): Promise<number> => {
        const body = new URLSearchParams({
          grant_type: 'refresh_token',
          refresh_token: text,
          service: 'x',
          client_id: 'docker',
        });
        const headers = { 'content-type': 'application/x-www-form-urlencoded' };
        const options = { method: 'POST', headers, body: Buffer.from(body.toString()) };
        return (await server.get('/token', options)).status;
      };
      expect(await exchange()).toBe(200);
      await writeUsers(stage, 'ben');
      expect([await exchange(), await exchange()]).toEqual([400, 400]);
      await writeUsers(stage, 'ann', 'ben');
      expect(await exchange()).toBe(200);
    },
    own,
  );

  scenario(
    'behind a prefix, all of them lead to the token endpoint that is there',
    async (stage) => {
      const http = { addr: '127.0.0.1:0', prefix: '/registry/', debug: { addr: '127.0.0.1:0' } };
      const server = await stage.start(await settings(stage, { http }));
      const realm = `realm="${server.url}/registry/token"`;
      const wrong = sending(server, basic('ann', 'wrong'));
      const challenges = [await server.get('/registry/v2/'), await wrong.get('/registry/token')];
      expect(challenges.map(({ status, headers }) => [status, headers['www-authenticate']])).toEqual([
        [401, `Bearer ${realm},service="${new URL(server.url).host}"`],
        [401, `Basic ${realm}`],
      ]);
    },
    own,
  );

  scenario(
    'containerd asks with ns for what only its user may pull, by a name that anyone may: its token is its user’s',
    async (stage) => {
      const access = [
        { match: 'private.test/**', pull: ['user:ann'], push: ['user:ann'] },
        { match: '**', pull: ['anyone'], push: ['user:ann'] },
      ];
      const routes = [{ match: ['private.test/**', 'registry.acme.test/**'], name: 'own', upstreams: ['hosted'] }];
      const server = await stage.start(await settings(stage, { access, routes, groups: {} }));
      await pushImage(as(server, 'ann'), '/v2/private.test/team/app', 'latest', app);
      const ask = async (authorization: string) => {
        const token = await tokenFor(server, authorization, 'repository:team/app:pull');
        return (await sending(server, token).get('/v2/team/app/manifests/latest?ns=private.test')).status;
      };
      expect([await ask(basic('ann')), await ask(basic('ben')), await ask(basic('ann', 'of-docker-hub'))]).toEqual([
        200, 404, 401,
      ]);
    },
    own,
  );

  scenario(
    'Basic where no rule needs a token; and then every answer to nobody is the same challenge',
    async (stage) => {
      const access = [{ match: '**', pull: ['signed-in'], push: ['user:ann'] }];
      const server = await stage.start(await settings(stage, { access, groups: {} }));
      for (const path of ['/v2/', '/v2/team/app/manifests/latest', '/v2/no/such/tags/list', '/v2/_catalog', '/v2/%2e%2e/x']) {
        const reply = await server.get(path);
        expect([path, reply.status, reply.headers['www-authenticate']]).toEqual([path, 401, 'Basic realm="acme"']);
      }
    },
    own,
  );
});

scenario(
  'a Host that no address can have is asked who it is, and is no fault of ours',
  async (stage) => {
    const server = await startWithApp(stage);
    for (const host of ['999.999.999.999', '1.2.3.256', 'mirror.test:99999', 'xn--a', '[1:2]']) {
      for (const path of ['/v2/', '/v2/team/app/manifests/latest', '/token', '/client/docker']) {
        const { status } = await server.get(path, { headers: { host, authorization: 'Bearer e30.e30.e30' } });
        expect([host, path, [400, 401].includes(status)]).toEqual([host, path, true]);
      }
    }
    expect(server.records.filter(({ level }) => level === 'error')).toEqual([]);
  },
  own,
);

describe('what is taken back is taken back at once', () => {
  scenario(
    'a rule, by the next request, whatever token is held',
    async (stage) => {
      const server = await startWithApp(stage);
      const token = await tokenFor(server, basic('ben'), 'repository:team/app:pull');
      const ask = () => sending(server, token).get('/v2/team/app/manifests/latest');
      expect((await ask()).status).toBe(200);
      await server.reload({
        ...(await settings(stage)),
        http: { addr: '127.0.0.1:0', debug: { addr: '127.0.0.1:0', prometheus: { enabled: true } } },
        version: 0.1,
        access: [{ match: '**', pull: ['user:ann', 'group:ci'] }],
      });
      expect((await ask()).status).toBe(404);
    },
    own,
  );

  scenario(
    'a user who is gone from the file: password and token both',
    async (stage) => {
      const server = await startWithApp(stage);
      const token = await tokenFor(server, basic('ben'), 'repository:team/app:pull');
      await writeUsers(stage, 'ann');
      for (const authorization of [token, basic('ben')])
        expect((await sending(server, authorization).get('/v2/team/app/manifests/latest')).status).toBe(401);
    },
    own,
  );
});

scenario(
  'log and metrics say who asked and who was denied, and never with what',
  async (stage) => {
    const server = await startWithApp(stage);
    await (await as(server, 'ben').get('/v2/team/app/manifests/latest')).bytes();
    await (await as(server, 'dora').get('/v2/team/app/manifests/latest')).bytes();
    await (await sending(server, basic('ben', 'guessed-wrong')).get('/v2/')).bytes();
    await server.logged('request', ({ user, status }) => user === 'user:ben' && status === 200);
    await server.logged('request', ({ user, status }) => user === 'user:dora' && status === 404);
    const metrics = await server.metrics();
    expect(metrics.sum('entrepot_denied_total', { action: 'pull', reason: 'access' })).toBe(1);
    expect(metrics.sum('entrepot_auth_total', { kind: 'password', result: 'refused' })).toBe(1);
    const said = JSON.stringify(server.records);
    expect([said.includes('guessed-wrong'), said.includes(basic('ben').slice(6))]).toEqual([false, false]);
  },
  own,
);
