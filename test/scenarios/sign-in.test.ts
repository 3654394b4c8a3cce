import { spawn } from 'node:child_process';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect } from 'vitest';
import { buildImage } from '../fakes/images.ts';
import { until } from './acceptance.ts';
import { command, type Ran } from './command.ts';
import { scenario, type Stage } from './harness.ts';
import { basic, PASSWORD, sending, tokenFor, writeUsers } from './people.ts';
import { MAIN } from './process.ts';
import { pushImage } from './push.ts';
import type { Settings } from './settings.ts';

const own = { settings: null };
const app = buildImage({ label: 'app' });
const PULL = 'repository:team/app:pull';
const LATEST = '/v2/team/app/manifests/latest';

/** Everybody who is signed in may pull; machines whose name begins with `ci-` push. */
async function settings(stage: Stage, more: Settings = {}): Promise<Settings> {
  return {
    names: { default: 'registry.acme.test', self: ['registry.acme.test'] },
    routes: [{ match: 'registry.acme.test/**', name: 'own', upstreams: ['hosted'] }],
    auth: { htpasswd: { realm: 'acme', path: await writeUsers(stage, 'ann') } },
    access: [{ match: '**', pull: ['signed-in'], push: ['token:ci-*'] }],
    ...more,
  };
}

const run = ({ directory }: Stage, ...args: readonly string[]): Promise<Ran> =>
  command(join(directory, 'data'), [...args, '--config', 'config.yml']);

async function createToken(stage: Stage, ...args: readonly string[]): Promise<string> {
  const { code, out, err } = await run(stage, 'token', 'create', ...args);
  expect(code, err).toBe(0);
  expect(out).toMatch(/^entrepot_[0-9a-f]{16}_[A-Za-z0-9_-]{49}\n$/);
  return out.trim();
}

describe('a machine token', () => {
  scenario(
    'is a password with any name, and a bearer token; revoked, it and what was got with it are refused at once',
    async (stage) => {
      const server = await stage.start(await settings(stage));
      const token = await createToken(stage, 'ci-build', '--expires', '90d');
      const machine = sending(server, basic('whoever', token));
      expect((await pushImage(machine, '/v2/team/app', 'latest', app)).status).toBe(201);
      expect((await sending(server, `Bearer ${token}`).get(LATEST)).status).toBe(200);
      const bearer = sending(server, await tokenFor(server, basic('x', token), PULL));
      expect((await bearer.get(LATEST)).status).toBe(200);

      const [listed] = JSON.parse((await run(stage, 'token', 'list', '--json')).out) as Record<string, string>[];
      expect(listed).toMatchObject({ name: 'ci-build', expired: false });
      expect(Date.parse(listed!['expires']!) - Date.parse(listed!['created']!)).toBe(90 * 86_400_000);
      expect(Date.now() - Date.parse(listed!['lastUse']!)).toBeLessThan(60_000);

      expect((await run(stage, 'token', 'revoke', 'ci-build')).out).toBe('ci-build is revoked\n');
      expect((await machine.get(LATEST)).status).toBe(401);
      expect((await bearer.get(LATEST)).status).toBe(401);
      expect((await run(stage, 'token', 'revoke', 'ci-build')).err).toContain('there is no token ci-build');

      // [S49] The log, the lists and the records know its id at most.
      const secret = token.slice('entrepot_0123456789abcdef_'.length);
      expect(JSON.stringify(server.records)).not.toContain(secret);
      expect((await run(stage, 'token', 'list')).out).not.toContain(secret);
    },
    own,
  );

  scenario(
    'is made and revoked by the store itself where no server runs',
    async (stage) => {
      const all = await settings(stage);
      await (await stage.start(all)).stop();
      const token = await createToken(stage, 'ci-night');
      const other = await createToken(stage, 'ci-day');
      expect((await run(stage, 'token', 'create', 'ci-day')).err).toContain('there is a token ci-day: revoke it first');
      expect((await run(stage, 'token', 'revoke', 'ci-day')).code).toBe(0);
      expect((await run(stage, 'token', 'revoke', token)).err).not.toContain(token);
      const server = await stage.start(all);
      expect((await sending(server, basic('x', token)).get('/v2/')).status).toBe(200);
      expect((await sending(server, basic('x', other)).get('/v2/')).status).toBe(401);
    },
    own,
  );

  scenario(
    'of a name that rules do not name may no more than anybody signed in',
    async (stage) => {
      const server = await stage.start(await settings(stage));
      const token = await createToken(stage, 'deploy');
      const pushed = await pushImage(sending(server, basic('x', token)), '/v2/team/app', 'latest', app);
      expect(pushed.status).toBe(404);
    },
    own,
  );
});

