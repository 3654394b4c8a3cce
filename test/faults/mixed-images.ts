import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Digest } from '../../src/oci/digest.ts';
import { descriptorOf, manifestBlob, MEDIA_TYPE, randomBlob, type Blob, type ManifestBlob } from '../fakes/images.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { times } from '../scenarios/harness.ts';

const UPSTREAM = fileURLToPath(new URL('mixed-upstream.mjs', import.meta.url));

/** One state of an image's tag. */
export interface Version {
  readonly manifest: ManifestBlob;
  /** Its config and its layers. */
  readonly blobs: readonly Blob[];
}

/** An image upstream, whose tag `1` moves among its versions. */
export interface MixedImage {
  readonly repository: string;
  readonly versions: readonly Version[];
}

export interface MixedUpstream {
  readonly url: string;
  readonly images: readonly MixedImage[];
  /** All content that is there, by digest, with an image that has it. */
  readonly content: ReadonlyMap<
    string,
    { readonly blob: Blob; readonly repository: string; readonly kind: 'manifests' | 'blobs' }
  >;
  /** Layers that several images share. */
  readonly layers: readonly Blob[];
  move(image: MixedImage, version: Version): Promise<void>;
  stop(): Promise<void>;
}

export const TAG = '1';
const BYTES_PER_SECOND = 60_000_000;

/** `count` images of two versions each, whose layers are up to 1.5 MB and shared by neighbours. */
export async function startMixedUpstream(directory: string, count: number, seed: number): Promise<MixedUpstream> {
  const random = createSeededRandom(seed);
  const layers = times(count * 3, (at) => randomBlob(Math.round(20_000 * 75 ** random.fraction()), seed * 10_000 + at));
  const images = times(count, (at): MixedImage => {
    const versions = times(2, (version) => {
      const config = randomBlob(300 + version, seed * 10_000 + 5_000 + at * 2 + version);
      const own = [layers[at * 3]!, layers[at * 3 + 1 + version]!, layers[((at + 1) % count) * 3]!];
      const manifest = manifestBlob(MEDIA_TYPE.ociManifest, {
        config: descriptorOf(config, MEDIA_TYPE.ociConfig),
        layers: own.map((layer) => descriptorOf(layer, 'application/vnd.oci.image.layer.v1.tar')),
      });
      return { manifest, blobs: [config, ...own] };
    });
    return { repository: `library/i${at}`, versions };
  });
  const content = new Map<string, { blob: Blob; repository: string; kind: 'manifests' | 'blobs' }>();
  for (const { repository, versions } of images) {
    for (const { manifest, blobs } of versions) {
      content.set(manifest.digest, { blob: manifest, repository, kind: 'manifests' });
      for (const blob of blobs) content.set(blob.digest, { blob, repository, kind: 'blobs' });
    }
  }
  mkdirSync(directory, { recursive: true });
  for (const { blob } of content.values()) writeFileSync(join(directory, hexOf(blob.digest)), blob.bytes);
  const tags = images.map(({ repository, versions }) => [`${repository}:${TAG}`, versions[0]!.manifest.digest]);
  writeFileSync(join(directory, 'tags.json'), JSON.stringify(Object.fromEntries(tags)));

  const child = spawn(process.execPath, [UPSTREAM, directory, String(seed), String(BYTES_PER_SECOND)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const [printed] = (await once(child.stdout, 'data')) as [Buffer];
  const url = printed.toString().trim();
  return {
    url,
    images,
    content,
    layers,
    async move({ repository: name }, { manifest: { digest } }) {
      await fetch(`${url}/move`, { method: 'PUT', body: JSON.stringify({ name, tag: TAG, digest }) });
    },
    async stop() {
      child.kill();
      await exited;
    },
  };
}

export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}
