import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run, startDaemon, type Daemon } from './program.ts';

/** A containerd of the test's own, with nothing of the machine's. */
export async function startContainerd(directory: string): Promise<Daemon & { readonly address: string }> {
  const address = join(directory, 'containerd.sock');
  const config = join(directory, 'containerd.toml');
  const lines = [
    'version = 2',
    `root = "${directory}/root"`,
    `state = "${directory}/state"`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
    `[grpc]\n  address = "${address}"`,
    '[plugins."io.containerd.internal.v1.opt"]',
    `  path = "${directory}/opt"`,
  ];
  await writeFile(config, lines.join('\n'));
  const answers = (): Promise<boolean> =>
    run('ctr', ['--address', address, 'version']).then(
      () => true,
      () => false,
    );
  const daemon = await startDaemon('containerd', ['--config', config], answers);
  return { ...daemon, address };
}
