import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { createFakeSigstore } from '../fakes/fake-sigstore.ts';
import { buildImage } from '../fakes/images.ts';
import { withRegistry, type PlainRegistry } from './plain-registry.ts';
import { run } from './program.ts';

const image = buildImage({ layers: [{ 'etc/hello': 'ours' }], platforms: ['linux/amd64', 'linux/arm64/v8'] });
const DIGEST = image.top.digest;

/** A key pair of cosign's, and what it signs with it. */
async function signerIn(registry: PlainRegistry, name: string): Promise<Signer> {
  const directory = await registry.place(name);
  const env = { HOME: directory, COSIGN_PASSWORD: '', COSIGN_EXPERIMENTAL: '1' };
  const cosign = (...args: string[]): Promise<string> => run('cosign', args, { env, cwd: directory });
  await cosign('generate-key-pair');
  // It wants one for bundles, although a key needs none.
  await writeFile(join(directory, 'root.json'), createFakeSigstore().trustedRoot);
  const signing = ['sign', '--key', 'cosign.key', '--tlog-upload=false', '--allow-http-registry', '--yes'];
  const verifying = ['verify', '--key', 'cosign.pub', '--insecure-ignore-tlog', '--allow-http-registry'];
  return {
    key: join(directory, 'cosign.pub'),
    sign: (...args) => cosign(...signing, ...args, `${registry.authority}/team/app@${DIGEST}`),
    attest: (...args) =>
      cosign('attest', '--predicate', 'cosign.pub', ...signing.slice(1), ...args, `${registry.authority}/team/app@${DIGEST}`),
    verify: (authority, ...args) => cosign(...verifying, ...args, `${authority}/team/app:1`),
  };
}

interface Signer {
  /** The file of the public key. */
  readonly key: string;
  sign(...args: string[]): Promise<string>;
  attest(...args: string[]): Promise<string>;
  /** By way of a mirror. */
  verify(authority: string, ...args: string[]): Promise<string>;
}

/** How cosign keeps a signature. */
const WAYS: readonly (readonly [name: string, ...args: string[]])[] = [
  ['behind a tag'],
  ['as a referrer', '--registry-referrers-mode', 'oci-1-1'],
  ['in a bundle', '--new-bundle-format'],
];

describe('what cosign signs', () => {
  for (const [way, ...args] of WAYS)
    withRegistry(`${way} is let in by its key, and refused by another's`, ['cosign', 'crane'], async (registry) => {
      await registry.seed('team/app', '1', image);
      const [ours, theirs] = [await signerIn(registry, 'ours'), await signerIn(registry, 'theirs')];
      const mirrors = await Promise.all(
        [ours, theirs].map(({ key }, at) => registry.startMirror({ signed: { cosign: { keys: [key] } } }, `mirror-${at}`)),
      );
      const [mirror = '', other = ''] = mirrors;
      const pull = (authority: string): Promise<string> =>
        run('crane', ['pull', '--insecure', `${authority}/team/app:1`, '/dev/null']);
      await ours.attest(...(args[0] === '--new-bundle-format' ? args : []));
      await ours.sign(...args);
      await pull(mirror);
      await expect(pull(other)).rejects.toThrow('it is signed, but by none of the configured keys');
      expect(await ours.verify(mirror, ...verifyArgs(args))).toContain(DIGEST);
      await registry.server.stop();
      await pull(mirror);
    });

  withRegistry('is not what nobody signed, nor what was only attested', ['cosign', 'crane'], async (registry) => {
    await registry.seed('team/app', '1', image);
    const ours = await signerIn(registry, 'ours');
    for (const args of [[], ['--new-bundle-format']]) await ours.attest(...args);
    const mirror = await registry.startMirror({ signed: { cosign: { keys: [ours.key] } } });
    await expect(run('crane', ['pull', '--insecure', `${mirror}/team/app:1`, '/dev/null'])).rejects.toThrow(
      'refused by signed: no cosign signature of it was found',
    );
  });
});

function verifyArgs([first]: readonly string[]): string[] {
  if (first === undefined) return [];
  return first === '--new-bundle-format' ? [first, '--trusted-root', 'root.json'] : ['--experimental-oci11'];
}
