import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { buildImage, MEDIA_TYPE } from '../fakes/images.ts';
import { INSECURE, skopeo } from './containers.ts';
import { withRegistry } from './plain-registry.ts';
import { run } from './program.ts';

const crane = (...args: string[]): Promise<string> => run('crane', args);

const lines = (text: string): string[] => text.trim().split('\n').sort();

const image = buildImage({ layers: [{ 'etc/hello': 'ours' }, 300_000], platforms: ['linux/amd64', 'linux/arm64/v8'] });

describe('crane', () => {
  withRegistry('makes an image, changes and copies it, and skopeo pulls that', ['crane', 'skopeo'], async (registry) => {
    const { authority, place, manifest } = registry;
    const layer = join(await place('made'), 'layer.tar.gz');
    await writeFile(layer, image.layers[0]!.bytes);
    await crane('append', '--new_layer', layer, '--new_tag', `${authority}/team/made:1`);
    await crane('mutate', '--label', 'stage=tested', '--tag', `${authority}/team/made:2`, `${authority}/team/made:1`);
    await crane('copy', `${authority}/team/made:2`, `${authority}/other/made:2`);
    expect(lines(await crane('ls', `${authority}/team/made`))).toEqual(['1', '2']);
    expect(lines(await crane('catalog', authority))).toEqual(['other/made', 'team/made']);
    await crane('validate', '--remote', `${authority}/other/made:2`);
    const { digest } = await manifest('team/made', '2');
    expect((await crane('digest', `${authority}/other/made:2`)).trim()).toBe(digest);
    const said = await skopeo('inspect', '--tls-verify=false', `docker://${authority}/other/made:2`);
    expect(JSON.parse(said)).toMatchObject({ Digest: digest, Labels: { stage: 'tested' } });
  });

  withRegistry('pulls what skopeo pushed, in both formats', ['crane', 'skopeo'], async ({ authority, seed }) => {
    await seed('seed/app', '1', image);
    for (const [format, type] of [
      ['v2s2', MEDIA_TYPE.dockerList],
      ['oci', MEDIA_TYPE.ociIndex],
    ] as const) {
      const to = `${authority}/team/${format}:1`;
      const from = format === 'oci' ? `${authority}/team/v2s2:1` : `${authority}/seed/app:1`;
      await skopeo('copy', '--all', '--format', format, ...INSECURE, `docker://${from}`, `docker://${to}`);
      await crane('validate', '--remote', to);
      expect(JSON.parse(await crane('manifest', to))).toMatchObject({ mediaType: type, manifests: [{}, {}] });
    }
  });

  withRegistry('deletes a tag, and then what it named', ['crane'], async ({ authority, seed }) => {
    for (const tag of ['1', '2']) await seed('team/app', tag, image);
    const name = `${authority}/team/app`;
    await crane('delete', `${name}:1`);
    expect(lines(await crane('ls', name))).toEqual(['2']);
    expect((await crane('digest', `${name}:2`)).trim()).toBe(image.top.digest);
    await crane('delete', `${name}@${image.top.digest}`);
    expect((await crane('ls', name)).trim()).toBe('');
    await expect(crane('digest', `${name}:2`)).rejects.toThrow('MANIFEST_UNKNOWN');
  });
});
