import { gzipSync } from 'node:zlib';
import { digestOf, type Digest } from '../../src/oci/digest.ts';
import { createSeededRandom } from './seeded-random.ts';

/** Bytes and what names them. */
export interface Blob {
  readonly digest: Digest;
  readonly size: number;
  readonly bytes: Buffer;
}

export interface ManifestBlob extends Blob {
  readonly mediaType: string;
}

/** A whole image: what a client that pulls it asks for, in order. */
export interface Image {
  /** What the tag names: the index where there is one, else the manifest. */
  readonly top: ManifestBlob;
  readonly index: ManifestBlob | undefined;
  /** One for each platform; one where there is no index. */
  readonly manifests: readonly ManifestBlob[];
  /** That of the first platform. */
  readonly config: Blob;
  readonly configs: readonly Blob[];
  readonly layers: readonly Blob[];
}

export interface ImageOptions {
  /** Each a layer: a file of so many random bytes, or files by path. Default: one of 1000 bytes. */
  readonly layers?: readonly (number | Readonly<Record<string, string>>)[];
  /** `linux/amd64`, `linux/arm64/v8`: puts an index above, all of whose platforms share the layers. */
  readonly platforms?: readonly string[];
  readonly format?: 'oci' | 'docker';
  /** Makes the config, and so all digests above it, its own. */
  readonly label?: string;
}

export const MEDIA_TYPE = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
} as const;

export function blobOf(bytes: Uint8Array, algorithm: 'sha256' | 'sha512' = 'sha256'): Blob {
  return { digest: digestOf(bytes, algorithm), size: bytes.length, bytes: Buffer.from(bytes) };
}

/** What is large is random, which nothing makes smaller: looking for that takes two seconds for 66 MiB. */
function packed(tar: Uint8Array): Buffer {
  return gzipSync(tar, tar.length > 1024 * 1024 ? { level: 0 } : {});
}

/** `size` bytes that look random and are the same for the same seed. */
export function randomBlob(size: number, seed = 1): Blob {
  const bytes = randomBytesOf(size, seed);
  return { digest: digestOf(bytes), size, bytes };
}

/** An image that Docker, containerd and podman take, with a root file system of plain files. */
export function buildImage(options: ImageOptions = {}): Image {
  const docker = options.format === 'docker';
  const tars = (options.layers ?? [1000]).map((layer, at) => layerTar(layer, at));
  const layers = tars.map((tar) => blobOf(packed(tar)));
  const layerType = docker ? MEDIA_TYPE.dockerLayer : MEDIA_TYPE.ociLayer;
  const platforms = options.platforms ?? ['linux/amd64'];
  const configs = platforms.map((platform) => blobOf(configJson(platform, tars, options.label)));
  const manifests = configs.map((config) =>
    manifestBlob(docker ? MEDIA_TYPE.dockerManifest : MEDIA_TYPE.ociManifest, {
      config: descriptorOf(config, docker ? MEDIA_TYPE.dockerConfig : MEDIA_TYPE.ociConfig),
      layers: layers.map((layer) => descriptorOf(layer, layerType)),
    }),
  );
  const index =
    options.platforms === undefined
      ? undefined
      : manifestBlob(docker ? MEDIA_TYPE.dockerList : MEDIA_TYPE.ociIndex, {
          manifests: manifests.map((manifest, at) => ({
            ...descriptorOf(manifest, manifest.mediaType),
            platform: platformOf(platforms[at]!),
          })),
        });
  return { top: index ?? manifests[0]!, index, manifests, config: configs[0]!, configs, layers };
}

/** A manifest of any kind; `fields` may replace what every manifest has. */
export function manifestBlob(mediaType: string, fields: Readonly<Record<string, unknown>>): ManifestBlob {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...fields }));
  return { ...blobOf(bytes), mediaType };
}

export function descriptorOf(blob: Blob, mediaType: string): { mediaType: string; digest: Digest; size: number } {
  return { mediaType, digest: blob.digest, size: blob.size };
}

function configJson(platform: string, tars: readonly Buffer[], label: string | undefined): Buffer {
  return Buffer.from(
    JSON.stringify({
      ...platformOf(platform),
      created: '2026-01-01T00:00:00Z',
      config: { Env: ['PATH=/bin'], Cmd: ['/hello'], ...(label === undefined ? {} : { Labels: { label } }) },
      rootfs: { type: 'layers', diff_ids: tars.map((tar) => digestOf(tar)) },
      history: tars.map(() => ({ created: '2026-01-01T00:00:00Z', created_by: 'test' })),
    }),
  );
}

function platformOf(text: string): { os: string; architecture: string; variant?: string } {
  const [os = 'linux', architecture = 'amd64', variant] = text.split('/');
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

function layerTar(layer: number | Readonly<Record<string, string>>, at: number): Buffer {
  if (typeof layer === 'number') return tarOf({ [`file-${at}`]: randomBytesOf(layer, at + 1) });
  return tarOf(Object.fromEntries(Object.entries(layer).map(([path, text]) => [path, Buffer.from(text)])));
}

function randomBytesOf(size: number, seed: number): Buffer {
  const random = createSeededRandom(seed);
  const words = new Uint32Array(Math.ceil(size / 4));
  const whole = Math.floor(size / 4);
  for (let at = 0; at < whole; at++) words[at] = random.fraction() * 2 ** 32;
  const bytes = Buffer.from(words.buffer, 0, size);
  for (let at = 4 * whole; at < size; at++) bytes[at] = random.fraction() * 256;
  return bytes;
}

const TAR_BLOCK = 512;

/** POSIX ustar: one header of 512 bytes and the padded content for each file, two empty blocks at the end. */
function tarOf(files: Readonly<Record<string, Buffer>>): Buffer {
  const parts: Buffer[] = [];
  for (const [path, content] of Object.entries(files)) {
    parts.push(tarHeader(path, content.length), content, Buffer.alloc((TAR_BLOCK - (content.length % TAR_BLOCK)) % TAR_BLOCK));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * TAR_BLOCK)]);
}

function tarHeader(path: string, size: number): Buffer {
  const header = Buffer.alloc(TAR_BLOCK);
  const octal = (value: number, length: number, at: number): void => {
    header.write(value.toString(8).padStart(length - 1, '0'), at, 'ascii');
  };
  header.write(path, 0, 'ascii');
  octal(0o644, 8, 100);
  octal(0, 8, 108);
  octal(0, 8, 116);
  octal(size, 12, 124);
  octal(1767225600, 12, 136);
  header.write('        0', 148, 'ascii');
  header.write('ustar\u000000', 257, 'ascii');
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    7,
    148,
  );
  header[155] = 0x20;
  return header;
}
