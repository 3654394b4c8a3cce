import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { createAuthority } from '../fakes/certificates.ts';
import { buildImage } from '../fakes/images.ts';
import { scenario, type Stage } from '../scenarios/harness.ts';
import { PASSWORD, writeUsers } from '../scenarios/people.ts';
import { MAIN, type RunningProcess } from '../scenarios/process.ts';
import type { Settings } from '../scenarios/settings.ts';
import { startContainerd } from './containerd.ts';
import { containersProgram, skopeo } from './containers.ts';
import { DOCKER, startDocker } from './docker.ts';
import { startOfficialRegistry, type OfficialRegistry } from './official-registry.ts';
import { needs, run } from './program.ts';
import { configure } from './stage.ts';

const image = buildImage({ layers: [{ 'etc/hello': 'hub' }, 200_000], platforms: ['linux/amd64', 'linux/arm64/v8'] });

interface House {
  readonly hub: OfficialRegistry;
  readonly server: RunningProcess;
  /** As the mirror of Docker Hub: anyone may pull. */
  readonly mirror: string;
  /** As the registry of its own: ann and machine tokens may all. */
  readonly registry: string;
  readonly config: string;
  /** The directory of the authority that signed the server's certificate, as skopeo and Podman read it. */
  readonly trust: string;
}

const authority = createAuthority('Acme');

/** One port, over TLS: a mirror of Docker Hub to whoever comes by 127.0.0.1, a registry to whoever comes by localhost. */
async function startHouse(stage: Stage): Promise<House> {
  const hub = await startOfficialRegistry(stage.directory, 'hub');
  stage.defer(() => hub.stop());
  await hub.push('library/ubuntu', 'latest', image);
  const { certificate, key } = authority.issue('localhost');
  const [at, keyAt] = [join(stage.directory, 'server.pem'), join(stage.directory, 'server.key')];
  await writeFile(at, certificate);
  await writeFile(keyAt, key);
  const trust = join(stage.directory, 'trust');
  await run('mkdir', ['-p', trust]);
  await writeFile(join(trust, 'ca.crt'), authority.certificate);
  const settings: Settings = {
    http: { addr: '127.0.0.1:0', debug: { addr: '127.0.0.1:0' }, tls: { certificate: at, key: keyAt } },
    names: { self: ['registry.acme.test'], hosts: { localhost: 'registry.acme.test' } },
    upstreams: { hub: { url: hub.url } },
    routes: [
      { match: 'registry.acme.test/**', upstreams: ['hosted'] },
      { match: 'docker.io/**', upstreams: ['hub'] },
    ],
    auth: { htpasswd: { realm: 'acme', path: await writeUsers(stage, 'ann', 'ben') } },
    access: [
      { match: 'registry.acme.test/**', pull: ['user:ann', 'token:ci-*'], push: ['user:ann', 'token:ci-*'] },
      { match: '**', pull: ['anyone'] },
    ],
  };
  const server = await stage.startProcess(settings);
  const { host, port } = new URL(server.url);
  return { hub, server, trust, mirror: host, registry: `localhost:${port}`, config: join(stage.directory, 'data/config.yml') };
}

function withHouse(title: string, programs: readonly string[], play: (house: House, stage: Stage) => Promise<void>): void {
  const options = { settings: null, timeoutMs: 120_000, ...needs(['docker-registry', ...programs]) };
  scenario(title, async (stage) => play(await startHouse(stage), stage), options);
}

/** Puts an image into the registry as ann. */
const seed = ({ hub, registry, trust }: House): Promise<string> =>
  skopeo(
    'copy',
    '--all',
    '--src-tls-verify=false',
    '--dest-cert-dir',
    trust,
    '--dest-creds',
    `ann:${PASSWORD}`,
    `docker://${new URL(hub.url).host}/library/ubuntu:latest`,
    `docker://${registry}/team/app:1`,
  );

/** What a program that fails says. */
const failureOf = (running: Promise<string>): Promise<string> =>
  running.then(
    (said) => `it did not fail: ${said}`,
    (error: Error) => error.message,
  );

