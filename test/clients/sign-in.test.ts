import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { buildImage } from '../fakes/images.ts';
import { scenario, type Stage } from '../scenarios/harness.ts';
import { basic, PASSWORD, sending, writeUsers } from '../scenarios/people.ts';
import { MAIN, type RunningProcess } from '../scenarios/process.ts';
import { pushImage } from '../scenarios/push.ts';
import type { Settings } from '../scenarios/settings.ts';
import { startContainerd } from './containerd.ts';
import { containersProgram } from './containers.ts';
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
}

/** One port: a mirror of Docker Hub to whoever comes by 127.0.0.1, a registry to whoever comes by localhost. */
async function startHouse(stage: Stage): Promise<House> {
  const hub = await startOfficialRegistry(stage.directory, 'hub');
  stage.defer(() => hub.stop());
  await hub.push('library/ubuntu', 'latest', image);
  const settings: Settings = {
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
  return { hub, server, mirror: host, registry: `localhost:${port}`, config: join(stage.directory, 'data/config.yml') };
}

function withHouse(title: string, programs: readonly string[], play: (house: House, stage: Stage) => Promise<void>): void {
  const options = { settings: null, timeoutMs: 120_000, ...needs(['docker-registry', ...programs]) };
  scenario(title, async (stage) => play(await startHouse(stage), stage), options);
}

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
      configure: (kind) => configure(kind, server.url, config, stage.directory),
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
    const { registry, server, config } = house;
    const entrepot = (...args: string[]): Promise<string> => run(process.execPath, [MAIN, ...args, '--config', config]);
    const home = join(stage.directory, 'home');
    await run('mkdir', ['-p', home]);
    const podman = await containersProgram('podman', home);
    const own = sending(server, basic('ann'));
    const path = '/v2/registry.acme.test/team/app';
    expect((await pushImage(own, path, '1', image)).status).toBe(201);
    const login = (user: string, password: string): Promise<string> =>
      podman('login', '--tls-verify=false', '--username', user, '--password', password, registry);
    const pull = (): Promise<string> => podman('pull', '--tls-verify=false', `${registry}/team/app:1`);

    expect(await failureOf(pull())).toMatch(/asks who you are|unauthorized/);
    expect(await failureOf(login('ann', 'wrong'))).toMatch(/invalid username\/password/);
    expect(await login('ann', PASSWORD)).toContain('Login Succeeded');
    await pull();
    await podman('logout', registry);

    const token = (await entrepot('token', 'create', 'ci-build')).trim();
    expect(await login('anything', token)).toContain('Login Succeeded');
    await podman('push', '--tls-verify=false', `${registry}/team/app:1`, `${registry}/team/copy:1`);
    const auth = join(stage.directory, 'skopeo.json');
    const inspect = (): Promise<string> =>
      run('skopeo', ['inspect', '--authfile', auth, '--tls-verify=false', `docker://${registry}/team/copy:1`]);
    await run('skopeo', ['login', '--authfile', auth, '--tls-verify=false', '-u', 'x', '-p', token, registry]);
    expect(await inspect()).toContain('"Digest"');
    await entrepot('token', 'revoke', 'ci-build');
    expect(await failureOf(inspect())).toMatch(/invalid username\/password|unauthorized/);
  },
);

withHouse('containerd signs in as it pulls', ['containerd', 'ctr'], async ({ server, registry }, stage) => {
  expect((await pushImage(sending(server, basic('ann')), '/v2/registry.acme.test/team/app', '1', image)).status).toBe(201);
  const directory = join(stage.directory, 'c');
  await run('mkdir', ['-p', directory]);
  const { address, stop } = await startContainerd(directory);
  stage.defer(stop);
  const pull = (user: string): Promise<string> =>
    run('ctr', [
      '--address',
      address,
      'images',
      'pull',
      '--plain-http',
      '--user',
      user,
      '--snapshotter',
      'native',
      `${registry}/team/app:1`,
    ]);
  expect(await failureOf(pull('ann:wrong'))).toMatch(/401|unauthorized|not known here/i);
  expect(await failureOf(pull(`ben:${PASSWORD}`))).toMatch(/not found|404/i);
  await pull(`ann:${PASSWORD}`);
});
