import { describe, expect, vi } from 'vitest';
import type { BearerOptions } from '../fakes/scripted-auth.ts';
import type { Reply } from '../fakes/http-client.ts';
import type { Image } from '../fakes/images.ts';
import { createGate } from '../fakes/scripted-behaviour.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { command } from './command.ts';
import { scenario, type Stage } from './harness.ts';
import { basic, sending, tokenFor, writeUsers } from './people.ts';
import { pullWhole } from './pull-whole.ts';
import type { PushedTo } from './push.ts';
import type { RunningHere } from './in-process.ts';
import { routesTo, type Settings } from './settings.ts';

/** ann may pull both, ben is somebody there and may pull neither. */
const WHO: BearerOptions = {
  scheme: 'bearer',
  privateRepositories: ['acme/app', 'acme/big', 'acme/no1'],
  users: {
    ann: { password: 'annspassword', repositories: ['acme/app', 'acme/big'] },
    ben: { password: 'benspassword', repositories: [] },
  },
};

const ANN = basic('ann', 'annspassword');
const BEN = basic('ben', 'benspassword');
const WRONG = basic('ann', 'guessed');

const passing = (upstream: Pick<ScriptedUpstream, 'url'>, more: Settings = {}): Settings =>
  routesTo(upstream, { passthrough: true, ...more });
const options = { upstream: { auth: WHO }, settings: passing };

const own = (upstream: Pick<ScriptedUpstream, 'url'>): Settings => ({
  ...passing(upstream),
  routes: [
    { match: 'registry.acme.test/**', name: 'own', upstreams: ['hosted'] },
    { match: 'docker.io/**', name: 'hub', upstreams: ['hub'], passthrough: true },
  ],
});

/** Whose credentials came to the token endpoint, and what came to the registry itself but tokens. */
function shown({ requests }: ScriptedUpstream): { readonly signedIn: (string | undefined)[]; readonly astray: unknown[] } {
  const others = requests.filter(({ kind }) => kind !== 'token');
  return {
    signedIn: requests.filter(({ kind }) => kind === 'token').map(({ headers }) => headers.authorization),
    astray: others.map(({ headers }) => headers.authorization).filter((one) => one?.startsWith('Basic') === true),
  };
}

const idless = (text: string): string => text.replaceAll(/ \(request [0-9a-f]+\)/g, '');

/** Without what tells whether somebody asked for the same in vain before. */
async function told(reply: Reply): Promise<unknown> {
  const { date: _date, 'x-request-id': _id, 'cache-status': _status, ...headers } = reply.headers;
  return [reply.status, headers, idless(await reply.text())];
}

