import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { chmod, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { blobOf } from '../fakes/images.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { scenario, times, type Stage } from './harness.ts';
import { blobPath, manifestPath, refusalOf } from './paths.ts';
import type { RunningHere } from './in-process.ts';
import { chainTo, routesTo } from './settings.ts';

const own = { settings: null };
const PRIVATE = 'acme/secret';

/** Sign-ins: token requests that show something of ours. */
function signIns(upstream: ScriptedUpstream): number {
  return upstream.seen('token').filter(({ headers, body }) => headers.authorization !== undefined || body !== '').length;
}

function guard(upstream: ScriptedUpstream, password: string): void {
  upstream.auth.set({ scheme: 'bearer', username: 'me', password, privateRepositories: [PRIVATE] });
}

async function valid(server: RunningHere, upstream = 'hub'): Promise<number> {
  return (await server.metrics()).sum('entrepot_upstream_credentials_valid', { upstream });
}

function said(server: RunningHere, msg: string): number {
  return server.records.filter((record) => record.msg === msg).length;
}

/** A secret's file, replaced as a whole. */
async function writeSecret(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

interface Expiring {
  readonly server: RunningHere;
  readonly file: string;
}

/** docker.io, asked anew for each tag, with a password of a file. */
async function startExpiring(stage: Stage): Promise<Expiring> {
  const file = join(stage.directory, 'password');
  await writeSecret(file, 'old\n');
  guard(stage.upstream, 'old');
  const account = { username: 'me', passwordfile: file };
  return { server: await stage.start(routesTo(stage.upstream, { tagttl: '0s' }, account)), file };
}

describe('[accept 7] an upstream password that expires while clients pull', () => {
  scenario(
    'nothing that is cached or public fails, one sign-in is tried, metric and log say so once',
    async (stage) => {
      const { upstream } = stage;
      const { server } = await startExpiring(stage);
      const repositories = times(8, (at) => `library/r${at}`);
      const images = new Map(
        repositories.map((repository) => [repository, upstream.image(repository, '1', { label: repository })]),
      );
      const pull = async (repository: string): Promise<string> => {
        const image = images.get(repository)!;
        const [top, layer] = [
          await server.get(manifestPath('1', repository)),
          await server.get(blobPath(image.layers[0]!, repository)),
        ];
        return `${top.status} ${await top.sha256()} ${layer.status} ${await layer.sha256()}`;
      };
      const whole = (repository: string): string => {
        const image = images.get(repository)!;
        return `200 ${image.top.digest} 200 ${image.layers[0]!.digest}`;
      };
      // Half of them are held when the password expires.
      const held = repositories.slice(0, 4);
      expect(await Promise.all(held.map(pull))).toEqual(held.map(whole));
      expect([await valid(server), said(server, 'credentials refused')]).toEqual([1, 0]);

      guard(upstream, 'new');
      upstream.auth.expireTokens();
      upstream.forget();
      for (const _ of times(3, () => 0)) {
        const clients = [...repositories, ...repositories];
        expect(await Promise.all(clients.map(pull))).toEqual(clients.map(whole));
      }
      expect(signIns(upstream)).toBe(1);
      expect([await valid(server), said(server, 'credentials refused')]).toEqual([0, 1]);
      expect((await server.logged('credentials refused'))['error']).toBe('hub refused our credentials (401)');
    },
    own,
  );

  scenario(
    'the next secret in its file is used by the next pull, without a reload',
    async (stage) => {
      const { upstream } = stage;
      const { server, file } = await startExpiring(stage);
      const image = upstream.image('library/r', '1');
      await (await server.get(manifestPath('1', 'library/r'))).bytes();
      guard(upstream, 'new');
      upstream.auth.expireTokens();
      await (await server.get(manifestPath('1', 'library/r'))).bytes();
      expect(await valid(server)).toBe(0);

      upstream.forget();
      await writeSecret(file, 'new\n');
      expect(await (await server.get(manifestPath('1', 'library/r'))).sha256()).toBe(image.top.digest);
      expect([signIns(upstream), await valid(server), said(server, 'credentials accepted')]).toEqual([1, 1, 1]);
      expect(said(server, 'reloaded')).toBe(0);
    },
    own,
  );

  scenario(
    'a private repository of the account is 404, hit or miss, before and after',
    async (stage) => {
      const { upstream } = stage;
      const { server } = await startExpiring(stage);
      const open = upstream.image('library/r', '1');
      const closed = upstream.image(PRIVATE, '1');
      // The same bytes in both: a layer that is held, and a manifest that is.
      upstream.blob(PRIVATE, open.layers[0]!);
      upstream.manifest(PRIVATE, 'same', open.top);
      for (const path of [manifestPath('1', 'library/r'), blobPath(open.layers[0]!, 'library/r')])
        expect((await (await server.get(path)).untilBroken()).broken).toBe(false);
      const paths = [
        manifestPath('1', PRIVATE),
        manifestPath(closed.top.digest, PRIVATE),
        blobPath(closed.layers[0]!, PRIVATE),
        manifestPath('same', PRIVATE),
        manifestPath(open.top.digest, PRIVATE),
        blobPath(open.layers[0]!, PRIVATE),
      ];
      const outcomes = async (): Promise<number[]> =>
        await Promise.all(
          paths.flatMap((path) => [server.get(path), server.head(path)]).map(async (reply) => (await reply).status),
        );
      expect(await outcomes()).toEqual(paths.flatMap(() => [404, 404]));

      guard(upstream, 'new');
      upstream.auth.expireTokens();
      await (await server.get(manifestPath('1', 'library/r'))).bytes();
      expect(await valid(server)).toBe(0);
      expect(await outcomes()).toEqual(paths.flatMap(() => [404, 404]));
      expect(await refusalOf(await server.get(manifestPath('1', PRIVATE)))).toBe('404 NAME_UNKNOWN');
    },
    own,
  );
});

/** A program that docker would call, in a directory of the scenario's own. */
async function program(stage: Stage, name: string, text: string): Promise<void> {
  const file = join(stage.directory, `docker-credential-${name}`);
  await writeFile(file, `#!/bin/sh\n${text}\n`);
  await chmod(file, 0o755);
  const { PATH } = process.env;
  process.env['PATH'] = `${stage.directory}:${PATH}`;
  stage.defer(() => (process.env['PATH'] = PATH));
}

/** Who we are to AWS. */
function awsKeys(stage: Stage, secret: string): void {
  process.env['AWS_ACCESS_KEY_ID'] = `AKID${secret}`;
  process.env['AWS_SECRET_ACCESS_KEY'] = secret;
  stage.defer(() => {
    delete process.env['AWS_ACCESS_KEY_ID'];
    delete process.env['AWS_SECRET_ACCESS_KEY'];
  });
}

describe('each way to sign in pays at the upstream', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const basic = (username: string): RegExp => new RegExp(`^Basic ${Buffer.from(`${username}:pw`).toString('base64')}$`);

  /** Gives out what is `pw` in the words of each cloud. */
  async function giver(stage: Stage): Promise<string> {
    const until = Date.now() / 1000 + 3600;
    const token = Buffer.from('AWS:pw').toString('base64');
    const body = { access_token: 'pw', expires_in: 3600, authorizationData: [{ authorizationToken: token, expiresAt: until }] };
    const server = createServer((_request, response) => response.end(JSON.stringify(body))).listen(0, '127.0.0.1');
    await once(server, 'listening');
    stage.defer(() => server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  type Written = (stage: Stage, url: string) => Promise<Readonly<Record<string, unknown>>>;
  const file = async (stage: Stage, name: string, text: string): Promise<string> => {
    await writeSecret(join(stage.directory, name), text);
    return join(stage.directory, name);
  };
  const WAYS: readonly (readonly [string, Written, string, RegExp, string?])[] = [
    [
      'a password in a file',
      async (stage) => ({ username: 'u', passwordfile: await file(stage, 's', 'pw\n') }),
      'token',
      basic('u'),
      'u',
    ],
    ['a token in a file', async (stage) => ({ tokenfile: await file(stage, 's', 'pw\n') }), 'GET manifest', /^Bearer pw$/],
    ['an identity token', async () => ({ identitytoken: 'pw' }), 'POST token', /grant_type=refresh_token&refresh_token=pw/],
    [
      'a helper',
      async (stage) => {
        await program(stage, 'mine', 'read server; echo "{\\"Username\\":\\"u\\",\\"Secret\\":\\"pw\\"}"');
        return { helper: 'mine' };
      },
      'token',
      basic('u'),
      'u',
    ],
    [
      'a helper of a docker config.json',
      async (stage) => {
        await program(stage, 'mine', 'read server; echo "{\\"Username\\":\\"u\\",\\"Secret\\":\\"pw\\"}"');
        return { config: await file(stage, 'c', JSON.stringify({ credsStore: 'mine' })) };
      },
      'token',
      basic('u'),
      'u',
    ],
    [
      'ECR',
      async (stage, url) => {
        awsKeys(stage, 'k');
        return { ecr: { region: 'eu-west-1', endpoint: url } };
      },
      'token',
      basic('AWS'),
      'AWS',
    ],
    [
      'a service account of Google',
      async (stage, url) => {
        const key = { type: 'service_account', client_email: 'e', private_key: pem, token_uri: url };
        return { gcp: { keyfile: await file(stage, 'k', JSON.stringify(key)) } };
      },
      'token',
      basic('oauth2accesstoken'),
      'oauth2accesstoken',
    ],
    [
      'a service principal of Azure',
      async (stage, url) => {
        stage.upstream.file('/oauth2/exchange', blobOf(Buffer.from(JSON.stringify({ refresh_token: 'pw' }))));
        return { acr: { tenant: 't', clientid: 'c', clientsecretfile: await file(stage, 's', 'k'), authority: url } };
      },
      'POST token',
      /grant_type=refresh_token&refresh_token=pw/,
    ],
  ];
  for (const [way, written, where, shown, user = 'nobody'] of WAYS) {
    scenario(
      way,
      async (stage) => {
        const { upstream } = stage;
        const image = upstream.image('library/r', '1');
        // Everybody may read, so that what is shown decides nothing but who pays.
        upstream.auth.set({ scheme: 'bearer', username: user, password: 'pw' });
        const server = await stage.start(routesTo(upstream, {}, await written(stage, await giver(stage))));
        expect(await (await server.get(manifestPath('1', 'library/r'))).sha256()).toBe(image.top.digest);
        const shownTo = upstream.seen(where).map(({ headers, body }) => (body === '' ? (headers.authorization ?? '') : body));
        expect(shownTo.filter((text) => shown.test(text)).length).toBe(1);
      },
      own,
    );
  }
});

describe('credentials that cannot be had are the fault of the upstream, not of the image', () => {
  const KINDS: readonly (readonly [string, Readonly<Record<string, unknown>>, RegExp])[] = [
    ['a helper that is not there', { helper: 'nowhere' }, /docker-credential-nowhere cannot be run \(ENOENT\)/],
    ['a helper that fails', { helper: 'failing' }, /docker-credential-failing failed with exit code 3/],
    [
      'an ECR endpoint that is down',
      { ecr: { region: 'eu-west-1', endpoint: 'http://127.0.0.1:1' } },
      /127\.0\.0\.1:1 cannot be asked \(ECONNREFUSED\)/,
    ],
    [
      'an Azure authority that is down',
      { acr: { tenant: 't', clientid: 'c', clientsecret: 's3cret', authority: 'http://127.0.0.1:1' } },
      /127\.0\.0\.1:1 cannot be asked \(ECONNREFUSED\)/,
    ],
  ];
  for (const [what, account, why] of KINDS) {
    scenario(
      `${what}: public images come without credentials, others from the next upstream, and the log says why`,
      async (stage) => {
        const { upstream } = stage;
        await program(stage, 'failing', 'echo "s3cret: it is a secret"; exit 3');
        awsKeys(stage, 's3cret');
        guard(upstream, 'pw');
        const image = upstream.image('library/r', '1');
        const second = await stage.addUpstream();
        const other = second.image('library/other', '1');
        const server = await stage.start(chainTo({ hub: { url: upstream.url, ...account }, second: { url: second.url } }));

        expect(await (await server.get(manifestPath('1', 'library/r'))).sha256()).toBe(image.top.digest);
        expect(await (await server.get(blobPath(image.layers[0]!, 'library/r'))).sha256()).toBe(image.layers[0]!.digest);
        expect(await (await server.get(manifestPath('1', 'library/other'))).sha256()).toBe(other.top.digest);
        expect(signIns(upstream)).toBe(0);
        expect([await valid(server), said(server, 'credentials refused')]).toEqual([0, 1]);
        expect((await server.logged('credentials refused'))['error']).toMatch(why);
        expect(JSON.stringify(server.records)).not.toContain('s3cret');
      },
      own,
    );
  }

  scenario(
    'where nothing is answered without them either, it is 502 that says so and no absence, and what is held is served',
    async (stage) => {
      const { upstream } = stage;
      const file = join(stage.directory, 'config.json');
      await writeSecret(
        file,
        JSON.stringify({ auths: { [upstream.host]: { auth: Buffer.from('me:pw').toString('base64') } } }),
      );
      guard(upstream, 'pw');
      const image = upstream.image('library/r', '1');
      upstream.image('library/r', '2');
      const server = await stage.start(routesTo(upstream, { tagttl: '0s' }, { config: file }));
      expect(await (await server.get(manifestPath('1', 'library/r'))).sha256()).toBe(image.top.digest);
      expect([signIns(upstream), await valid(server)]).toEqual([1, 1]);

      await writeSecret(file, JSON.stringify({ auths: {}, credHelpers: { [upstream.host]: 'nowhere' } }));
      upstream.auth.expireTokens();
      upstream.on('token').status(503);
      const held = await server.get(manifestPath('1', 'library/r'));
      expect([held.status, held.headers['cache-status']]).toEqual([200, expect.stringContaining('detail=stale')]);
      const missing = await server.get(manifestPath('2', 'library/r'));
      const text = await missing.text();
      expect([missing.status, text]).toEqual([502, expect.stringContaining('docker-credential-nowhere cannot be run')]);
    },
    own,
  );
});
