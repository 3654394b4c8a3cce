import { describe, expect } from 'vitest';
import { buildImage } from '../fakes/images.ts';
import { startContainerd } from './containerd.ts';
import { run } from './program.ts';
import { clientScenario } from './stage.ts';

describe('containerd', () => {
  clientScenario('pulls from two registries by ?ns=, and again when both are gone', ['containerd', 'ctr'], async (stage) => {
    const ubuntu = buildImage({ layers: [{ 'etc/hello': 'hub' }, 300_000], platforms: ['linux/amd64'] });
    const tool = buildImage({ layers: [{ 'etc/hello': 'quay' }], format: 'docker', platforms: ['linux/amd64'] });
    await stage.hub.push('library/ubuntu', '24.04', ubuntu);
    await stage.quay.push('org/tool', '1', tool);
    const files = await stage.configure('containerd');
    const hosts = files[0]!.file.replace(/\/[^/]+\/hosts\.toml$/, '');
    const { address, stop } = await startContainerd(await stage.place('client'));
    stage.defer(stop);
    const ctr = (...args: string[]): Promise<string> => run('ctr', ['--address', address, 'images', ...args]);
    const pull = async (image: string): Promise<void> => {
      await ctr('pull', '--hosts-dir', hosts, '--snapshotter', 'native', image);
    };
    const names = { 'docker.io/library/ubuntu:24.04': ubuntu, 'quay.io/org/tool:1': tool };

    for (const name of Object.keys(names)) await pull(name);
    for (const [name, image] of Object.entries(names)) expect(await ctr('ls', `name==${name}`)).toContain(image.top.digest);
    expect(stage.hub.hits('GET blob')).toBe(3);
    expect(stage.quay.hits('GET blob')).toBe(2);

    await ctr('rm', '--sync', ...Object.keys(names));
    await stage.stopUpstreams();
    for (const name of Object.keys(names)) await pull(name);
    for (const [name, image] of Object.entries(names)) expect(await ctr('ls', `name==${name}`)).toContain(image.top.digest);
  });
});