describe('a private image in a shared cache', () => {
  scenario(
    'is pulled with the own credentials of who may: they go to its upstream, which is asked once, and nowhere else',
    async ({ server, upstream }) => {
      const image = upstream.image('acme/app', 'latest');
      const ann = sending(server, ANN);
      expect(await pullWhole(ann, 'acme/app', 'latest', image)).toEqual([]);
      await server.settled();
      const before = upstream.requests.length;
      expect(await pullWhole(ann, 'acme/app', 'latest', image)).toEqual([]);
      expect(upstream.requests.slice(before).filter(({ kind }) => kind !== 'token')).toEqual([]);
      expect(new Set(shown(upstream).signedIn)).toEqual(new Set([ANN]));
      expect(shown(upstream).astray).toEqual([]);
      const said = JSON.stringify(server.records);
      expect([said.includes('annspassword'), said.includes(ANN.slice(6))]).toEqual([false, false]);
      expect(server.records.findLast(({ msg }) => msg === 'request')).toMatchObject({ user: 'upstream:ann', outcome: 'hit' });
    },
    options,
  );

  scenario(
    'what anybody may read is read by anybody, with whatever they send, and stays so when the upstream is gone',
    async ({ server, upstream }) => {
      const image = upstream.image('library/open', 'latest', { label: 'open', layers: [4321] });
      for (const who of [undefined, BEN, WRONG])
        expect([who, await pullWhole(sending(server, who), 'library/open', 'latest', image)]).toEqual([who, []]);
      await server.settled();
      await upstream.close();
      for (const who of [undefined, BEN, WRONG])
        expect([who, await pullWhole(sending(server, who), 'library/open', 'latest', image)]).toEqual([who, []]);
    },
    options,
  );

  scenario(
    'proves each repository for itself, though the bytes are the same and its own is open to all',
    async ({ server, upstream }) => {
      const image = upstream.image('library/open', 'latest');
      upstream.image('acme/app', 'latest');
      expect(await pullWhole(server, 'library/open', 'latest', image)).toEqual([]);
      await server.settled();
      const ann = sending(server, ANN);
      expect((await ann.get('/v2/acme/app/manifests/latest')).status).toBe(200);
      const before = upstream.requests.length;
      const { digest } = image.layers[0]!;
      expect((await ann.get(`/v2/acme/app/blobs/${digest}`)).status).toBe(200);
      expect(upstream.requests.slice(before).map(({ method, kind }) => `${method} ${kind}`)).toEqual(['HEAD blob']);
      expect((await server.get(`/v2/acme/app/blobs/${digest}`)).status).toBe(401);
    },
    options,
  );

  scenario(
    'without auth /v2/ is 200, and whoever may not is asked who they are, in the same words for every name',
    async ({ server, upstream }) => {
      upstream.image('acme/app', 'latest');
      expect((await server.get('/v2/')).status).toBe(200);
      for (const name of ['acme/app', 'acme/no1']) {
        const reply = await server.get(`/v2/${name}/manifests/latest`);
        expect([reply.status, reply.headers['www-authenticate']]).toEqual([401, 'Basic realm="upstream"']);
        const wrong = await sending(server, WRONG).get(`/v2/${name}/manifests/latest`);
        expect([wrong.status, (await wrong.json<{ errors: { code: string }[] }>()).errors[0]?.code]).toEqual([
          401,
          'UNAUTHORIZED',
        ]);
        expect((await sending(server, BEN).get(`/v2/${name}/manifests/latest`)).status).toBe(404);
      }
    },
    options,
  );
});

type Ask = (client: PushedTo) => Promise<Reply>;

/** Everything by which a byte, or a word about one, could come. */
function ways(name: string, image: Image): Readonly<Record<string, Ask>> {
  const [layer, digest] = [image.layers[0]!.digest, image.top.digest];
  const at = (rest: string) => `/v2/${name}/${rest}`;
  return {
    'GET tag': (client) => client.get(at('manifests/latest')),
    'HEAD tag': (client) => client.head(at('manifests/latest')),
    'GET manifest': (client) => client.get(at(`manifests/${digest}`)),
    'HEAD manifest': (client) => client.head(at(`manifests/${digest}`)),
    'GET manifest, known': (client) => client.get(at(`manifests/${digest}`), { headers: { 'if-none-match': `"${digest}"` } }),
    'GET blob': (client) => client.get(at(`blobs/${layer}`)),
    'HEAD blob': (client) => client.head(at(`blobs/${layer}`)),
    'GET range': (client) => client.get(at(`blobs/${layer}`), { headers: { range: 'bytes=1-9' } }),
    'GET range, known': (client) =>
      client.get(at(`blobs/${layer}`), { headers: { range: 'bytes=1-9', 'if-range': `"${layer}"` } }),
    'GET tags': (client) => client.get(at('tags/list')),
    'GET tags, a page': (client) => client.get(at('tags/list?n=1')),
    'GET referrers': (client) => client.get(at(`referrers/${digest}`)),
    'GET as of': (client) => client.get(`/asof/2026-11-01/v2/${name}/manifests/latest`),
    'GET tags as of': (client) => client.get(`/v2/asof/2026-11-01/${name}/tags/list`),
    'GET by registry': (client) => client.get(`/v2/docker.io/${name}/manifests/latest`),
    'GET by ns': (client) => client.get(`${at(`blobs/${layer}`)}?ns=docker.io`),
    'GET through': (client) => client.get(`/v2/library/open/blobs/${layer}`),
    'GET manifest through': (client) => client.get(`/v2/library/open/manifests/${digest}`),
  };
}

