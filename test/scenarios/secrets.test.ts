import { execFile } from 'node:child_process';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import type { Blob } from '../fakes/images.ts';
import { blobPath, manifestPath } from './paths.ts';
import { scenario, type Stage } from './harness.ts';
import { PROGRAM, type RunningProcess } from './process.ts';
import type { Settings } from './settings.ts';

const run = promisify(execFile);

/** Every secret that the configuration can hold, each another word that begins so. */
const CANARY = 'canary';

scenario(
  '[S49] [GHSA-c37v-3c8w-crq8] [GHSA-qcmj] not one of thirty canaries is seen in a log at debug level, a metric, an answer, a command or a page of health',
  async (stage) => {
    const { upstream, directory } = stage;
    const image = upstream.image('library/good', '1');
    const evil = await stage.addUpstream();
    evil.all.status(401, { 'www-authenticate': `Bearer realm="${evil.url}/token?k=${CANARY}-realm",service="s"` });
    const file = join(directory, 'password');
    await writeFile(file, `${CANARY}-file\n`);
    const env = environment(directory);
    const accounts = await canaryAccounts(directory, upstream.url, evil.url);
    const server = await stage.startProcess(canarySettings(upstream.url, evil.url, file, accounts), { env });

    const seen = new Map<string, string>();
    await (await server.get(blobPath(image.layers[0]!, 'library/good'))).bytes();
    for (const path of paths(image.top.digest, image.layers[0]!)) seen.set(path, await askFor(server, path));
    // The checks of `health` look once at the start.
    for (const path of ['/metrics', '/debug/health', '/readyz']) seen.set(path, await (await server.debug(path)).text());
    expect(seen.get('/debug/health')).toContain('http://127.0.0.1:1/x');
    for (const args of COMMANDS) seen.set(args.join(' '), await command(join(directory, 'data', 'config.yml'), args, env));
    expect(seen.get('check --offline')).toContain('***');
    await breakFile(stage, server);
    await server.kill();
    seen.set('log', server.records.map((record) => JSON.stringify(record)).join('\n'));
    seen.set('stderr', server.stderr());

    expect(server.records.some(({ level }) => level === 'debug')).toBe(true);
    const told = [...seen].flatMap(([where, text]) =>
      text.split('\n').flatMap((line) => (line.includes(CANARY) || line.includes(BASE64) ? [`${where}: ${line}`] : [])),
    );
    expect(told).toEqual([]);
    // They were in use all the same.
    expect(JSON.stringify(upstream.requests)).toContain(`${CANARY}-key`);
    for (const secret of [`Bearer ${CANARY}-bearer`, `${CANARY}-azure`, `Credential=${CANARY}-access`])
      expect(JSON.stringify(evil.requests)).toContain(secret);
  },
  { settings: null, timeoutMs: 60_000 },
);

/** `canary` at the beginning of a base64 text, and behind `u:`. */
const BASE64 = Buffer.from(CANARY).toString('base64').slice(0, 8);

const COMMANDS = [
  ['check', '--offline'],
  ['check', '--offline', '--json'],
  ['check'],
  ['status'],
  ['status', '--json'],
  ['explain', 'bad:1'],
  ['explain', 'accounts:1'],
  ['ls'],
] as const;

/** One upstream for each way to sign in, the endpoints that give out credentials being evil. */
async function canaryAccounts(directory: string, good: string, evil: string): Promise<Settings> {
  const [helper, config, keyfile] = ['docker-credential-leaky', 'docker.json', 'key.json'].map((name) => join(directory, name));
  await writeFile(helper!, `#!/bin/sh\necho '{"Username":"u","Secret":"${CANARY}-helper"'\necho ${CANARY}-helper >&2\n`);
  await chmod(helper!, 0o755);
  const auth = Buffer.from(`u:${CANARY}-config`).toString('base64');
  await writeFile(config!, JSON.stringify({ auths: { [new URL(good).host]: { auth }, [new URL(evil).host]: { auth } } }));
  const key = {
    type: 'service_account',
    client_email: 'e',
    private_key: `${CANARY}-key`,
    token_uri: `${evil}/t?k=${CANARY}-uri`,
  };
  await writeFile(keyfile!, JSON.stringify(key));
  return {
    bearer: { url: evil, token: `${CANARY}-bearer` },
    identity: { url: evil, identitytoken: `${CANARY}-identity` },
    docker: { url: evil, config: config! },
    leaky: { url: evil, helper: 'leaky' },
    amazon: { url: evil, ecr: { region: 'eu-west-1', endpoint: evil } },
    google: { url: evil, gcp: { keyfile: keyfile! } },
    azure: { url: evil, acr: { tenant: 'dir', clientid: 'c', clientsecret: `${CANARY}-azure`, authority: evil } },
  };
}

