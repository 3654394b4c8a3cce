import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { buildImage } from '../fakes/images.ts';
import { containersProgram, skopeo } from './containers.ts';
import { clientScenario } from './stage.ts';

describe('skopeo', () => {
  clientScenario('copies by path, and again when the registry is gone', ['skopeo'], async (stage) => {
    const image = buildImage({ layers: [{ 'etc/hello': 'hub' }, 300_000], platforms: ['linux/amd64', 'linux/arm64/v8'] });
    await stage.hub.push('library/ubuntu', '24.04', image);
    const copy = async (name: string): Promise<string> => {
      const to = await stage.place(name);
      const from = `docker://${stage.authority}/docker.io/library/ubuntu:24.04`;
      await skopeo('copy', '--all', '--src-tls-verify=false', from, `dir:${to}`);
      return digestOf(await readFile(join(to, 'manifest.json')));
    };
    expect(await copy('first')).toBe(image.top.digest);
    expect(stage.hub.hits('GET blob')).toBe(image.layers.length + image.configs.length);
    await stage.stopUpstreams();
    expect(await copy('second')).toBe(image.top.digest);
  });
});

describe('podman', () => {
  clientScenario(
    'pulls through a mirror of registries.conf, and again when the registry is gone',
    ['podman'],
    async (stage) => {
      const image = buildImage({ layers: [{ 'etc/hello': 'hub' }, 300_000], platforms: ['linux/amd64'] });
      await stage.hub.push('library/ubuntu', '24.04', image);
      const [registries] = await stage.configure('podman');
      const settings = { CONTAINERS_REGISTRIES_CONF: registries!.file };
      const podman = await containersProgram('podman', await stage.place('client'), settings);
      const name = 'docker.io/library/ubuntu:24.04';
      const pull = async (): Promise<string> => {
        await podman('pull', name);
        return (await podman('image', 'inspect', '--format', '{{join .RepoDigests " "}}', name)).trim();
      };

      expect(await pull()).toContain(image.top.digest);
      expect(stage.hub.hits('GET blob')).toBe(3);
      await podman('image', 'rm', name);
      await stage.stopUpstreams();
      expect(await pull()).toContain(image.top.digest);
    },
  );
});
