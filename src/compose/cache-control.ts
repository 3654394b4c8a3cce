import type { CacheControl, CacheState } from '../admin/cache.ts';
import { checkPinPattern } from '../config/pattern.ts';
import { evictImages, type EvictImagesDeps } from '../evict/evict-images.ts';
import type { EvictionEvent } from '../evict/events.ts';
import { imageOf } from '../evict/image.ts';
import { countedBytes, excessOf } from '../evict/limits.ts';
import { nextToGo } from '../evict/next-to-go.ts';
import { compilePin } from '../evict/pins.ts';
import { needsOf } from '../evict/read-manifest.ts';
import { Reuse } from '../evict/reuse.ts';
import type { Records } from '../metadata/records.ts';
import type { HouseEvent, RequestEvent } from '../observe/events.ts';
import { parseDigest, type Digest } from '../oci/digest.ts';
import { compilePatterns } from '../pull/route.ts';
import type { Chains } from './chains.ts';
import { matchesPin, type Evicting } from './evicting.ts';
import type { Storage } from './storage.ts';

export interface CacheControlDeps {
  readonly storage: Storage;
  /** As those see them who answer clients: what is let go here may not come back from an official registry's data. */
  readonly records: Records;
  readonly evicting: Evicting;
  readonly chains: () => Chains;
  readonly history: CacheHistory;
}

/** What `evict`, `pin`, `unpin`, and what `status`, `ls` and `explain` say of the cache, do and are told by. */
export function createCacheControl({ storage, records, evicting, chains, history }: CacheControlDeps): CacheControl {
  const { files } = storage;
  const { deps, keep, pins, ruleOf } = evicting;
  const limits = () => chains().config.cache;

  /** As the pins stand when it is asked first. */
  function keptNow(): EvictImagesDeps['whyKept'] {
    let known: ReturnType<typeof pins> | undefined;
    return async (repository, tag) => {
      if (ruleOf(repository).offline) return `${repository} is served offline, so that nobody could be asked for it again`;
      const pin = (await (known ??= pins())).find(({ matches }) => matches(repository, tag));
      return pin && `pinned by ${pin.text}${pin.by === 'command' ? '' : ' in the configuration'}`;
    };
  }

  return {
    evict: (doomed, options) => evictImages({ ...deps, blobs: files, records, whyKept: keptNow() }, doomed, options),
    nextToGo: () => nextToGo({ ...deps, limits, keep }),
    pins,
    readPin(text) {
      const fault = checkPinPattern(text);
      return fault === undefined ? { matches: matchesPin(compilePin(text, compilePatterns)) } : { fault: fault.expected };
    },
    async imageBytes(repository, root) {
      let bytes = 0;
      for (const digest of await imageOf({ blobs: files, records: storage.records }, repository, root)) {
        const blob = await storage.records.blob(digest);
        if (blob?.state === 'held') bytes += blob.size;
      }
      return bytes;
    },
    async imageDigests(repository, root) {
      const held = await imageOf({ blobs: files, records: storage.records }, repository, root);
      const image = new Set(held);
      for (const digest of held) {
        const link = await storage.records.link(repository, digest);
        const needs = link?.kind === 'manifest' ? await needsOf(files, digest, link) : undefined;
        for (const need of needs ?? []) image.add(need);
      }
      return image;
    },
    maxAgeMs: (repository) => ruleOf(repository).maxAgeMs,
    async state(): Promise<CacheState> {
      const stock = await deps.room.stock();
      const { maxBytes, watermarks, keepFree } = limits();
      const { totalBytes } = stock.space;
      const used = countedBytes(stock);
      const of = maxBytes ?? totalBytes;
      return {
        maxBytes,
        usedBytes: used,
        cachedBytes: stock.usage.bytes,
        blobs: stock.usage.blobs,
        asideBytes: stock.usage.reserved,
        quarantineBytes: stock.quarantined,
        watermarks: { high: Math.round(of * watermarks.high), low: Math.round(of * watermarks.low) },
        keepFreeBytes: Math.ceil(totalBytes * keepFree),
        excessBytes: excessOf(limits(), stock).bytes,
        evicted: history.evicted(),
        reuse: history.reuse(maxBytes ?? used),
        pins: (await pins()).map(({ text, by }) => ({ text, by })),
      };
    },
  };
}

/** What was pulled and what was evicted since the start, as far as `status` tells of it. */
export class CacheHistory {
  readonly #reuse = new Reuse();
  #evicted: CacheState['evicted'];

  note(event: HouseEvent): void {
    if (event.kind === 'evicted') this.#noteEvicted(event);
    if (event.kind === 'request') this.#noteUse(event);
  }

  evicted(): CacheState['evicted'] {
    return this.#evicted;
  }

  /** Of caches of half, once, twice and four times the size. */
  reuse(bytes: number): CacheState['reuse'] {
    const points = this.#reuse.curve([0.5, 1, 2, 4].map((times) => Math.round(bytes * times)));
    return points && { uses: this.#reuse.uses, points };
  }

  #noteEvicted({ why, blobs, bytes, idleMs }: Extract<EvictionEvent, { kind: 'evicted' }>): void {
    if (why !== 'limit') return;
    const before = this.#evicted ?? { blobs: 0, bytes: 0 };
    this.#evicted = { blobs: before.blobs + blobs, bytes: before.bytes + bytes, ageMs: idleMs };
  }

  #noteUse({ method, trace: { digest, size, outcome } }: RequestEvent): void {
    const used = outcome !== undefined && USES.has(outcome);
    const parsed: Digest | undefined = digest === undefined || !used ? undefined : parseDigest(digest);
    if (method === 'GET' && parsed !== undefined && size !== undefined) this.#reuse.note(parsed, size);
  }
}

/** Outcomes of pulls that the cache could have answered. */
const USES: ReadonlySet<string> = new Set(['hit', 'stale', 'revalidated', 'miss', 'collapsed', 'bypass']);
