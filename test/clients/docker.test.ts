import { describe, expect } from 'vitest';
import { buildImage } from '../fakes/images.ts';
import { DOCKER, startDocker } from './docker.ts';
import { clientScenario } from './stage.ts';

describe('Docker', () => {
  clientScenario('pulls through a registry mirror, and again when the registry is gone', DOCKER, async (stage) => {
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
  });

  clientScenario('pulls another registry by path', DOCKER, async (stage) => {
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
