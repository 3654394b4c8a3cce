import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { buildImage } from '../fakes/images.ts';
import { startContainerd } from './containerd.ts';
import { run, startDaemon } from './program.ts';
import { clientScenario, type ClientStage } from './stage.ts';

describe('Docker', () => {
  clientScenario(
    'pulls through a registry mirror, and again when the registry is gone',
    ['dockerd', 'docker', 'containerd', 'ctr'],
    async (stage) => {
      const image = buildImage({ layers: [{ 'etc/hello': 'hub' }, 300_000], platforms: ['linux/amd64', 'linux/arm64/v8'] });
      await stage.hub.push('library/ubuntu', 'latest', image);
      const docker = await startDocker(stage);
      const digest = async (): Promise<string> => docker('image', 'inspect', '--format', '{{index .RepoDigests 0}}', 'ubuntu');

      await docker('pull', 'ubuntu');
      expect((await digest()).trim()).toBe(`ubuntu@${image.top.digest}`);
      expect(stage.hub.hits('GET manifest')).toBe(2);
      expect(stage.hub.hits('GET blob')).toBe(3);

      await docker('image', 'rm', 'ubuntu');
      await stage.stopUpstreams();
      await docker('pull', 'ubuntu');
      expect((await digest()).trim()).toBe(`ubuntu@${image.top.digest}`);
    },
  );

  clientScenario('pulls another registry by path', ['dockerd', 'docker', 'containerd', 'ctr'], async (stage) => {
    const image = buildImage({ layers: [{ 'etc/hello': 'quay' }], format: 'docker' });
    await stage.quay.push('org/tool', '1', image);
    const docker = await startDocker(stage);
    const name = `${stage.authority}/quay.io/org/tool:1`;
    await docker('pull', name);
    await docker('image', 'rm', name);
    await stage.stopUpstreams();
    expect(await docker('pull', name)).toContain(image.top.digest);
  });
});

/** A Docker Engine of the test's own: no network, no iptables, nothing shared with the machine's. */
async function startDocker(stage: ClientStage): Promise<(...args: string[]) => Promise<string>> {
  const directory = await stage.place('client');
  const [settings] = await stage.configure('docker');
  const containerd = await startContainerd(await stage.place('c'));
  stage.defer(containerd.stop);
  const host = `unix://${join(directory, 'docker.sock')}`;
  const env = { DOCKER_CONFIG: directory };
  const docker = (...args: string[]): Promise<string> => run('docker', ['--host', host, ...args], { env });
  const answers = (): Promise<boolean> =>
    docker('version').then(
      () => true,
      () => false,
    );
  const places = [
    '--data-root',
    join(directory, 'data'),
    '--exec-root',
    join(directory, 'exec'),
    '--pidfile',
    join(directory, 'pid'),
  ];
  const network = ['--bridge=none', '--iptables=false', '--ip6tables=false', '--storage-driver=vfs'];
  const args = ['--config-file', settings!.file, '--containerd', containerd.address, '--host', host, ...places, ...network];
  const daemon = await startDaemon('dockerd', args, answers);
  stage.defer(daemon.stop);
  return docker;
}
