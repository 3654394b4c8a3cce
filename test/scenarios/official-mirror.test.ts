import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { startOfficialRegistry } from '../clients/official-registry.ts';
import { whyNot } from '../clients/program.ts';
import { buildImage, type Image } from '../fakes/images.ts';
import { table } from './acceptance.ts';
import { scenario, type Stage } from './harness.ts';
import { codeOf } from './paths.ts';
import { startProcess, type ProcessOptions, type RunningProcess } from './process.ts';

const own = { settings: null };
const sample = (name: string): string => readFileSync(new URL(`../fixtures/config/${name}`, import.meta.url), 'utf8');

/** A mirrored registry, real where it is installed. */
interface Source {
  readonly url: string;
  readonly kind: string;
  hits(pattern: string): number;
}

async function sourceOf(stage: Stage, images: Readonly<Record<string, Image>>): Promise<Source> {
  const registry = whyNot(['docker-registry']) === undefined ? await startOfficialRegistry(stage.directory) : undefined;
  if (registry !== undefined) stage.defer(() => registry.stop());
  for (const [repository, image] of Object.entries(images)) {
    await registry?.push(repository, '1', image);
    if (registry === undefined) addTo(stage, repository, image);
  }
  return registry === undefined ? { ...stage.upstream, kind: 'scripted' } : { ...registry, kind: "Debian's docker-registry" };
}

function addTo({ upstream }: Stage, repository: string, image: Image): void {
  upstream.manifest(repository, '1', image.top);
  for (const blob of [...image.layers, ...image.configs]) upstream.blob(repository, blob);
}

async function run(stage: Stage, settings: string | undefined, options?: ProcessOptions): Promise<RunningProcess> {
  const directory = join(stage.directory, 'data');
  await mkdir(directory, { recursive: true });
  const server = await startProcess(settings, directory, { ...options, shipped: true });
  stage.defer(() => server.stop());
  return server;
}

/** Pulls it twice, the second time from what is held. `suffix`: a query. */
async function pulls(server: RunningProcess, source: Source, repository: string, image: Image, suffix = ''): Promise<void> {
  const pull = async (): Promise<void> => {
    const manifest = await server.get(`/v2/${repository}/manifests/1${suffix}`);
    expect([repository, await manifest.sha256()]).toEqual([repository, image.top.digest]);
    for (const blob of [...image.layers, ...image.configs]) {
      const reply = await server.get(`/v2/${repository}/blobs/${blob.digest}${suffix}`);
      expect(await reply.sha256()).toBe(blob.digest);
    }
  };
  await pull();
  await server.settled();
  const asked = source.hits('GET blob');
  await pull();
  expect(source.hits('GET blob')).toBe(asked);
}

const pause = buildImage({ layers: [5000], label: 'pause' });
const app = buildImage({ layers: [9000], label: 'app' });

/** The sample as it is published, but for addresses, and where its data is. */
function localized(text: string, remote: string, directory: string): string {
  const edits: readonly (readonly [RegExp, string])[] = [
    [/remoteurl: \S+/, `remoteurl: ${remote}`],
    [/addr: :5000/, 'addr: 127.0.0.1:0'],
    [/addr: localhost:5001/, 'addr: 127.0.0.1:0'],
    [/rootdirectory: \/var\/lib\/registry/, `rootdirectory: ${directory}`],
  ];
  return edits.reduce((edited, [from, to]) => edited.replace(from, to), text);
}

