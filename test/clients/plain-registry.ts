import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Image } from '../fakes/images.ts';
import { scenario } from '../scenarios/harness.ts';
import type { RunningProcess } from '../scenarios/process.ts';
import type { Settings } from '../scenarios/settings.ts';
import { pushImage } from '../scenarios/push.ts';
import { needs } from './program.ts';

/** A plain registry in a process of its own, as the official one is run with deletions. */
export interface PlainRegistry {
  readonly server: RunningProcess;
  /** `127.0.0.1:PORT`. */
  readonly authority: string;
  /** A directory of the client's own. */
  place(name: string): Promise<string>;
  /** Starts a mirror of it, with more keys of its route; yields the mirror's `127.0.0.1:PORT`. */
  startMirror(policy?: Settings, name?: string): Promise<string>;
  /** Puts an image there without a client. */
  seed(repository: string, tag: string, image: Image): Promise<void>;
  /** Expects all of an image, byte for byte. */
  holds(repository: string, tag: string, image: Image): Promise<void>;
  /** What the tag names, parsed, and its digest. */
  manifest(repository: string, reference: string): Promise<{ readonly digest: string; readonly content: Manifest }>;
  defer(end: () => unknown): void;
}

/** What tests look at. */
export interface Manifest {
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly Descriptor[];
  readonly subject?: Descriptor;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Runs where the programs are installed and the user is root; elsewhere it is skipped with the reason, unless all must run. */
export function withRegistry(
  title: string,
  programs: readonly string[],
  play: (registry: PlainRegistry) => Promise<void>,
): void {
  scenario(
    title,
    async ({ directory, startProcess, defer }) => {
      const rootdirectory = join(directory, 'registry');
      const server = await startProcess({ storage: { delete: { enabled: true }, filesystem: { rootdirectory } } });
      const place = async (name: string): Promise<string> => {
        const own = join(directory, name);
        await mkdir(own, { recursive: true });
        return own;
      };
      const startMirror = async (policy: Settings = {}, name = 'mirror'): Promise<string> => {
        const routes = [{ match: 'docker.io/**', name: 'mirrored', upstreams: ['registry'], ...policy }];
        const mirror = await startProcess({ upstreams: { registry: { url: server.url } }, routes }, { name });
        return new URL(mirror.url).host;
      };
      await play({ server, authority: new URL(server.url).host, place, startMirror, defer, ...lookInto(server) });
    },
    { settings: null, timeoutMs: 120_000, ...needs(programs) },
  );
}

function lookInto(server: RunningProcess): Pick<PlainRegistry, 'seed' | 'holds' | 'manifest'> {
  return {
    async seed(repository, tag, image) {
      expect((await pushImage(server, `/v2/${repository}`, tag, image)).status).toBe(201);
    },
    async holds(repository, tag, image) {
      const path = `/v2/${repository}`;
      expect(await (await server.get(`${path}/manifests/${tag}`)).sha256()).toBe(image.top.digest);
      for (const { digest } of image.manifests) {
        expect(await (await server.get(`${path}/manifests/${digest}`)).sha256()).toBe(digest);
      }
      for (const { digest } of [...image.layers, ...image.configs]) {
        expect(await (await server.get(`${path}/blobs/${digest}`)).sha256()).toBe(digest);
      }
    },
    async manifest(repository, reference) {
      const reply = await server.get(`/v2/${repository}/manifests/${reference}`);
      expect(reply.status).toBe(200);
      const digest = String(reply.headers['docker-content-digest']);
      return { digest, content: await reply.json<Manifest>() };
    },
  };
}
