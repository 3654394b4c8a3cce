import { join } from 'node:path';
import { startContainerd } from './containerd.ts';
import { run, startDaemon } from './program.ts';
import type { ClientStage } from './stage.ts';

/** The programs that it takes. */
export const DOCKER = ['dockerd', 'docker', 'containerd', 'ctr'] as const;

/** What a Docker Engine needs of its surroundings. */
export type DockerStage = Pick<ClientStage, 'place' | 'configure' | 'defer'>;

/** `vfs` works everywhere, and copies all layers below into each; `overlay2` is what users have. */
export type StorageDriver = 'vfs' | 'overlay2';

/** A Docker Engine of the test's own: no network, no iptables, nothing shared with the machine's. Yields its client. */
export async function startDocker(
  stage: DockerStage,
  storage: StorageDriver = 'vfs',
): Promise<(...args: string[]) => Promise<string>> {
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
  const network = ['--bridge=none', '--iptables=false', '--ip6tables=false', `--storage-driver=${storage}`];
  const args = ['--config-file', settings!.file, '--containerd', containerd.address, '--host', host, ...places, ...network];
  const daemon = await startDaemon('dockerd', args, answers);
  stage.defer(daemon.stop);
  return docker;
}
