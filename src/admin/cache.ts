import type { Digest } from '../oci/digest.ts';
import type { Doomed, EvictStep } from './evict.ts';
import type { NamedPin, PinView } from './pins.ts';

/** What keeps the cache within its limits, as a person may ask for it. */
export interface CacheControl {
  /** Drops those images, or with `dryRun` tells what would go. */
  readonly evict: (doomed: AsyncIterable<Doomed>, options: { readonly dryRun: boolean }) => AsyncIterable<EvictStep>;
  /** What the limits would take first. */
  readonly nextToGo: () => AsyncIterable<EvictStep>;
  /** Those of the configuration first. */
  readonly pins: () => Promise<readonly NamedPin[]>;
  /** Of a pattern over `registry/repository` or `registry/repository:tag`; `fault`: what is wrong with it. */
  readonly readPin: (text: string) => Pick<NamedPin, 'matches'> | { readonly fault: string };
  /** Bytes that are held of an image: its manifests, configs and layers. */
  readonly imageBytes: (repository: string, root: Digest) => Promise<number>;
  /** Everything that an image names, held or not, as far as its manifests are held; itself included. */
  readonly imageDigests: (repository: string, root: Digest) => Promise<ReadonlySet<Digest>>;
  /** Since its last use, after which what the repository alone holds goes; `undefined`: never for its age. */
  readonly maxAgeMs: (repository: string) => number | undefined;
  readonly state: () => Promise<CacheState>;
}

/** How full the cache is, in bytes. */
export interface CacheState {
  /** `undefined`: as much as the disk allows. */
  readonly maxBytes: number | undefined;
  /** What counts against it: cached, set aside for fills, in quarantine. */
  readonly usedBytes: number;
  readonly cachedBytes: number;
  readonly blobs: number;
  readonly asideBytes: number;
  readonly quarantineBytes: number;
  /** Of `maxBytes`, or where there is none of the disk. */
  readonly watermarks: { readonly high: number; readonly low: number };
  /** What stays free on the disk. */
  readonly keepFreeBytes: number;
  /** Too much now: it goes, unless it is in use, pinned, hosted, served offline, or not the cache's. */
  readonly excessBytes: number;
  /** Since the start; `undefined` where nothing had to make room. */
  readonly evicted: { readonly blobs: number; readonly bytes: number; readonly ageMs: number } | undefined;
  /** What other sizes would have hit since the start, as shares of 1; `undefined` before the first pull. */
  readonly reuse: Reuse | undefined;
  readonly pins: readonly PinView[];
}

export interface Reuse {
  /** Pulls of blobs and manifests that it is told from. */
  readonly uses: number;
  readonly points: readonly { readonly bytes: number; readonly hitRatio: number }[];
}
