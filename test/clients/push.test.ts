import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { blobOf, buildImage, descriptorOf, manifestBlob, MEDIA_TYPE, randomBlob } from '../fakes/images.ts';
import { pushBlob, pushManifest } from '../scenarios/push.ts';
import { startContainerd } from './containerd.ts';
import { containersProgram, INSECURE, skopeo } from './containers.ts';
import { DOCKER, startDocker } from './docker.ts';
import { withRegistry, type PlainRegistry } from './plain-registry.ts';
import { run } from './program.ts';

/** What one client pushed, pulled by another. */
const image = buildImage({
  layers: [{ 'etc/hello': 'ours' }, 300_000, 5_000_000],
  platforms: ['linux/amd64', 'linux/arm64/v8'],
});

describe('skopeo', () => {
  withRegistry('copies between repositories, out to a directory, and back in', ['skopeo'], async (registry) => {
    const { authority, place, seed, holds } = registry;
    await seed('seed/app', '1', image);
    await skopeo('copy', '--all', ...INSECURE, `docker://${authority}/seed/app:1`, `docker://${authority}/team/mounted:1`);
    await holds('team/mounted', '1', image);
    const directory = await place('out');
    await skopeo('copy', '--all', '--src-tls-verify=false', `docker://${authority}/team/mounted:1`, `oci:${directory}:1`);
    await skopeo('copy', '--all', '--dest-tls-verify=false', `oci:${directory}:1`, `docker://${authority}/team/uploaded:2`);
    await holds('team/uploaded', '2', image);
  });

  withRegistry('pushes an index in both formats, and Podman pulls both', ['skopeo', 'podman'], async (registry) => {
    const { authority, seed, manifest, place } = registry;
    await seed('seed/app', '1', image);
    const podman = await containersProgram('podman', await place('podman'));
    for (const [format, index, child] of [
      ['v2s2', MEDIA_TYPE.dockerList, MEDIA_TYPE.dockerManifest],
      ['oci', MEDIA_TYPE.ociIndex, MEDIA_TYPE.ociManifest],
    ] as const) {
      const to = `${authority}/team/${format}:1`;
      // What it converts it pushes as new bytes; the other way it converts what it has just pushed.
      const from = format === 'oci' ? `${authority}/team/v2s2:1` : `${authority}/seed/app:1`;
      await skopeo('copy', '--all', '--format', format, ...INSECURE, `docker://${from}`, `docker://${to}`);
      const { content, digest } = await manifest(`team/${format}`, '1');
      expect([content.mediaType, ...content.manifests!.map(({ mediaType }) => mediaType)]).toEqual([index, child, child]);
      await podman('pull', '--tls-verify=false', to);
      expect(await podman('image', 'inspect', '--format', '{{join .RepoDigests " "}}', to)).toContain(digest);
    }
  });

  withRegistry('reads an artifact by its digest, and finds it among the referrers', ['skopeo'], async (registry) => {
    const { authority, server, seed } = registry;
    await seed('seed/app', '1', image);
    const config = blobOf(Buffer.from('{}'));
    const payload = randomBlob(300, 9);
    for (const blob of [config, payload]) await pushBlob(server, '/v2/seed/app', blob);
    const simple = 'application/vnd.dev.cosign.simplesigning.v1+json';
    const signature = manifestBlob(MEDIA_TYPE.ociManifest, {
      config: descriptorOf(config, 'application/vnd.oci.empty.v1+json'),
      layers: [descriptorOf(payload, simple)],
      artifactType: simple,
      subject: descriptorOf(image.top, image.top.mediaType),
    });
    const tag = `${image.top.digest.replace(':', '-')}.sig`;
    const pushed = await pushManifest(server, '/v2/seed/app', tag, signature);
    expect([pushed.status, pushed.headers['oci-subject']]).toEqual([201, image.top.digest]);
    const raw = ['inspect', '--raw', '--tls-verify=false'];
    expect(await skopeo(...raw, `docker://${authority}/seed/app@${signature.digest}`)).toBe(signature.bytes.toString());
    const listed = await (await server.get(`/v2/seed/app/referrers/${image.top.digest}`)).json<{ manifests: unknown[] }>();
    expect(listed.manifests).toMatchObject([{ digest: signature.digest, artifactType: simple }]);
  });
});

/** Podman pulls the image and pushes it, as itself, to `podman/app:new`; yields the digest that skopeo sees there. */
async function pushByPodman({ authority, place, seed }: PlainRegistry): Promise<string> {
  await seed('seed/app', '1', image);
  const podman = await containersProgram('podman', await place('podman'));
  await podman('pull', '--tls-verify=false', `${authority}/seed/app:1`);
  await podman('push', '--tls-verify=false', `${authority}/seed/app:1`, `${authority}/podman/app:new`);
  const inspect = ['inspect', '--tls-verify=false', '--format', '{{.Digest}}'];
  return (await skopeo(...inspect, `docker://${authority}/podman/app:new`)).trim();
}

describe('Podman', () => {
  withRegistry('pushes what it pulled, and skopeo pulls that', ['podman', 'skopeo'], async (registry) => {
    const digest = await pushByPodman(registry);
    expect((await registry.manifest('podman/app', 'new')).digest).toBe(digest);
    const copy = await registry.place('copy');
    await skopeo('copy', '--src-tls-verify=false', `docker://${registry.authority}/podman/app:new`, `dir:${copy}`);
  });
});

describe('containerd', () => {
  withRegistry('pushes what it pulled, and skopeo pulls that', ['containerd', 'ctr', 'skopeo'], async (registry) => {
    const { authority, place, seed, holds, defer } = registry;
    await seed('seed/app', '1', image);
    const { address, stop } = await startContainerd(await place('c'));
    defer(stop);
    const ctr = (...args: string[]): Promise<string> => run('ctr', ['--address', address, 'images', ...args]);
    const [from, to] = [`${authority}/seed/app:1`, `${authority}/pushed/app:1`];
    await ctr('pull', '--plain-http', '--all-platforms', '--snapshotter', 'native', from);
    await ctr('push', '--plain-http', to, from);
    await holds('pushed/app', '1', image);
    await skopeo('copy', '--all', '--src-tls-verify=false', `docker://${to}`, `dir:${await place('copy')}`);
  });
});

describe('Docker', () => {
  const programs = [...DOCKER, 'skopeo', 'podman'];
  withRegistry('pushes by the name that its user knows, and pulls what Podman pushed', programs, async (registry) => {
    const { authority, server, place, defer } = registry;
    const pushed = await pushByPodman(registry);
    const docker = await startDocker({
      place,
      defer,
      // On the loopback it needs no settings.
      configure: async () => {
        const file = join(await place('settings'), 'daemon.json');
        await writeFile(file, '{}');
        return [{ path: 'daemon.json', file }];
      },
    });
    expect(await docker('pull', `${authority}/podman/app:new`)).toContain(pushed);

    await docker('pull', `${authority}/seed/app:1`);
    await docker('tag', `${authority}/seed/app:1`, `${authority}/ubuntu`);
    const said = await docker('push', `${authority}/ubuntu`);
    const [digest] = /sha256:[0-9a-f]{64}/.exec(said) ?? [];
    expect(await (await server.get('/v2/ubuntu/manifests/latest')).sha256()).toBe(digest);
    expect(await docker('push', `${authority}/ubuntu`)).toContain('Layer already exists');
    await skopeo('copy', '--src-tls-verify=false', `docker://${authority}/ubuntu:latest`, `dir:${await place('copy')}`);
  });
});