withHouse(
  'Docker: a mirror with and without a login to Docker Hub; signs in, pushes and pulls at the same port',
  DOCKER,
  async ({ server, mirror, registry, config, hub }, stage) => {
    const place = async (name: string): Promise<string> => {
      const own = join(stage.directory, name);
      await run('mkdir', ['-p', own]);
      return own;
    };
    const docker = await startDocker({
      place,
      configure: (kind) => configure(kind, `https://${mirror}`, config, stage.directory),
      defer: stage.defer,
    });
    await docker('pull', 'ubuntu');
    await docker('image', 'rm', 'ubuntu');
    expect(hub.hits('GET blob')).toBe(3);

    const login = { 'https://index.docker.io/v1/': { auth: Buffer.from('hub-user:hub-password').toString('base64') } };
    await writeFile(join(stage.directory, 'client/config.json'), JSON.stringify({ auths: login }));
    await docker('pull', 'ubuntu');
    expect(hub.hits('GET blob')).toBe(3);
    expect(server.records.some((record) => JSON.stringify(record).includes('hub-password'))).toBe(false);

    const mine = `${registry}/team/app:1`;
    await docker('tag', 'ubuntu', mine);
    expect(await failureOf(docker('push', mine))).toMatch(/asks who you are|no basic auth|unauthorized/);
    expect(await failureOf(docker('login', '--username', 'ann', '--password', 'wrong', registry))).toMatch(/unauthorized/);
    expect(await docker('login', '--username', 'ann', '--password', PASSWORD, registry)).toContain('Login Succeeded');
    await docker('push', mine);
    await docker('image', 'rm', mine);
    await docker('pull', mine);
    await docker('logout', registry);
    expect(await docker('login', '--username', 'ben', '--password', PASSWORD, registry)).toContain('Login Succeeded');
    expect(await failureOf(docker('pull', mine))).toMatch(/not to be had here|not found|denied/);
    expect(mirror).not.toBe(registry);
  },
);

withHouse(
  'skopeo and Podman sign in with a password and with a machine token, until it is revoked',
  ['skopeo', 'podman'],
  async (house, stage) => {
    const { registry, config, trust } = house;
    const entrepot = (...args: string[]): Promise<string> => run(process.execPath, [MAIN, ...args, '--config', config]);
    const home = join(stage.directory, 'home');
    await run('mkdir', ['-p', home]);
    const podman = await containersProgram('podman', home);
    await seed(house);
    const login = (user: string, password: string): Promise<string> =>
      podman('login', '--cert-dir', trust, '--username', user, '--password', password, registry);
    const pull = (): Promise<string> => podman('pull', '--cert-dir', trust, `${registry}/team/app:1`);

    expect(await failureOf(pull())).toMatch(/asks who you are|unauthorized/);
    expect(await failureOf(login('ann', 'wrong'))).toMatch(/invalid username\/password/);
    expect(await login('ann', PASSWORD)).toContain('Login Succeeded');
    await pull();
    await podman('logout', registry);

    const token = (await entrepot('token', 'create', 'ci-build')).trim();
    expect(await login('anything', token)).toContain('Login Succeeded');
    await podman('push', '--cert-dir', trust, `${registry}/team/app:1`, `${registry}/team/copy:1`);
    const auth = join(stage.directory, 'skopeo.json');
    const inspect = (): Promise<string> =>
      run('skopeo', ['inspect', '--authfile', auth, '--cert-dir', trust, `docker://${registry}/team/copy:1`]);
    await run('skopeo', ['login', '--authfile', auth, '--cert-dir', trust, '-u', 'x', '-p', token, registry]);
    expect(await inspect()).toContain('"Digest"');
    await entrepot('token', 'revoke', 'ci-build');
    expect(await failureOf(inspect())).toMatch(/invalid username\/password|unauthorized/);
  },
);

withHouse('containerd signs in as it pulls', ['containerd', 'ctr', 'skopeo'], async (house, stage) => {
  const { registry, trust } = house;
  await seed(house);
  const directory = join(stage.directory, 'c');
  // It speaks plain HTTP to localhost unless it is told.
  const hosts = join(stage.directory, 'hosts', registry);
  await run('mkdir', ['-p', directory, hosts]);
  const ca = join(trust, 'ca.crt');
  const host = `[host."https://${registry}"]\n  capabilities = ["pull", "resolve"]\n  ca = "${ca}"\n`;
  await writeFile(join(hosts, 'hosts.toml'), `server = "https://${registry}"\n${host}`);
  const { address, stop } = await startContainerd(directory);
  stage.defer(stop);
  const ctr = ['--address', address, 'images', 'pull', '--hosts-dir', join(hosts, '..'), '--snapshotter', 'native'];
  const pull = (user: string): Promise<string> => run('ctr', [...ctr, '--user', user, `${registry}/team/app:1`]);
  expect(await failureOf(pull('ann:wrong'))).toMatch(/401|unauthorized|not known here/i);
  expect(await failureOf(pull(`ben:${PASSWORD}`))).toMatch(/not ?found/i);
  await pull(`ann:${PASSWORD}`);
});
