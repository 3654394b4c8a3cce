import { describe, expect } from 'vitest';
import { buildImage } from '../fakes/images.ts';
import { withRegistry } from './plain-registry.ts';
import { run } from './program.ts';

const image = buildImage({ layers: [{ 'etc/hello': 'ours' }], platforms: ['linux/amd64', 'linux/arm64/v8'] });

describe('cosign', () => {
  const programs = ['cosign', 'crane'];
  withRegistry(
    'signs an image, and verifies that, there, where it was copied to, and through a mirror',
    programs,
    async (registry) => {
      const { authority, place, seed, startMirror } = registry;
      await seed('team/app', '1', image);
      const directory = await place('cosign');
      const env = { HOME: directory, COSIGN_PASSWORD: '' };
      const cosign = (...args: string[]): Promise<string> => run('cosign', args, { env, cwd: directory });
      await cosign('generate-key-pair');
      const sign = ['sign', '--key', 'cosign.key', '--tlog-upload=false', '--allow-http-registry', '--yes'];
      const verify = (name: string): Promise<string> =>
        cosign('verify', '--key', 'cosign.pub', '--insecure-ignore-tlog', '--allow-http-registry', name);
      await expect(verify(`${authority}/team/app:1`)).rejects.toThrow('no signatures found');
      await cosign(...sign, '--recursive', `${authority}/team/app@${image.top.digest}`);

      const signatures = [image.top, ...image.manifests].map(({ digest }) => `${digest.replace(':', '-')}.sig`);
      const tags = (await run('crane', ['ls', `${authority}/team/app`])).trim().split('\n');
      expect(tags.sort()).toEqual(['1', ...signatures].sort());
      await cosign('copy', '--allow-http-registry', `${authority}/team/app:1`, `${authority}/other/app:1`);
      for (const name of [`${authority}/team/app:1`, `${authority}/other/app:1`, `${await startMirror()}/team/app:1`]) {
        const said = JSON.parse(await verify(name)) as { critical: { image: unknown } }[];
        expect(said.map(({ critical }) => critical.image)).toEqual([{ 'docker-manifest-digest': image.top.digest }]);
      }
    },
  );
});
