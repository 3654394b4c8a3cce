import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { createAuthority } from '../fakes/certificates.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { scenario, type Stage } from '../scenarios/harness.ts';
import { writeUsers } from '../scenarios/people.ts';
import type { RunningProcess } from '../scenarios/process.ts';
import type { Settings } from '../scenarios/settings.ts';
import { startContainerd } from './containerd.ts';
import { containersProgram } from './containers.ts';
import { DOCKER, startDocker } from './docker.ts';
import { needs, run } from './program.ts';
import { configure } from './stage.ts';

interface House {
  /** Docker Hub, where acme/app is ann's. */
  readonly hub: ScriptedUpstream;
  readonly server: RunningProcess;
  /** `127.0.0.1:PORT`, over TLS. */
  readonly mirror: string;
  readonly config: string;
  readonly ca: string;
  readonly trust: string;
}

const authority = createAuthority('Acme');
const SIGNED_IN = (path: string): Settings => ({
  auth: { htpasswd: { realm: 'acme', path } },
  access: [{ match: '**', pull: ['anyone'] }],
});

async function startHouse(stage: Stage, more: Settings): Promise<House> {
  const hub = await stage.addUpstream({
    auth: {
      scheme: 'bearer',
      privateRepositories: ['acme/app'],
      users: { ann: { password: 'annspassword', repositories: ['acme/app'] }, ben: { password: 'bens', repositories: [] } },
    },
  });
  hub.image('acme/app', 'latest', { layers: [{ 'etc/hello': 'private' }], platforms: ['linux/amd64', 'linux/arm64/v8'] });
  const { certificate, key } = authority.issue('localhost');
  const [at, keyAt] = [join(stage.directory, 'server.pem'), join(stage.directory, 'server.key')];
  await writeFile(at, certificate);
  await writeFile(keyAt, key);
  const trust = join(stage.directory, 'trust');
  const ca = join(trust, 'ca.crt');
  await run('mkdir', ['-p', trust]);
  await writeFile(ca, authority.certificate);
  const server = await stage.startProcess({
    http: { addr: '127.0.0.1:0', debug: { addr: '127.0.0.1:0' }, tls: { certificate: at, key: keyAt } },
    upstreams: { hub: { url: hub.url } },
    routes: [{ match: 'docker.io/**', name: 'hub', upstreams: ['hub'], passthrough: true }],
    ...more,
  });
  return { hub, server, trust, ca, mirror: new URL(server.url).host, config: join(stage.directory, 'data/config.yml') };
}

const failureOf = (running: Promise<string>): Promise<string> =>
  running.then(
    (said) => `it did not fail: ${said}`,
    (error: Error) => error.message,
  );

/** All that was ever shown to Docker Hub's token endpoint, and nothing of it to its registry. */
function signedIn({ hub }: House): Set<string> {
  const shown = hub.requests.map(({ kind, headers }) => [kind, headers.authorization ?? ''] as const);
  expect(shown.filter(([kind, field]) => kind !== 'token' && field.startsWith('Basic'))).toEqual([]);
  const fields = shown.filter(([kind, field]) => kind === 'token' && field !== '').map(([, field]) => field);
  return new Set(fields.map((field) => Buffer.from(field.slice(6), 'base64').toString()));
}

scenario(
  'dockerd pulls a private image of Docker Hub through its mirror, with nothing but its login to Docker Hub',
  async (stage) => {
    const house = await startHouse(stage, SIGNED_IN(await writeUsers(stage, 'olga')));
    const docker = await startDocker({
      async place(name) {
        const own = join(stage.directory, name);
        await run('mkdir', ['-p', own]);
        return own;
      },
      configure: (kind) => configure(kind, `https://${house.mirror}`, house.config, stage.directory),
      defer: stage.defer,
    });
    const login = (user: string): Promise<void> => {
      const auths = { 'https://index.docker.io/v1/': { auth: Buffer.from(user).toString('base64') } };
      return writeFile(join(stage.directory, 'client/config.json'), JSON.stringify({ auths }));
    };
    expect(await failureOf(docker('pull', 'acme/app'))).not.toContain('it did not fail');
    await login('ann:annspassword');
    await docker('pull', 'acme/app');
    await docker('image', 'rm', 'acme/app');
    const before = house.hub.hits('GET blob');
    await docker('pull', 'acme/app');
    expect(house.hub.hits('GET blob')).toBe(before);
    await docker('image', 'rm', 'acme/app');
    await login('ben:bens');
    expect(await failureOf(docker('pull', 'acme/app'))).not.toContain('it did not fail');
    expect(signedIn(house)).toEqual(new Set(['ann:annspassword', 'ben:bens']));
  },
  { settings: null, timeoutMs: 120_000, ...needs(DOCKER) },
);

scenario(
  'skopeo and Podman pull a private image with the credentials of its registry',
  async (stage) => {
    const house = await startHouse(stage, SIGNED_IN(await writeUsers(stage, 'olga')));
    const inspect = (creds: string): Promise<string> =>
      run('skopeo', ['inspect', '--creds', creds, '--cert-dir', house.trust, `docker://${house.mirror}/acme/app:latest`]);
    expect(await inspect('ann:annspassword')).toContain('"Digest"');
    expect(await failureOf(inspect('ben:bens'))).toMatch(/not to be had here|name unknown/i);
    expect(await failureOf(inspect('ann:wrong'))).toMatch(/unauthorized|does not know/i);
    const home = join(stage.directory, 'home');
    await run('mkdir', ['-p', home]);
    const podman = await containersProgram('podman', home);
    const pull = ['pull', '--cert-dir', house.trust];
    await podman(...pull, '--creds', 'ann:annspassword', `${house.mirror}/acme/app:latest`);
    expect(await failureOf(podman(...pull, `${house.mirror}/acme/app:latest`))).toMatch(/unauthorized|sign in/i);
  },
  { settings: null, timeoutMs: 120_000, ...needs(['skopeo', 'podman']) },
);

for (const [where, settings] of [
  ['that signs nobody in itself', async () => ({})],
  ['with a token endpoint of its own', async (stage: Stage) => SIGNED_IN(await writeUsers(stage, 'olga'))],
] as const) {
  scenario(
    `containerd pulls a private image through a mirror ${where}`,
    async (stage) => {
      const house = await startHouse(stage, await settings(stage));
      const hosts = join(stage.directory, 'hosts/docker.io');
      const directory = join(stage.directory, 'c');
      await run('mkdir', ['-p', directory, hosts]);
      const host = `[host."https://${house.mirror}"]\n  capabilities = ["pull", "resolve"]\n  ca = "${house.ca}"\n`;
      // Nobody is asked but the mirror.
      await writeFile(join(hosts, 'hosts.toml'), `server = "https://${house.mirror}"\n${host}`);
      const { address, stop } = await startContainerd(directory);
      stage.defer(stop);
      const ctr = ['--address', address, 'images', 'pull', '--hosts-dir', join(hosts, '..'), '--snapshotter', 'native'];
      const pull = (user: string): Promise<string> => run('ctr', [...ctr, '--user', user, 'docker.io/acme/app:latest']);
      expect(await failureOf(pull('ben:bens'))).not.toContain('it did not fail');
      await pull('ann:annspassword');
      expect(signedIn(house)).toEqual(new Set(['ann:annspassword', 'ben:bens']));
    },
    { settings: null, timeoutMs: 120_000, ...needs(['containerd', 'ctr']) },
  );
}
