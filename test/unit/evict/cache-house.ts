import { openDiskBlobStore } from '../../../src/blobs/disk.ts';
import type { BlobStore } from '../../../src/blobs/blob-store.ts';
import { evict, type EvictDeps } from '../../../src/evict/evict.ts';
import { Evictor } from '../../../src/evict/evictor.ts';
import type { Evicted, EvictionEvent } from '../../../src/evict/events.ts';
import { imageOf } from '../../../src/evict/image.ts';
import { Keep, type CacheRule } from '../../../src/evict/keep.ts';
import type { CacheLimits, Excess } from '../../../src/evict/limits.ts';
import { compilePin } from '../../../src/evict/pins.ts';
import { Room } from '../../../src/evict/room.ts';
import { takeTurn } from '../../../src/evict/turn.ts';
import { withInventory, withRoom } from '../../../src/evict/with-room.ts';
import { createRecords, type Records } from '../../../src/metadata/records.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import { compilePatterns } from '../../../src/pull/route.ts';
import { randomId } from '../../../src/system/random.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import type { Blob, Image, ManifestBlob } from '../../fakes/images.ts';
import { createMemoryDisk, type MemoryDisk } from '../../fakes/memory-disk.ts';
import { createMemoryMetadata, type MemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

export const HUB = 'docker.io/library/a';

export const KEEP_ALL: CacheLimits = { maxBytes: undefined, watermarks: { high: 1, low: 1 }, keepFree: 0 };

export interface CacheHouseOptions {
  readonly limits?: Partial<CacheLimits>;
  readonly totalBytes?: number;
  readonly pins?: readonly string[];
  readonly ruleOf?: (repository: string) => CacheRule;
  /** Of an earlier house: the same machine after a restart. */
  readonly disk?: MemoryDisk;
  readonly metadata?: MemoryMetadata;
  readonly clock?: FakeClock;
}

/** A cache over fakes: what is kept in it goes through its room, as fills do. */
export interface CacheHouse {
  readonly clock: FakeClock;
  readonly disk: MemoryDisk;
  readonly metadata: MemoryMetadata;
  readonly records: Records;
  readonly room: Room;
  /** As pulls see it. */
  readonly blobs: BlobStore;
  /** Without room, as pushes see it. */
  readonly files: BlobStore;
  readonly evictor: Evictor;
  readonly events: EvictionEvent[];
  limits: CacheLimits;
  /** As a fill keeps it. Rejects with NoRoom. */
  cache(blob: Blob, repository?: string): Promise<void>;
  cacheManifest(manifest: ManifestBlob, repository?: string): Promise<void>;
  cacheImage(image: Image, tag: string, repository?: string): Promise<void>;
  evict(excess: Partial<Excess>, dryRun?: boolean): Promise<readonly Evicted[]>;
  held(blob: { readonly digest: Digest }): Promise<boolean>;
  /** Bytes of all files that count, as the disk has them. */
  onDisk(): Promise<number>;
  close(): Promise<void>;
}

export async function createCacheHouse(options: CacheHouseOptions = {}): Promise<CacheHouse> {
  const clock = options.clock ?? createFakeClock();
  const random = createSeededRandom(5);
  const size = options.totalBytes === undefined ? {} : { totalBytes: options.totalBytes };
  const disk = options.disk ?? createMemoryDisk({ now: () => clock.now(), ...size });
  const metadata = options.metadata ?? createMemoryMetadata();
  const base = await openDiskBlobStore({ disk, random, root: '/data', version: 'test' });
  const records: Records = createRecords(metadata, {
    clock,
    imageOf: (repository, digest) => imageOf({ blobs: base, records }, repository, digest),
  });
  await records.ping();
  const events: EvictionEvent[] = [];
  const house = { limits: { ...KEEP_ALL, ...options.limits } };
  const room = new Room({ clock, blobs: base, records, limits: () => house.limits });
  const files = withInventory(base, room);
  const blobs = withRoom(files, room);
  const turnDeps = { clock, records, holder: 'host 1 e', isDead: (): boolean => true };
  const ruleOf = options.ruleOf ?? ((): CacheRule => ({ offline: false, maxAgeMs: undefined }));
  const pins = (options.pins ?? []).map((text) => compilePin(text, compilePatterns));
  const makeKeep = (): Keep => new Keep({ blobs: base, records, ruleOf, anyOffline: options.ruleOf !== undefined, pins });
  const deps: EvictDeps = { clock, blobs: base, records };
  const evictor = new Evictor({
    ...deps,
    ...turnDeps,
    room,
    keep: () => Promise.resolve(makeKeep()),
    maxAgeMin: () => (options.ruleOf === undefined ? undefined : options.ruleOf('').maxAgeMs),
    report: (event) => events.push(event),
  });

  async function keep(blob: Blob, kind: 'blob' | 'manifest', repository: string, mediaType?: string): Promise<void> {
    const part = await blobs.part(randomId(random), false, blob.size);
    try {
      await part.write(blob.bytes, 0);
      await part.publish(blob.digest);
    } catch (error) {
      await part.discard();
      throw error;
    } finally {
      part.release();
    }
    const at = clock.now();
    await records.putBlob(blob.digest, { size: blob.size, public: true, state: 'held', at });
    const type = mediaType === undefined ? {} : { mediaType };
    await records.putLink(repository, blob.digest, { kind, size: blob.size, ...type, by: 'upstream', upstream: 'hub', at });
  }

  return Object.assign(house, {
    clock,
    disk,
    metadata,
    records,
    room,
    blobs,
    files,
    evictor,
    events,
    cache: (blob: Blob, repository = HUB) => keep(blob, 'blob', repository),
    cacheManifest: (manifest: ManifestBlob, repository = HUB) => keep(manifest, 'manifest', repository, manifest.mediaType),
    async cacheImage(image: Image, tag: string, repository = HUB) {
      for (const manifest of [...(image.index === undefined ? [] : [image.index]), ...image.manifests])
        await keep(manifest, 'manifest', repository, manifest.mediaType);
      for (const blob of [...image.configs, ...image.layers]) await keep(blob, 'blob', repository);
      const { digest, mediaType, size: bytes } = image.top;
      await records.putTag(repository, tag, { digest, mediaType, size: bytes, checked: clock.now(), upstream: 'hub' });
      records.used(repository, { tag, digest, bytes: true });
    },
    async evict(excess: Partial<Excess>, dryRun = false) {
      const turn = await takeTurn('evict', turnDeps);
      const gone: Evicted[] = [];
      try {
        for await (const one of evict(deps, { excess: { bytes: 0, files: 0, ...excess }, keep: makeKeep(), turn, dryRun }))
          gone.push(one);
      } finally {
        await turn.end();
      }
      return gone;
    },
    async held({ digest }: { readonly digest: Digest }) {
      const file = await base.open(digest);
      file?.close();
      return file !== undefined;
    },
    async onDisk() {
      let bytes = 0;
      for (let shelf = await base.shelf(undefined); shelf !== undefined; shelf = await base.shelf(shelf.name)) {
        for (const digest of shelf.digests) bytes += (await base.look(digest))?.size ?? 0;
      }
      for (const { size: part } of await base.parts()) bytes += part;
      for (const { size: moved } of await base.quarantined()) bytes += moved;
      return bytes;
    },
    async close() {
      await evictor.stop();
      await records.close();
    },
  });
}
