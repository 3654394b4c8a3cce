import { LRUCache } from 'lru-cache';
import { publishBytes, type BlobStore, type Part } from '../blobs/blob-store.ts';
import { untilHeld, type LinkRecord, type Needed, type Records } from '../metadata/records.ts';
import { digestOf, algorithmOf, type Digest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import type { Clock } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import { readFully } from '../system/read-fully.ts';
import type { ReportPull } from './events.ts';
import { MANIFEST_BYTES_MAX } from './fetch-manifest.ts';
import { registryOf } from './holder.ts';

export interface StoreDeps {
  readonly blobs: BlobStore;
  readonly records: Records;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: ReportPull;
}

/** How a piece of content came under a repository. */
export interface Provenance {
  /** With its registry: `docker.io/library/ubuntu`. */
  readonly repository: string;
  readonly upstream: string;
  /** As in `LinkRecord`: others brought a part of the bytes. */
  readonly claimed?: boolean;
  /** No credential was used, and the route is one that anyone may pull. */
  readonly public: boolean;
  readonly needed: Needed;
}

/** Bytes of manifests that are kept at hand, by digest; more than this many are read from disk again. */
const MANIFEST_CACHE_BYTES = 16 * 1024 * 1024;

/** Keeps what was verified: bytes first, then what refers to them. */
export class Store {
  readonly #deps: StoreDeps;
  readonly #recent = new LRUCache<Digest, Uint8Array>({
    maxSize: MANIFEST_CACHE_BYTES,
    sizeCalculation: (bytes) => Math.max(1, bytes.byteLength),
  });

  constructor(deps: StoreDeps) {
    this.#deps = deps;
  }

  /** The bytes, verified; `undefined` when they are not held, or were found damaged and dropped. */
  async read(digest: Digest, size: number): Promise<Uint8Array | undefined> {
    const recent = this.#recent.get(digest);
    if (recent !== undefined) return recent;
    const bytes = await this.readFile(digest, size);
    if (bytes !== undefined) this.#recent.set(digest, bytes);
    return bytes;
  }

  /** What `read` yields, where that is in memory. */
  atHand(digest: Digest): Uint8Array | undefined {
    return this.#recent.get(digest);
  }

  /** What is at hand of it in memory: the file is another now, or gone. */
  forget(digest: Digest): void {
    this.#recent.delete(digest);
  }

  /** As `read`, but nothing for what is too large to be a manifest. */
  async readSmall(digest: Digest, size: number): Promise<Uint8Array | undefined> {
    return size > MANIFEST_BYTES_MAX ? undefined : this.read(digest, size);
  }

  /** Bytes first, then what refers to them (reliability.md, R43). Rejects when disk or metadata fail: nothing is then granted. */
  async keep(manifest: Manifest, bytes: Uint8Array, digest: Digest, provenance: Provenance): Promise<void> {
    const { records, clock, report } = this.#deps;
    await this.#hold(digest, 'manifest', provenance);
    await publishBytes(this.#deps, digest, bytes);
    const at = clock.now();
    const size = bytes.byteLength;
    const before = await records.blob(digest);
    await records.putBlob(digest, { size, public: provenance.public || before?.public === true, state: 'held', at });
    await this.describe(manifest, provenance);
    const { repository, upstream, needed } = provenance;
    await records.putLink(repository, digest, {
      kind: 'manifest',
      size,
      mediaType: manifest.mediaType,
      by: 'upstream',
      upstream,
      needed,
      at,
    });
    this.#recent.set(digest, bytes);
    report({ kind: 'kept', digest, bytes: size });
  }

  /** What the manifest says of its children: sizes to hold upstreams to, and which blobs a public image needs. */
  async describe(manifest: Manifest, provenance: Pick<Provenance, 'repository' | 'public'>): Promise<void> {
    const children = [...manifest.children, ...manifest.blobs].map(({ digest, size, mediaType }) => ({
      digest,
      record: { size, mediaType, public: provenance.public },
    }));
    if (children.length > 0) await this.#deps.records.putDescribed(provenance.repository, children);
  }

  /** Keeps a verified blob, and links it to the repository whose upstream supplied it. */
  async keepBlob(part: Part, digest: Digest, size: number, provenance: Provenance): Promise<void> {
    const { records, clock, report } = this.#deps;
    await this.#hold(digest, 'blob', provenance);
    await part.publish(digest);
    const at = clock.now();
    const before = await records.blob(digest);
    await records.putBlob(digest, { size, public: provenance.public || before?.public === true, state: 'held', at });
    await records.putLink(provenance.repository, digest, {
      kind: 'blob',
      size,
      by: 'upstream',
      upstream: provenance.upstream,
      ...(provenance.claimed === true ? { claimed: true } : {}),
      needed: provenance.needed,
      at,
    });
    await records.dropPart({ registry: registryOf(provenance.repository), digest });
    report({ kind: 'kept', digest, bytes: size });
  }

  /** Rejects while it is being removed, and no end of that is in sight: nothing is kept then. */
  async #hold(digest: Digest, kind: LinkRecord['kind'], { repository }: Provenance): Promise<void> {
    if (await untilHeld(this.#deps, repository, digest, { kind, by: 'upstream' })) return;
    throw new Error(`${digest} is being removed just now, and cannot be kept`);
  }

  /** As `read`, past what is at hand. */
  async readFile(digest: Digest, size: number): Promise<Uint8Array | undefined> {
    const file = await this.#deps.blobs.open(digest);
    if (file === undefined) return undefined;
    try {
      if (file.size !== size) return undefined;
      const bytes = new Uint8Array(size);
      if ((await readFully(file, bytes)) < size) return undefined;
      if (digestOf(bytes, algorithmOf(digest)) === digest) return bytes;
      if (await this.#deps.blobs.quarantine(digest, file.version, this.#deps.clock.now()))
        this.#deps.report({ kind: 'quarantined', digest, why: 'the bytes on disk are not those that were stored' });
      return undefined;
    } finally {
      file.close();
    }
  }
}
