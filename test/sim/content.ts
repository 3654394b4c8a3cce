import type { Digest } from '../../src/oci/digest.ts';
import { descriptorOf, manifestBlob, MEDIA_TYPE, randomBlob, type Blob, type ManifestBlob } from '../fakes/images.ts';

/** A manifest with all that it needs, by the short name that steps call it by. */
export interface SimImage {
  readonly name: string;
  readonly manifest: ManifestBlob;
  readonly blobs: readonly Blob[];
  /** Of an index. */
  readonly children: readonly SimImage[];
}

/**
 * Everything that is ever pulled or pushed, the same in every world, so that nothing is hashed twice. The sizes stand on
 * both sides of what the request path treats differently: 64 KiB (the tail that is held back) and 256 KiB (what is verified
 * before its first byte leaves).
 */
const SIZES = [1, 700, 5_000, 9_000, 20_000, 66_000, 70_000, 140_000, 262_145, 300_000] as const;

export const BLOBS: readonly Blob[] = SIZES.map((size, at) => randomBlob(size, 1000 + at));

export const IMAGES: readonly SimImage[] = [
  image('i0', [2], 'zero'),
  image('i1', [2, 5], 'one'),
  image('i2', [3, 6], 'two'),
  image('i3', [4, 8], 'three'),
  image('i4', [0, 9], 'four'),
  image('i5', [7], 'five'),
];

export const INDEX = index('x0', [IMAGES[0]!, IMAGES[1]!]);

/** Names the layers of `i3`, which are not in the repository where it stands. */
export const SPY: SimImage = { ...image('spy', [4, 8], 'spy'), blobs: [randomBlob(300, 77)] };

/** Refers to `i0`. */
export const SIGNATURE: SimImage = {
  name: 'sig',
  manifest: manifestBlob(MEDIA_TYPE.ociManifest, {
    artifactType: 'application/x-signature',
    config: descriptorOf(BLOBS[1]!, 'application/x-signature'),
    layers: [],
    subject: descriptorOf(IMAGES[0]!.manifest, MEDIA_TYPE.ociManifest),
  }),
  blobs: [BLOBS[1]!],
  children: [],
};

const ALL: ReadonlyMap<string, SimImage> = new Map([...IMAGES, INDEX, SPY, SIGNATURE].map((one) => [one.name, one] as const));

export function imageOf(name: string): SimImage {
  const found = ALL.get(name);
  if (found === undefined) throw new Error(`no image is called ${name}`);
  return found;
}

/** The bytes that a digest names. */
export const BYTES: ReadonlyMap<Digest, Buffer> = new Map(
  [...ALL.values()].flatMap(({ manifest, blobs }) => [manifest, ...blobs].map(({ digest, bytes }) => [digest, bytes] as const)),
);

const NAMES: ReadonlyMap<string, string> = new Map([
  ...BLOBS.map(({ digest }, at) => [digest, `b${at}`] as const),
  ...[...ALL.values()].flatMap(({ name, manifest, blobs }) => [
    [manifest.digest, name] as const,
    ...blobs
      .filter(({ digest }) => !BLOBS.some((blob) => blob.digest === digest))
      .map((blob) => [blob.digest, `${name}.config`] as const),
  ]),
]);

/** A digest as people read it: `i2`, `b7`, `i2.config`. */
export function shortName(digest: string | undefined): string {
  return digest === undefined ? 'nothing' : (NAMES.get(digest) ?? digest.slice(0, 19));
}

/** All manifests and blobs below an image, itself first; below children that are gone there is nothing. */
export function closureOf(of: SimImage, isThere: (child: SimImage) => boolean = () => true): readonly Digest[] {
  const below = of.children.filter(isThere).flatMap((child) => closureOf(child, isThere));
  return [of.manifest.digest, ...of.blobs.map(({ digest }) => digest), ...below];
}

export function allImages(): readonly SimImage[] {
  return [...ALL.values()];
}

/** Its text holds the digest. */
export function names({ manifest }: SimImage, digest: Digest): boolean {
  return manifest.bytes.includes(digest);
}

export function imageByDigest(digest: Digest): SimImage | undefined {
  return [...ALL.values()].find(({ manifest }) => manifest.digest === digest);
}

function image(name: string, layers: readonly number[], label: string): SimImage {
  const config = { ...randomBlob(200 + label.length, 500 + label.length * 7 + label.charCodeAt(0)) };
  const blobs = layers.map((at) => BLOBS[at]!);
  const manifest = manifestBlob(MEDIA_TYPE.ociManifest, {
    config: descriptorOf(config, MEDIA_TYPE.ociConfig),
    layers: blobs.map((layer) => descriptorOf(layer, MEDIA_TYPE.ociLayer)),
    annotations: { label },
  });
  return { name, manifest, blobs: [config, ...blobs], children: [] };
}

function index(name: string, children: readonly SimImage[]): SimImage {
  const manifest = manifestBlob(MEDIA_TYPE.ociIndex, {
    manifests: children.map((child, at) => ({
      ...descriptorOf(child.manifest, MEDIA_TYPE.ociManifest),
      platform: { os: 'linux', architecture: at === 0 ? 'amd64' : 'arm64' },
    })),
  });
  return { name, manifest, blobs: [], children };
}
