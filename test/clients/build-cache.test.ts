import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { containersProgram, skopeo } from './containers.ts';
import { withRegistry, type PlainRegistry } from './plain-registry.ts';
import { run, startDaemon } from './program.ts';

/** Two layers, with nothing that is run. */
async function writeContext({ place }: Pick<PlainRegistry, 'place'>): Promise<string> {
  const context = await place('context');
  await writeFile(join(context, 'Dockerfile'), 'FROM scratch\nCOPY one /one\nCOPY two /two\n');
  for (const name of ['one', 'two']) await writeFile(join(context, name), `${name}\n`);
  return context;
}

/** That it is an image of two layers which another client pulls whole. */
async function isPulled({ authority, place }: PlainRegistry, name: string): Promise<void> {
  const from = `docker://${authority}/${name}`;
  const { Layers } = JSON.parse(await skopeo('inspect', '--tls-verify=false', from)) as { Layers: unknown[] };
  expect(Layers).toHaveLength(2);
  await skopeo('copy', '--src-tls-verify=false', from, `dir:${await place('copy')}`);
}

describe('Buildah', () => {
  withRegistry('takes its layers from a cache in the registry', ['buildah', 'skopeo'], async (registry) => {
    const { authority, place } = registry;
    const context = await writeContext(registry);
    const cache = `${authority}/cache/app`;
    const name = `${authority}/team/app:1`;
    const directory = await place('buildah');
    const buildah = await containersProgram('buildah', directory);
    const build = (): Promise<string> => {
      const caches = ['--layers', '--cache-to', cache, '--cache-from', cache];
      return buildah('build', '--isolation', 'chroot', '--tls-verify=false', ...caches, '--tag', name, context);
    };
    expect(await build()).not.toContain('Using cache');
    await buildah('rmi', '--all', '--force');
    const again = await build();
    expect(again.match(/Cache pulled from remote/g)).toHaveLength(2);
    expect(again.match(/Using cache/g)).toHaveLength(2);
    await buildah('push', '--tls-verify=false', name);
    await isPulled(registry, 'team/app:1');
  });
});

/** Builds `context` in a BuildKit of its own, which knows nothing but its caches; yields what it said. */
async function buildInNewBuildkit(directory: string, registries: readonly string[], build: readonly string[]): Promise<string> {
  const address = `unix://${join(directory, 'socket')}`;
  const config = join(directory, 'buildkitd.toml');
  const lines = [
    `root = "${join(directory, 'root')}"`,
    `[grpc]\n  address = ["${address}"]`,
    // No network of its own, and no overlay: what is built here runs nothing.
    '[worker.oci]\n  snapshotter = "native"\n  networkMode = "host"',
    '[worker.containerd]\n  enabled = false',
    ...registries.map((authority) => `[registry."${authority}"]\n  http = true`),
  ];
  await writeFile(config, lines.join('\n'));
  const buildctl = (...args: string[]): Promise<string> => run('buildctl', ['--addr', address, ...args], { stderr: true });
  const answers = (): Promise<boolean> =>
    buildctl('debug', 'workers').then(
      () => true,
      () => false,
    );
  const daemon = await startDaemon('buildkitd', ['--config', config], answers, { env: { HOME: directory } });
  try {
    return await buildctl('build', '--progress', 'plain', '--frontend', 'dockerfile.v0', ...build);
  } finally {
    await daemon.stop();
  }
}

describe('BuildKit', () => {
  const programs = ['buildkitd', 'buildctl', 'runc', 'skopeo'];
  for (const [shape, option] of [
    ['an index of layers', 'image-manifest=false'],
    ['an image', 'image-manifest=true'],
  ] as const) {
    withRegistry(
      `takes its layers from a cache in the registry that is ${shape}, and by a mirror`,
      programs,
      async (registry) => {
        const { authority, place, startMirror, manifest } = registry;
        const context = await writeContext(registry);
        const mirror = await startMirror();
        const build = async (name: string, cacheAt: string): Promise<{ said: string; digest: string }> => {
          const flags = Object.entries({
            local: [`context=${context}`, `dockerfile=${context}`],
            'export-cache': [`type=registry,ref=${authority}/cache/app,mode=max,oci-mediatypes=true,${option}`],
            'import-cache': [`type=registry,ref=${cacheAt}/cache/app`],
            // As files too: it fetches what is cached only when somebody wants to have it.
            output: [
              `type=image,name=${authority}/team/app:${name},push=true`,
              `type=local,dest=${await place(`files-${name}`)}`,
            ],
          }).flatMap(([flag, values]) => values.flatMap((value) => [`--${flag}`, value]));
          const said = await buildInNewBuildkit(await place(name), [authority, mirror], flags);
          expect(await readFile(join(await place(`files-${name}`), 'two'), 'utf8')).toBe('two\n');
          return { said, digest: (await manifest('team/app', name)).digest };
        };
        const first = await build('first', authority);
        expect(first.said).not.toContain('CACHED');
        for (const [name, cacheAt] of [
          ['again', authority],
          ['mirrored', mirror],
        ] as const) {
          const { said, digest } = await build(name, cacheAt);
          expect(said).toContain('CACHED');
          // The time of its making is in it: it was not made again.
          expect(digest).toBe(first.digest);
        }
        await isPulled(registry, 'team/app:first');
      },
    );
  }
});