describe('an htpasswd file', () => {
  scenario(
    'takes lines of `entrepot htpasswd` while the server runs, and who is taken out is refused with the next request',
    async (stage) => {
      const server = await stage.start(await settings(stage));
      const file = join(stage.directory, 'htpasswd');
      const before = await readFile(file, 'utf8');
      const made = spawn(process.execPath, [MAIN, 'htpasswd', 'ben'], { stdio: ['pipe', 'pipe', 'inherit'] });
      made.stdin.end('correct horse\n');
      await appendFile(file, await text(made.stdout));

      const ben = sending(server, basic('ben', 'correct horse'));
      expect((await ben.get('/v2/')).status).toBe(200);
      const bearer = sending(server, await tokenFor(server, basic('ben', 'correct horse'), PULL));
      // There is no such image, which they may know.
      expect((await bearer.get(LATEST)).status).toBe(404);
      await writeFile(file, before);
      expect((await bearer.get(LATEST)).status).toBe(401);
      expect((await ben.get('/v2/')).status).toBe(401);
      expect((await sending(server, basic('ann')).get('/v2/')).status).toBe(200);
    },
    own,
  );

  scenario(
    'that turns bad while the server runs leaves everybody as they were, and is said once with its line',
    async (stage) => {
      const server = await stage.start(await settings(stage));
      const ann = sending(server, basic('ann'));
      await writeFile(join(stage.directory, 'htpasswd'), '# mine\nann:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\n');
      for (let at = 0; at < 3; at += 1) expect((await ann.get('/v2/')).status).toBe(200);
      const said = server.records.filter((record) => JSON.stringify(record).includes('an MD5 hash'));
      expect(said).toHaveLength(1);
      expect(JSON.stringify(said)).toContain('htpasswd:2: ann has');
      expect(JSON.stringify(said)).not.toContain('HqJZimcKQFAMYayBlzkrA');
    },
    own,
  );

  scenario(
    'that is bad from the start stops it, with file, line and what to do',
    async (stage) => {
      const all = await settings(stage);
      const path = join(stage.directory, 'htpasswd');
      await writeFile(path, `ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n`);
      await expect(stage.start(all)).rejects.toThrow(`${path}:1: ann has a SHA-1 hash: only bcrypt is read; make it anew`);
    },
    own,
  );
});

scenario(
  '[S40] who tries other passwords is told to wait before anything is hashed; who knows theirs is heard from elsewhere',
  async (stage) => {
    const server = await stage.start(await settings(stage, { http: { addr: '127.0.0.1:0', trustedproxies: ['127.0.0.1'] } }));
    const from = (address: string, password: string) =>
      server.get('/v2/', { headers: { authorization: basic('ann', password), 'x-forwarded-for': address } });
    const began = performance.now();
    const replies = await Promise.all(
      Array.from({ length: 200 }, (_, at) => from(`198.51.100.${at % 10}`, `wrong-${Math.floor(at / 10)}`)),
    );
    const statuses = replies.map(({ status }) => status);
    const seconds = (performance.now() - began) / 1000;
    // One for each address, and after a second, two, four … another.
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(
      10 * (1 + Math.floor(Math.log2(seconds + 1))),
    );
    expect(new Set(statuses)).toEqual(new Set([401, 429]));
    const held = await until(
      () => from('198.51.100.1', `wrong-${performance.now()}`),
      ({ headers }) => Number(headers['retry-after'] ?? 0) >= 1,
    );
    expect(await held.json()).toMatchObject({ errors: [{ code: 'TOOMANYREQUESTS' }] });
    expect((await from('203.0.113.9', PASSWORD)).status).toBe(200);
  },
  own,
);
