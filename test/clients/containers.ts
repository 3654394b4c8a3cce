import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './program.ts';

/** skopeo, from and to registries without TLS. */
export const skopeo = (...args: string[]): Promise<string> => run('skopeo', ['--insecure-policy', ...args]);

/** Between two of them. */
export const INSECURE = ['--src-tls-verify=false', '--dest-tls-verify=false'];

/** A program of containers/storage with images, settings and signature policy of its own, all below `directory`. */
export async function containersProgram(
  program: 'podman' | 'buildah',
  directory: string,
  more: Readonly<Record<string, string>> = {},
): Promise<(...args: string[]) => Promise<string>> {
  const settings = join(directory, '.config/containers');
  await mkdir(settings, { recursive: true });
  await writeFile(join(settings, 'policy.json'), JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
  const own = ['--root', join(directory, 'root'), '--runroot', join(directory, 'run'), '--storage-driver', 'vfs'];
  const env = { HOME: directory, TMPDIR: directory, ...more };
  return (...args) => run(program, [...own, ...args], { env });
}