/** Whoever may not, and what they send. */
const NOT_THEIRS = { nobody: undefined, ben: BEN, 'a wrong password': WRONG, 'no token': 'Bearer e30.e30.e30' };

const withPushes = { ...options, settings: own };

describe('[S36] nobody else gets a byte of it, or a word', () => {
  const everyWay = async (server: RunningHere, image: Image, name = 'acme/app'): Promise<Map<string, unknown>> => {
    const answers = new Map<string, unknown>();
    for (const [who, authorization] of Object.entries(NOT_THEIRS))
      for (const [what, ask] of Object.entries(ways(name, image)))
        answers.set(`${who}: ${what}`, await told(await ask(sending(server, authorization))));
    return answers;
  };
  const refused = (answers: Map<string, unknown>): unknown[] =>
    [...answers].filter(([, answer]) => ![401, 404, 429].includes((answer as [number])[0]));

  scenario(
    'on a miss, on a hit, and after it was evicted: the answers are the same to the byte',
    async (stage) => {
      const { server, upstream, directory } = stage;
      const image = upstream.image('acme/app', 'latest', { label: 'private' });
      upstream.image('library/open', 'latest', { label: 'open', layers: [4321] });
      const cold = await everyWay(server, image);
      expect(refused(cold)).toEqual([]);
      expect(await pullWhole(sending(server, ANN), 'acme/app', 'latest', image)).toEqual([]);
      await server.settled();
      expect(await everyWay(server, image)).toEqual(cold);
      // Nor is it another answer than that of a name that is not there.
      const absent = JSON.stringify([...(await everyWay(server, image, 'acme/no1'))]).replaceAll('acme/no1', 'acme/app');
      expect(JSON.parse(absent)).toEqual(JSON.parse(JSON.stringify([...cold])));

      const real = Date.now;
      vi.spyOn(Date, 'now').mockImplementation(() => real() + 10 * 60_000);
      try {
        const evicted = await command(`${directory}/data`, ['evict', 'acme/app', '--config', 'config.yml']);
        expect(evicted).toMatchObject({ code: 0 });
      } finally {
        vi.restoreAllMocks();
      }
      expect(await everyWay(server, image)).toEqual(cold);
      expect(await pullWhole(sending(server, ANN), 'acme/app', 'latest', image)).toEqual([]);
      expect(await everyWay(server, image)).toEqual(cold);
    },
    { ...withPushes, timeoutMs: 120_000 },
  );

  scenario(
    'while it is being filled',
    async ({ server, upstream }) => {
      const image = upstream.image('acme/big', 'latest', { layers: [3_000_000] });
      const [layer] = image.layers;
      const gate = createGate();
      upstream.blob('acme/big', layer!).holdAfter(1_000_000, gate);
      const ann = sending(server, ANN);
      await (await ann.get('/v2/acme/big/manifests/latest')).bytes();
      const running = ann.get(`/v2/acme/big/blobs/${layer!.digest}`);
      await gate.reached;
      const answers = await everyWay(server, image, 'acme/big');
      expect(refused(answers)).toEqual([]);
      gate.open();
      expect((await (await running).bytes()).equals(layer!.bytes)).toBe(true);
    },
    withPushes,
  );

  scenario(
    'nor who could, once the upstream takes it back and authttl has passed: though it is held, and though it is being asked for',
    async ({ server, upstream }) => {
      const image = upstream.image('acme/app', 'latest');
      const ann = sending(server, ANN);
      expect(await pullWhole(ann, 'acme/app', 'latest', image)).toEqual([]);
      await server.settled();
      const statuses = async (): Promise<number[]> => {
        const answers = Object.values(ways('acme/app', image)).slice(0, 11);
        return Promise.all(answers.map(async (ask) => (await ask(ann)).status));
      };
      upstream.auth.set({ ...WHO, users: { ...WHO.users, ann: { password: 'annspassword', repositories: [] } } });
      upstream.auth.expireTokens();
      expect(new Set(await statuses())).toEqual(new Set([404]));
      upstream.auth.set({ ...WHO, users: { ann: { password: 'another', repositories: ['acme/app'] } } });
      expect(new Set(await statuses())).toEqual(new Set([401]));
    },
    {
      ...options,
      settings: (upstream: Pick<ScriptedUpstream, 'url'>) => passing(upstream, { authttl: '0s', negativettl: '0s' }),
    },
  );

  scenario(
    'who was not shown it is in the audit, and counted',
    async ({ server, upstream }) => {
      upstream.image('acme/app', 'latest');
      for (const who of [undefined, BEN, WRONG])
        await (await sending(server, who).get('/v2/acme/app/manifests/latest')).bytes();
      await (await sending(server, ANN).get('/v2/acme/app/manifests/latest')).bytes();
      const audited = server.records.filter(({ msg }) => msg === 'audit').filter(({ action }) => action === 'pull');
      const about = { repository: 'docker.io/acme/app', reference: 'latest' };
      expect(audited.map(({ subject, result, reason }) => [subject, result, reason])).toEqual([
        ['anyone', 'denied', 'passthrough: not shown to them'],
        ['anyone', 'denied', 'passthrough: not shown to them'],
        ['anyone', 'denied', 'passthrough: wrong user or password'],
        ['upstream:ann', 'allowed', null],
      ]);
      expect(audited.every((record) => record['repository'] === about.repository)).toBe(true);
      expect((await server.metrics()).sum('entrepot_denied_total', { action: 'pull', reason: 'passthrough' })).toBe(3);
    },
    { ...options, settings: (upstream: Pick<ScriptedUpstream, 'url'>) => ({ ...passing(upstream), audit: { file: '-' } }) },
  );

  scenario(
    'check and explain say who has the last word',
    async ({ directory }) => {
      const run = async (...args: string[]): Promise<string> =>
        (await command(`${directory}/data`, [...args, '--config', 'config.yml'])).out;
      const said = 'if its upstream shows it to the credentials that come with the request';
      expect(await run('check', '--as', 'anyone', 'pull', 'acme/app')).toContain(said);
      expect(await run('explain', 'acme/app:1')).toContain(said);
      expect(await run('check', '--as', 'anyone', 'pull', 'registry.acme.test/app')).not.toContain(said);
    },
    withPushes,
  );

  scenario(
    'by a mount, by the lists, by search',
    async ({ server, upstream }) => {
      const image = upstream.image('acme/app', 'latest', { label: 'private' });
      const open = upstream.image('library/open', 'latest', { label: 'open', layers: [4321] });
      await pullWhole(sending(server, ANN), 'acme/app', 'latest', image);
      await pullWhole(server, 'library/open', 'latest', open);
      await server.settled();
      // What anybody could have at the time, too: only its upstream knows whether that is still so.
      for (const [name, layer] of [
        ['acme/app', image.layers[0]!],
        ['library/open', open.layers[0]!],
      ] as const) {
        for (const from of [`&from=${name}`, `&from=docker.io/${name}`, '']) {
          for (const who of [undefined, ANN, BEN]) {
            const path = `/v2/registry.acme.test/mine/blobs/uploads/?mount=${layer.digest}${from}`;
            const reply = await sending(server, who).get(path, { method: 'POST', headers: { 'content-length': '0' } });
            expect([name, from, reply.status]).toEqual([name, from, 202]);
          }
        }
        expect((await server.get(`/v2/registry.acme.test/mine/blobs/${layer.digest}`)).status).toBe(404);
      }
      for (const path of ['/v2/_catalog', '/v1/search?q=app']) {
        const body = await (await server.get(path)).text();
        expect([path, body.includes('acme/app')]).toEqual([path, false]);
      }
    },
    withPushes,
  );

  scenario(
    'a guess is a guess: it is answered 429 in the end, and the upstream is not asked by it any more',
    async ({ server, upstream }) => {
      upstream.image('acme/app', 'latest');
      const statuses = new Set<number>();
      for (let guess = 0; guess < 60; guess += 1)
        statuses.add((await sending(server, basic(`user${guess}`, 'guessed')).get('/v2/acme/app/manifests/latest')).status);
      expect(statuses).toEqual(new Set([401, 429]));
      expect(shown(upstream).signedIn.filter((one) => one !== undefined).length).toBeLessThan(40);
    },
    options,
  );
});