describe("the official registry's mirror configuration", () => {
  for (const name of ['mirror-2.yml', 'mirror-3.yml']) {
    scenario(
      `${name} mirrors a local registry without further editing`,
      async (stage) => {
        const source = await sourceOf(stage, { pause, 'team/app': app });
        // Only the first sample has a debug listener; what the tests look at needs one.
        const text = localized(sample(name), source.url, join(stage.directory, 'data'));
        const debug = 'http:\n  debug: { addr: 127.0.0.1:0 }\n';
        const server = await run(stage, text.includes('debug:') ? text : text.replace('http:\n', debug));
        await pulls(server, source, 'pause', pause);
        await pulls(server, source, 'team/app', app);
        // Names are the mirrored registry's own, whatever another is called.
        const other = await server.get('/v2/team/app/manifests/1?ns=ghcr.io');
        expect([other.status, await codeOf(other)]).toEqual([404, 'NAME_UNKNOWN']);
        expect(server.records.filter(({ level }) => level === 'error')).toEqual([]);
        table(`${name}, unedited but for addresses`, {
          'mirror of': source.kind,
          'pause (single segment, no library/)': 'pulled, and again from what is held',
          'team/app': 'pulled, and again from what is held',
          '?ns=ghcr.io': `${other.status} NAME_UNKNOWN`,
          warnings: server.records.filter(({ msg }) => msg === 'configuration').length,
        });
      },
      own,
    );
  }

  scenario(
    'a registry that is not docker.io is asked for pause, never for library/pause',
    async (stage) => {
      stage.upstream.manifest('pause', '1', pause.top);
      for (const blob of [...pause.layers, ...pause.configs]) stage.upstream.blob('pause', blob);
      const server = await run(stage, undefined, { args: ['serve', await emptyFile(stage)], env: environment(stage) });
      await pulls(server, { ...stage.upstream, kind: 'scripted' }, 'pause', pause);
      expect(stage.upstream.hits('library')).toBe(0);
      const here = new URL(stage.upstream.url).host;
      await pulls(server, { ...stage.upstream, kind: 'scripted' }, 'pause', pause, `?ns=${encodeURIComponent(here)}`);
      for (const ns of ['docker.io', 'registry.k8s.io', 'localhost:1']) {
        const before = stage.upstream.requests.length;
        const reply = await server.get(`/v2/pause/manifests/1?ns=${ns}`);
        expect([ns, reply.status, await codeOf(reply)]).toEqual([ns, 404, 'NAME_UNKNOWN']);
        expect(stage.upstream.requests.length).toBe(before);
      }
    },
    own,
  );
});

/** A mirror that is made of variables; those that Kubernetes makes for a Service called `registry` stand beside them. */
function environment(stage: Stage): Record<string, string> {
  return {
    REGISTRY_PROXY_REMOTEURL: stage.upstream.url,
    REGISTRY_HTTP_ADDR: '127.0.0.1:0',
    REGISTRY_HTTP_DEBUG_ADDR: '127.0.0.1:0',
    REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: join(stage.directory, 'data'),
    REGISTRY_PORT: 'tcp://10.0.0.1:5000',
    REGISTRY_PORT_5000_TCP: 'tcp://10.0.0.1:5000',
    REGISTRY_PORT_5000_TCP_PROTO: 'tcp',
    REGISTRY_PORT_5000_TCP_PORT: '5000',
    REGISTRY_PORT_5000_TCP_ADDR: '10.0.0.1',
    REGISTRY_SERVICE_HOST: '10.0.0.1',
    REGISTRY_SERVICE_PORT: '5000',
    REGISTRY_SERVICE_PORT_REGISTRY: '5000',
  };
}

/** So that no file of this machine is found. */
async function emptyFile(stage: Stage): Promise<string> {
  const file = join(stage.directory, 'empty.yml');
  await writeFile(file, '');
  return file;
}

/** Places where a file would be found, and the reason why they cannot be covered up; `undefined`: they can, or none is there. */
const FOUND = ['/etc/entrepot', '/etc/distribution', '/etc/docker/registry'].filter((place) =>
  existsSync(`${place}/config.yml`),
);
const uncovered =
  FOUND.length === 0 || process.getuid?.() === 0 ? undefined : `${FOUND.join(', ')} has a file, and only root can cover it`;

describe('the environment alone', () => {
  scenario(
    'REGISTRY_PROXY_REMOTEURL, no file and no argument: a mirror; what Kubernetes adds does no harm',
    async (stage) => {
      const { upstream } = stage;
      upstream.manifest('team/app', '1', app.top);
      for (const blob of [...app.layers, ...app.configs]) upstream.blob('team/app', blob);
      const server = await run(stage, undefined, { args: [], env: environment(stage), through: coveringUp(FOUND) });
      const listening = await server.logged('listening');
      expect(listening['config']).toBe('environment');
      await pulls(server, { ...upstream, kind: 'scripted' }, 'team/app', app);
      // Of variables that Kubernetes makes not even a warning is given.
      const warnings = server.records.filter(({ msg }) => msg === 'configuration').map(({ warning }) => String(warning));
      expect(warnings.filter((warning) => /REGISTRY_(PORT|SERVICE)/.test(warning))).toEqual([]);
      table('node dist/main.js, no argument, no file', { config: String(listening['config']), warnings: warnings.length });
    },
    { ...own, ...(uncovered === undefined ? {} : { whyNot: uncovered }) },
  );
});

/** In a mount namespace of its own, with nothing in those places. */
function coveringUp(places: readonly string[]): readonly string[] {
  if (places.length === 0) return [];
  const mounts = places.map((place) => `mount -t tmpfs none ${place}`).join(' && ');
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', `${mounts} && exec "$0" "$@"`];
}
