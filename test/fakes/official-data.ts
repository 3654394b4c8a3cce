import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseDigest } from '../../src/oci/digest.ts';
import type { Blob, Image } from './images.ts';

/** Writes an official registry's data directory by hand, whole or broken. */
export interface OfficialData {
  readonly root: string;
  /** Of a path below `docker/registry/v2`. */
  at(...parts: readonly string[]): string;
  dataOf(digest: string): string;
  /** Bytes only: no repository holds them. */
  bytes(blob: Blob, as?: Uint8Array): Promise<void>;
  layer(repository: string, blob: Blob): Promise<void>;
  manifest(repository: string, blob: Blob): Promise<void>;
  /** `digest` may be anything: it is what stands in the link. */
  tag(repository: string, tag: string, digest: string): Promise<void>;
  image(repository: string, tag: string, image: Image): Promise<void>;
}

export function officialData(root: string): OfficialData {
  const at = (...parts: readonly string[]): string => join(root, 'docker/registry/v2', ...parts);
  const write = async (path: string, bytes: Uint8Array | string): Promise<void> => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  };
  const dataOf = (digest: string): string => {
    const [algorithm = '', hex = ''] = digest.split(':');
    return at('blobs', algorithm, hex.slice(0, 2), hex, 'data');
  };
  const linkAt = (repository: string, place: string, digest: string): Promise<void> =>
    write(at('repositories', repository, place, ...digest.split(':'), 'link'), digest);
  const bytes = (blob: Blob, as: Uint8Array = blob.bytes): Promise<void> => write(dataOf(blob.digest), as);
  const data: OfficialData = {
    root,
    at,
    dataOf,
    bytes,
    async layer(repository, blob) {
      await bytes(blob);
      await linkAt(repository, '_layers', blob.digest);
    },
    async manifest(repository, blob) {
      await bytes(blob);
      await linkAt(repository, '_manifests/revisions', blob.digest);
    },
    async tag(repository, tag, digest) {
      const home = ['repositories', repository, '_manifests/tags', tag] as const;
      await write(at(...home, 'current/link'), digest);
      if (parseDigest(digest) !== undefined) await write(at(...home, 'index', ...digest.split(':'), 'link'), digest);
    },
    async image(repository, tag, image) {
      for (const blob of [...image.layers, ...image.configs]) await data.layer(repository, blob);
      for (const manifest of [...image.manifests, image.top]) await data.manifest(repository, manifest);
      await data.tag(repository, tag, image.top.digest);
    },
  };
  return data;
}
