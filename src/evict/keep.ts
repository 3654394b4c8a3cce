import type { BlobStore } from '../blobs/blob-store.ts';
import { allHolders, type Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { imageOf } from './image.ts';
import { taggedBy, type Pin } from './pins.ts';

/** What a route says of the cached content of its repositories. */
export interface CacheRule {
  /** Nobody is asked there: what went could not be had again. */
  readonly offline: boolean;
  /** Time since its last use after which it goes, ms. */
  readonly maxAgeMs: number | undefined;
}

export interface KeepDeps {
  readonly blobs: Pick<BlobStore, 'open'>;
  readonly records: Pick<Records, 'holders' | 'link' | 'tags'>;
  readonly ruleOf: (repository: string) => CacheRule;
  /** Whether any route is offline: else nobody need be asked who holds what. */
  readonly anyOffline: boolean;
  readonly pins: readonly Pin[];
}

/** What keeps digests from being evicted, as it stands while one round runs. */
export class Keep {
  readonly #deps: KeepDeps;
  /** By repository and pin: everything that the pinned tags' images need. */
  readonly #pinned = new Map<string, Promise<ReadonlySet<Digest>>>();

  constructor(deps: KeepDeps) {
    this.#deps = deps;
  }

  /** Why it stays; `undefined`: nothing keeps it. Any of the repositories that hold it is enough. */
  async why(digest: Digest): Promise<string | undefined> {
    const { anyOffline, pins, ruleOf } = this.#deps;
    if (!anyOffline && pins.length === 0) return undefined;
    for await (const repository of allHolders(this.#deps.records, digest)) {
      if (anyOffline && ruleOf(repository).offline) return `${repository} is served offline`;
      for (const pin of pins) if (await this.#isPinned(pin, repository, digest)) return `pinned by ${pin.text}`;
    }
    return undefined;
  }

  /** The longest that any of the repositories that hold it grants; `undefined`: one keeps it for ever, or none holds it. */
  async maxAgeOf(digest: Digest): Promise<number | undefined> {
    let longest: number | undefined;
    for await (const repository of allHolders(this.#deps.records, digest)) {
      const { maxAgeMs } = this.#deps.ruleOf(repository);
      if (maxAgeMs === undefined) return undefined;
      longest = Math.max(longest ?? 0, maxAgeMs);
    }
    return longest;
  }

  async #isPinned(pin: Pin, repository: string, digest: Digest): Promise<boolean> {
    if (!pin.repository(repository)) return false;
    if (pin.tag === undefined) return true;
    const key = `${pin.text} ${repository}`;
    const pinned = this.#pinned.get(key) ?? this.#imagesOf(repository, pin.tag);
    this.#pinned.set(key, pinned);
    return (await pinned).has(digest);
  }

  async #imagesOf(repository: string, matches: (tag: string) => boolean): Promise<ReadonlySet<Digest>> {
    const all = new Set<Digest>();
    for await (const root of taggedBy(this.#deps.records, repository, matches)) {
      for (const digest of await imageOf(this.#deps, repository, root)) all.add(digest);
    }
    return all;
  }
}