function canarySettings(good: string, evil: string, passwordfile: string, accounts: Settings): Settings {
  let count = 0;
  const next = (): string => `${CANARY}-${++count}`;
  return {
    log: { level: 'debug' },
    http: { addr: '127.0.0.1:0', secret: next(), debug: { addr: '127.0.0.1:0', prometheus: { enabled: true } } },
    health: { http: [{ uri: `http://u:${next()}@127.0.0.1:1/x?token=${next()}`, headers: { Authorization: [next()] } }] },
    credentials: { 'docker.io': { username: 'a', password: next() }, 'ghcr.io': { username: 'b', passwordfile } },
    redis: { addrs: ['127.0.0.1:1'], username: 'c', password: next() },
    upstreams: {
      good: {
        url: good,
        username: 'd',
        password: next(),
        headers: { 'X-Key': `${CANARY}-key`, Authorization: `Bearer ${next()}` },
      },
      evil: { url: evil, username: 'e', password: next(), headers: { Cookie: next() } },
      plain: { url: 'http://plain.test', username: 'f', password: next(), proxy: `http://p:${next()}@127.0.0.1:1` },
      secure: { url: 'https://secure.test', username: 'g', password: next(), proxy: `http://p:${next()}@127.0.0.1:1` },
      odd: { url: 'https://odd.test', username: 'h', password: next(), proxy: `http://p:${next()}%zz@127.0.0.1:1` },
      around: { url: 'https://around.test', username: 'i', password: next() },
      down: { url: 'http://127.0.0.1:1', username: 'j', password: next() },
      ...accounts,
    },
    routes: [
      { match: 'docker.io/library/good', upstreams: ['good'] },
      { match: 'docker.io/library/accounts', upstreams: Object.keys(accounts) },
      { match: 'docker.io/**', upstreams: ['evil', 'plain', 'secure', 'odd', 'around', 'down'] },
    ],
  };
}

function environment(directory: string): Record<string, string> {
  return {
    PATH: `${directory}:${process.env['PATH']}`,
    HTTPS_PROXY: `http://q:${CANARY}-env@127.0.0.1:1`,
    REGISTRY_NOTHING: `${CANARY}-nothing`,
    AWS_ACCESS_KEY_ID: `${CANARY}-access`,
    AWS_SECRET_ACCESS_KEY: `${CANARY}-aws`,
  };
}

function paths(manifest: string, blob: Pick<Blob, 'digest'>): string[] {
  const query = `?token=${CANARY}-query`;
  return [
    ...['library/good', 'library/bad', 'library/accounts'].flatMap((repository) => [
      `${manifestPath('1', repository)}${query}`,
      manifestPath(manifest, repository),
      blobPath(blob, repository),
      `/v2/${repository}/tags/list`,
      `/v2/${repository}/referrers/${manifest}`,
    ]),
    `/nothing${query}`,
  ];
}

/** Head and body of the answer to a client that brings secrets of its own. */
async function askFor(server: RunningProcess, path: string): Promise<string> {
  const basic = `Basic ${Buffer.from(`${CANARY}:${CANARY}`).toString('base64')}`;
  const headers = { authorization: basic, cookie: `${CANARY}-cookie`, 'proxy-authorization': basic };
  const reply = await server.get(path, { headers });
  return `${JSON.stringify(reply.headers)}\n${(await reply.untilBroken()).bytes.toString('latin1')}`;
}

async function command(file: string, [name, ...flags]: readonly string[], env: Record<string, string>): Promise<string> {
  const more = name === 'check' ? [file] : ['--config', file];
  const options = { env };
  const { stdout, stderr } = await run(process.execPath, [PROGRAM, name!, ...flags, ...more], options).catch(
    (error: unknown) => error as { stdout: string; stderr: string },
  );
  return stdout + stderr;
}

/** What a wrong file holds is said nowhere either. */
async function breakFile({ directory }: Stage, server: RunningProcess): Promise<void> {
  await writeFile(
    join(directory, 'data', 'config.yml'),
    `upstreams:\n  x: { url: "http://u:${CANARY}-u@h/?q=${CANARY}-q", password: [${CANARY}-list], proxy: "ftp://u:${CANARY}-p@h" }\n`,
  );
  server.signal('SIGHUP');
  await server.logged('reload failed');
}
