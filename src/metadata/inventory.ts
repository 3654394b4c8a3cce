import type { Digest } from '../oci/digest.ts';
import type { MaybePromise } from './metadata-store.ts';

/**
 * What counts against the size of the cache, digest by digest, and their sum: kept in one slot, so that every commit changes
 * both and the sum is right whatever a crash comes after. An entry is written before its bytes are published and taken away
 * after they are gone: the sum is never less than what the disk holds, and what a crash left too much is found by
 * {@link Inventory.oldest}, which comes to every entry in its turn.
 *
 * `position` is where a digest stands in the order of leaving, ms since the epoch: never later than its last use, and moved
 * up to it by whoever looks (so that a use costs nothing here).
 */
export interface Inventory {
  /** One read. */
  usage(): MaybePromise<CacheUsage>;
  /**
   * Sets aside `bytes` in all for a part, instead of what was set aside for it before; 0 gives it back. False, and nothing
   * changed, where the sum would then be above `limit`.
   */
  reserve(part: string, bytes: number, limit?: number): Promise<boolean>;
  /** Parts that something is set aside for, by id. */
  reservations(after: string | undefined, limit: number): MaybePromise<readonly Reservation[]>;
  entry(digest: Digest): MaybePromise<InventoryEntry | undefined>;
  /**
   * Enters what is about to be published in the place of its part's reservation; one that is there already moves up: false
   * then.
   */
  enter(digest: Digest, entry: InventoryEntry, part?: string): Promise<boolean>;
  /**
   * What was entered has been published: enters it again where it was taken out meanwhile, or is about to go. An eviction
   * that came between took the file of before, or had nothing to take.
   */
  published(digest: Digest, entry: InventoryEntry): Promise<void>;
  /** Notes, before anything of them is touched, that these are about to go, so that a crash cannot leave them half gone. */
  begin(digests: readonly Digest[]): Promise<void>;
  /** Those that were begun and have not ended, in byte order. */
  going(after: Digest | undefined, limit: number): MaybePromise<readonly Digest[]>;
  /** Takes out those that were begun, but for those that were entered since: their bytes came back, or are about to. */
  end(digests: readonly Digest[]): Promise<void>;
  /** Takes out those that are there. */
  leave(digests: readonly Digest[]): Promise<void>;
  /** They stay after all. */
  spare(digests: readonly Digest[]): Promise<void>;
  /** In the order of leaving; `after`: the last that was seen. */
  oldest(after: InventoryPlace | undefined, limit: number): MaybePromise<readonly InventoryPlace[]>;
  /** Moves them within the order of leaving, where they still stand at the position that was seen. */
  move(moves: readonly { readonly from: InventoryPlace; readonly to: number }[]): Promise<void>;
}

export interface CacheUsage {
  /** Of all entries. */
  readonly bytes: number;
  /** Entries. */
  readonly blobs: number;
  /** Bytes that are set aside for parts. */
  readonly reserved: number;
}

export interface InventoryEntry {
  readonly size: number;
  readonly position: number;
}

export interface InventoryPlace extends InventoryEntry {
  readonly digest: Digest;
}

export interface Reservation {
  readonly part: string;
  readonly bytes: number;
}
