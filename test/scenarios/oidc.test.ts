import { createServer, type Server } from 'node:https';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import { createAuthority } from '../fakes/certificates.ts';
import { buildImage } from '../fakes/images.ts';
import { ecKeys, es256, forge, jwkOf, unsigned, type Keys } from '../unit/auth/forge.ts';
import { scenario, type Stage } from './harness.ts';
import { basic, sending, tokenFor } from './people.ts';
import type { RunningProcess } from './process.ts';
import { pushImage } from './push.ts';

const own = { settings: null };
const AUDIENCE = 'registry.acme.test';
const CLOCK = fileURLToPath(new URL('../fakes/jumping-clock.mjs', import.meta.url));
const authority = createAuthority('Issuer');
const app = buildImage({ label: 'app' });
const LATEST = '/v2/team/app/manifests/latest';
const PULL = 'repository:team/app:pull';
const BOTH = 'repository:team/app:pull,push';

/** An issuer of sign-in tokens, as a CI system is one: over https, with keys that can be looked up. */
interface Issuer {
  readonly url: string;
  /** What it was asked for. */
  readonly asked: string[];
  /** Publishes these and no others. */
  publish(...keys: readonly (readonly [id: string, keys: Keys])[]): void;
  down(): Promise<void>;
}

async function startIssuer(stage: Stage): Promise<Issuer> {
  const { certificate, key } = authority.issue('localhost');
  const asked: string[] = [];
  let jwks: unknown = { keys: [] };
  const server: Server = createServer({ cert: certificate, key }, (request, response) => {
    asked.push(request.url ?? '');
    const known: Readonly<Record<string, unknown>> = {
      '/.well-known/openid-configuration': { issuer: url, jwks_uri: `${url}/keys` },
      '/keys': jwks,
    };
    const document = known[request.url ?? ''];
    response.writeHead(document === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(document ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `https://localhost:${(server.address() as { port: number }).port}`;
  const down = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  stage.defer(down);
  return {
    url,
    asked,
    publish: (...keys) => void (jwks = { keys: keys.map(([kid, pair]) => jwkOf(pair, { kid, use: 'sig' })) }),
    down,
  };
}

/** A sign-in token of a job. */
function jobToken(issuer: Issuer, [kid, keys]: readonly [string, Keys], claims: Record<string, unknown> = {}): string {
  const now = Math.floor(Date.now() / 1000);
  const header = { alg: 'ES256', typ: 'JWT', kid };
  const said = { iss: issuer.url, aud: AUDIENCE, sub: 'job:1', iat: now, nbf: now, exp: now + 300 };
  return forge(header, { ...said, repository_owner: 'acme', repository: 'acme/app', ...claims }, es256(keys));
}

async function start(stage: Stage, issuer: Issuer): Promise<RunningProcess> {
  const ca = join(stage.directory, 'issuer.pem');
  await writeFile(ca, authority.certificate);
  return stage.startProcess(
    {
      names: { default: AUDIENCE, self: [AUDIENCE] },
      routes: [{ match: `${AUDIENCE}/**`, name: 'own', upstreams: ['hosted'] }],
      auth: { oidc: { ci: { issuer: issuer.url, audience: AUDIENCE } } },
      access: [{ match: '**', pull: ['oidc:ci:repository_owner=acme'], push: ['oidc:ci:repository=acme/app'] }],
    },
    { env: { NODE_EXTRA_CA_CERTS: ca, JUMP_MS: '61000' }, execArgv: ['--import', CLOCK] },
  );
}

const signIn = async (server: RunningProcess, token: string, scope = PULL): Promise<number> =>
  (await server.get(`/token?scope=${encodeURIComponent(scope)}`, { headers: { authorization: basic('oidc', token) } })).status;

const first = ['k1', ecKeys()] as const;
const second = ['k2', ecKeys()] as const;

describe('a sign-in token of a CI system, from an issuer over https', () => {
  scenario(
    'is exchanged for what its claims may: pull, push, or nothing',
    async (stage) => {
      const issuer = await startIssuer(stage);
      issuer.publish(first);
      const server = await start(stage, issuer);
      const as = async (claims: Record<string, unknown>, scope: string) =>
        sending(server, await tokenFor(server, basic('oidc', jobToken(issuer, first, claims)), scope));

      const pusher = await as({}, BOTH);
      expect((await pushImage(pusher, '/v2/team/app', 'latest', app)).status).toBe(201);
      const puller = await as({ repository: 'acme/other' }, BOTH);
      expect(await (await puller.get(LATEST)).sha256()).toBe(app.top.digest);
      expect((await pushImage(puller, '/v2/team/app', 'again', buildImage({ label: 'other' }))).status).toBe(404);
      const stranger = await as({ repository_owner: 'evil', repository: 'evil/app' }, BOTH);
      expect((await stranger.get(LATEST)).status).toBe(404);
      // As a password it does without an exchange, whatever the name.
      expect((await sending(server, basic('anything', jobToken(issuer, first))).get(LATEST)).status).toBe(200);
      // The issuer was asked once for all of them.
      expect(issuer.asked).toEqual(['/.well-known/openid-configuration', '/keys']);
    },
    own,
  );

  scenario(
    'is refused where it is for somebody else, too old, forged or unsigned, and stands in no log',
    async (stage) => {
      const issuer = await startIssuer(stage);
      issuer.publish(first);
      const server = await start(stage, issuer);
      const now = Math.floor(Date.now() / 1000);
      const good = jobToken(issuer, first);
      const [header = '', claims = ''] = good.split('.').map((part) => Buffer.from(part, 'base64url').toString());
      const wrong: Readonly<Record<string, string>> = {
        'another audience': jobToken(issuer, first, { aud: 'other.test' }),
        'no audience': jobToken(issuer, first, { aud: undefined }),
        'another issuer': jobToken(issuer, first, { iss: 'https://evil.test' }),
        expired: jobToken(issuer, first, { iat: now - 900, nbf: now - 900, exp: now - 600 }),
        'not yet': jobToken(issuer, first, { nbf: now + 600 }),
        'another key under a known name': jobToken(issuer, ['k1', second[1]]),
        'a key that nobody published': jobToken(issuer, second),
        unsigned: forge({ ...(JSON.parse(header) as object), alg: 'none' }, claims, unsigned),
        'a key of its own': forge({ alg: 'ES256', jwk: jwkOf(second[1]) }, claims, es256(second[1])),
      };
      for (const [what, token] of Object.entries(wrong)) expect([what, await signIn(server, token)]).toEqual([what, 401]);
      expect(await signIn(server, good)).toBe(200);
      const said = JSON.stringify(server.records) + server.stderr();
      for (const token of [good, ...Object.values(wrong)]) expect(said).not.toContain(token.slice(-40));
    },
    own,
  );

  scenario(
    'is verified by new keys once there are, and not by what was taken back',
    async (stage) => {
      const issuer = await startIssuer(stage);
      issuer.publish(first);
      const server = await start(stage, issuer);
      expect(await signIn(server, jobToken(issuer, first))).toBe(200);
      issuer.publish(second);
      // An unknown key makes us ask at most once a minute, so that made-up ones ask nobody to death.
      const asked = issuer.asked.length;
      for (let left = 5; left > 0; left--) expect(await signIn(server, jobToken(issuer, second))).toBe(401);
      expect(issuer.asked).toHaveLength(asked);
      server.signal('SIGUSR2');
      await expect.poll(() => signIn(server, jobToken(issuer, second, { run: 2 })), { timeout: 10_000 }).toBe(200);
      expect(await signIn(server, jobToken(issuer, first, { run: 2 }))).toBe(401);
    },
    own,
  );

  scenario(
    'goes on while its issuer is down, by the keys that are known; where none are it is 503, and tokens of ours stay good',
    async (stage) => {
      const issuer = await startIssuer(stage);
      issuer.publish(first);
      const server = await start(stage, issuer);
      const token = await tokenFor(server, basic('oidc', jobToken(issuer, first)), BOTH);
      expect((await pushImage(sending(server, token), '/v2/team/app', 'latest', app)).status).toBe(201);
      await issuer.down();
      expect(await signIn(server, jobToken(issuer, first, { run: 2 }))).toBe(200);
      expect(await signIn(server, jobToken(issuer, second))).toBe(401);
      expect(await server.kill('SIGTERM')).toBe(0);

      const again = await start(stage, issuer);
      expect(await signIn(again, jobToken(issuer, first, { run: 3 }))).toBe(503);
      // It is for the address at which it was asked for.
      const { host } = new URL(server.url);
      expect((await again.get(LATEST, { headers: { authorization: token, host } })).status).toBe(200);
    },
    own,
  );
});
