import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { blobOf, buildImage, descriptorOf, manifestBlob, MEDIA_TYPE, randomBlob } from '../fakes/images.ts';
import { scenario, type Stage } from '../scenarios/harness.ts';
import type { RunningProcess } from '../scenarios/process.ts';
import { pushBlob, pushImage, pushManifest } from '../scenarios/push.ts';
import { DOCKER, startDocker } from './docker.ts';
import { run, whyNot } from './program.ts';

const image = buildImage({
  layers: [{ 'etc/hello': 'ours' }, 300_000, 5_000_000],
  platforms: ['linux/amd64', 'linux/arm64/v8'],
});

/** A plain registry in a process of its own, with an image in it. */
interface Registry {
  readonly server: RunningProcess;
  readonly authority: string;
  place(name: string): Promise<string>;
}

function withRegistry(
  title: string,
  programs: readonly string[],
  play: (registry: Registry, stage: Stage) => Promise<void>,
): void {
  const reason = whyNot(programs);
  scenario(
    title,
    async (stage) => {
      const server = await stage.startProcess({});
      expect((await pushImage(server, '/v2/seed/app', '1', image)).status).toBe(201);
      const place = async (name: string): Promise<string> => {
        const own = join(stage.directory, name);
        await mkdir(own, { recursive: true });
        return own;
      };
      await play({ server, authority: new URL(server.url).host, place }, stage);
    },
    { settings: null, timeoutMs: 120_000, ...(reason === undefined ? {} : { whyNot: reason }) },
  );
}

const INSECURE = ['--src-tls-verify=false', '--dest-tls-verify=false'];
const skopeo = (...args: string[]): Promise<string> => run('skopeo', ['--insecure-policy', ...args]);

/** All of an image, byte for byte, as another client finds it. */
async function isThere({ server }: Registry, repository: string, tag: string): Promise<void> {
  expect(await (await server.get(`/v2/${repository}/manifests/${tag}`)).sha256()).toBe(image.top.digest);
  for (const { digest } of image.manifests) {
    expect(await (await server.get(`/v2/${repository}/manifests/${digest}`)).sha256()).toBe(digest);
  }
  for (const { digest } of [...image.layers, ...image.configs]) {
    expect(await (await server.get(`/v2/${repository}/blobs/${digest}`)).sha256()).toBe(digest);
  }
}

describe('skopeo', () => {
  withRegistry('copies between repositories, out to a directory, and back in', ['skopeo'], async (registry) => {
    const { authority, place } = registry;
    await skopeo('copy', '--all', ...INSECURE, `docker://${authority}/seed/app:1`, `docker://${authority}/team/mounted:1`);
    await isThere(registry, 'team/mounted', '1');
    const directory = await place('out');
    await skopeo('copy', '--all', '--src-tls-verify=false', `docker://${authority}/team/mounted:1`, `oci:${directory}:1`);
    await skopeo('copy', '--all', '--dest-tls-verify=false', `oci:${directory}:1`, `docker://${authority}/team/uploaded:2`);
    await isThere(registry, 'team/uploaded', '2');
  });

  withRegistry(
    'copies a signature by its tag, as cosign keeps it, and reads an artifact by its digest',
    ['skopeo'],
    async (registry) => {
      const { authority, server } = registry;
      const tag = `${image.top.digest.replace(':', '-')}.sig`;
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
      const pushed = await pushManifest(server, '/v2/seed/app', tag, signature);
      expect([pushed.status, pushed.headers['oci-subject']]).toEqual([201, image.top.digest]);
      const raw = ['inspect', '--raw', '--tls-verify=false'];
      expect(await skopeo(...raw, `docker://${authority}/seed/app@${signature.digest}`)).toBe(signature.bytes.toString());
      const listed = await (await server.get(`/v2/seed/app/referrers/${image.top.digest}`)).json<{ manifests: unknown[] }>();
      expect(listed.manifests).toMatchObject([{ digest: signature.digest, artifactType: simple }]);
    },
  );
});

describe('podman', () => {
  withRegistry('pushes what it pulled, and skopeo pulls that', ['podman', 'skopeo'], async ({ authority, server, place }) => {
    const directory = await place('client');
    const policy = join(directory, 'policy.json');
    await writeFile(policy, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
    const own = ['--root', join(directory, 'root'), '--runroot', join(directory, 'run'), '--storage-driver', 'vfs'];
    const env = { HOME: directory, TMPDIR: directory };
    const podman = (...args: string[]): Promise<string> => run('podman', [...own, ...args], { env });
    await podman('pull', '--tls-verify=false', '--signature-policy', policy, `${authority}/seed/app:1`);
    const file = join(directory, 'digest');
    await podman(
      'push',
      '--tls-verify=false',
      '--signature-policy',
      policy,
      '--digestfile',
      file,
      `${authority}/seed/app:1`,
      `${authority}/podman/app:new`,
    );
    const inspected = await skopeo(
      'inspect',
      '--tls-verify=false',
      '--format',
      '{{.Digest}}',
      `docker://${authority}/podman/app:new`,
    );
    expect(await (await server.get('/v2/podman/app/manifests/new')).sha256()).toBe(inspected.trim());
    await skopeo('copy', '--src-tls-verify=false', `docker://${authority}/podman/app:new`, `dir:${await place('copy')}`);
  });
});

describe('Docker', () => {
  withRegistry(
    'pushes by the name that its user knows, and again what is there already',
    [...DOCKER, 'skopeo'],
    async ({ authority, server, place }, stage) => {
      const docker = await startDocker({
        place,
        defer: stage.defer,
        // On the loopback it needs no settings.
        configure: async () => {
          const file = join(await place('settings'), 'daemon.json');
          await writeFile(file, '{}');
          return [{ path: 'daemon.json', file }];
        },
      });
      await docker('pull', `${authority}/seed/app:1`);
      await docker('tag', `${authority}/seed/app:1`, `${authority}/ubuntu`);
      const said = await docker('push', `${authority}/ubuntu`);
      const [digest] = /sha256:[0-9a-f]{64}/.exec(said) ?? [];
      expect(await (await server.get('/v2/ubuntu/manifests/latest')).sha256()).toBe(digest);
      expect(await docker('push', `${authority}/ubuntu`)).toContain('Layer already exists');
      await skopeo('copy', '--src-tls-verify=false', `docker://${authority}/ubuntu:latest`, `dir:${await place('copy')}`);
    },
  );
});
