import { describe, expect } from 'vitest';
import { buildImage } from '../fakes/images.ts';
import { withRegistry } from './plain-registry.ts';
import { run } from './program.ts';

const image = buildImage({ layers: [{ 'etc/hello': 'ours' }], platforms: ['linux/amd64', 'linux/arm64/v8'] });

/** cosign with keys of its own. */
async function cosignIn(directory: string): Promise<Cosign> {
  const env = { HOME: directory, COSIGN_PASSWORD: '', COSIGN_EXPERIMENTAL: '1' };
  const cosign = (...args: string[]): Promise<string> => run('cosign', args, { env, cwd: directory });
  await cosign('generate-key-pair');
  const sign = ['sign', '--key', 'cosign.key', '--tlog-upload=false', '--allow-http-registry', '--yes'];
  const verify = ['verify', '--key', 'cosign.pub', '--insecure-ignore-tlog', '--allow-http-registry'];
  return {
    cosign,
    sign: (...args) => cosign(...sign, ...args),
    async verify(...args) {
      const said = JSON.parse(await cosign(...verify, ...args)) as { critical: { image: Record<string, string> } }[];
      return said.map(({ critical }) => critical.image['docker-manifest-digest']!);
    },
  };
}

interface Cosign {
  cosign(...args: string[]): Promise<string>;
  sign(...args: string[]): Promise<string>;
  /** The digests that it found to be signed. */
  verify(...args: string[]): Promise<string[]>;
}

describe('cosign', () => {
  const programs = ['cosign', 'crane'];
  withRegistry(
    'signs an image by tags, and verifies them there, in a copy, and through a mirror',
    programs,
    async (registry) => {
      const { authority, place, seed, startMirror } = registry;
      await seed('team/app', '1', image);
      const { cosign, sign, verify } = await cosignIn(await place('cosign'));
      await expect(verify(`${authority}/team/app:1`)).rejects.toThrow('no signatures found');
      await sign('--recursive', `${authority}/team/app@${image.top.digest}`);

      const signatures = [image.top, ...image.manifests].map(({ digest }) => `${digest.replace(':', '-')}.sig`);
      const tags = (await run('crane', ['ls', `${authority}/team/app`])).trim().split('\n');
      expect(tags.sort()).toEqual(['1', ...signatures].sort());
      await cosign('copy', '--allow-http-registry', `${authority}/team/app:1`, `${authority}/other/app:1`);
      for (const name of [`${authority}/team/app:1`, `${authority}/other/app:1`, `${await startMirror()}/team/app:1`]) {
        expect(await verify(name)).toEqual([image.top.digest]);
      }
    },
  );

  withRegistry('signs an image by a referrer, and finds that there and through a mirror', ['cosign'], async (registry) => {
    const { authority, place, seed, server, startMirror } = registry;
    await seed('team/app', '1', image);
    const { sign, verify } = await cosignIn(await place('cosign'));
    await sign('--registry-referrers-mode', 'oci-1-1', `${authority}/team/app@${image.top.digest}`);
    expect(await (await server.get('/v2/team/app/tags/list')).json()).toEqual({ name: 'team/app', tags: ['1'] });
    for (const from of [authority, await startMirror()]) {
      expect(await verify('--experimental-oci11', `${from}/team/app:1`)).toEqual([image.top.digest]);
    }
  });
});