describe('where this server has a token endpoint of its own', () => {
  async function withUsers(stage: Stage, more: Settings = {}): Promise<RunningHere> {
    return stage.start({
      ...routesTo(stage.upstream, { passthrough: true }),
      auth: { htpasswd: { realm: 'acme', path: await writeUsers(stage, 'olga') } },
      access: [{ match: '**', pull: ['anyone'] }],
      ...more,
    });
  }
  const none = { upstream: { auth: WHO }, settings: null };

  scenario(
    'its tokens carry the credentials, sealed, to the registry that they were asked for',
    async (stage) => {
      const { upstream } = stage;
      const server = await withUsers(stage);
      const image = upstream.image('acme/app', 'latest');
      const challenged = await server.get('/v2/acme/app/manifests/latest');
      expect([challenged.status, challenged.headers['www-authenticate']]).toEqual([
        401,
        expect.stringMatching(/^Bearer realm="http:.*\/token",service=/),
      ]);
      const token = await tokenFor(server, ANN, 'repository:acme/app:pull');
      expect(Buffer.from(token.split('.')[1]!, 'base64url').toString()).not.toContain('annspassword');
      expect(await pullWhole(sending(server, token), 'acme/app', 'latest', image)).toEqual([]);
      const bens = await tokenFor(server, BEN, 'repository:acme/app:pull');
      expect((await sending(server, bens).get('/v2/acme/app/manifests/latest')).status).toBe(404);
      const nobodys = await tokenFor(server, undefined, 'repository:acme/app:pull');
      expect((await sending(server, nobodys).get('/v2/acme/app/manifests/latest')).status).toBe(401);
      expect(shown(upstream).astray).toEqual([]);
    },
    none,
  );

  scenario(
    'users of its own are known, and see what everybody sees',
    async (stage) => {
      const server = await withUsers(stage);
      stage.upstream.image('acme/app', 'latest');
      const open = stage.upstream.image('library/open', 'latest', { label: 'open', layers: [4321] });
      const olga = sending(server, await tokenFor(server, basic('olga'), 'repository:library/open:pull'));
      expect(await pullWhole(olga, 'library/open', 'latest', open)).toEqual([]);
      expect((await sending(server, basic('olga')).get('/v2/acme/app/manifests/latest')).status).toBe(401);
      expect(shown(stage.upstream).signedIn.filter((one) => one === basic('olga'))).toEqual([]);
    },
    none,
  );

  scenario(
    'credentials for one registry are not shown to another, by whatever name it is asked for',
    async (stage) => {
      const other = await stage.addUpstream({ auth: WHO });
      other.image('acme/app', 'latest');
      stage.upstream.image('acme/app', 'latest');
      const server = await withUsers(stage, {
        upstreams: { hub: { url: stage.upstream.url }, other: { url: other.url } },
        routes: [
          { match: 'docker.io/**', name: 'hub', upstreams: ['hub'], passthrough: true },
          { match: 'other.test/**', name: 'other', upstreams: ['other'], passthrough: true },
        ],
      });
      const token = sending(server, await tokenFor(server, ANN, 'repository:acme/app:pull'));
      expect((await token.get('/v2/acme/app/manifests/latest')).status).toBe(200);
      const elsewhere = await token.get('/v2/acme/app/manifests/latest?ns=other.test');
      expect(elsewhere.status).toBe(401);
      expect(shown(other).signedIn.filter((one) => one !== undefined)).toEqual([]);

      // containerd: the challenge says for which registry, and its token is for that one.
      const field = elsewhere.headers['www-authenticate'] ?? '';
      const realm = new URL(/realm="([^"]+)"/.exec(field)?.[1] ?? '');
      expect(realm.searchParams.get('ns')).toBe('other.test');
      realm.searchParams.append('scope', 'repository:acme/app:pull');
      const reply = await sending(server, ANN).get(`${realm.pathname}${realm.search}`);
      const { token: bound } = await reply.json<{ token: string }>();
      const there = sending(server, `Bearer ${bound}`);
      expect((await there.get('/v2/acme/app/manifests/latest?ns=other.test')).status).toBe(200);
      expect((await there.get('/v2/acme/app/manifests/latest')).status).toBe(401);
    },
    none,
  );
});
