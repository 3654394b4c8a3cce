/**
 * Small mutable facts, as ordered keys in slots: the port that LMDB, Redis and later a table of a relational database
 * implement. Kept this narrow on purpose (architecture.md, decisions 9 and 17).
 *
 * A *slot* holds everything of one repository or of one digest, and is what a commit is atomic over; no commit spans two.
 * Within a slot a value stands under a *collection* and an *id*. Values are bytes (records.ts gives them shape).
 *
 * Absence is `undefined`; a rejection or a throw means that the store could not be asked.
 */
export interface MetadataStore {
  /**
   * Synchronous where the store can be (LMDB), so that a hit costs no turn of the loop. Where the value is `known`, byte for byte, that
   * may be yielded itself, which saves a copy.
   */
  get(slot: string, key: Key, known?: Uint8Array): MaybePromise<Uint8Array | undefined>;
  /** The entries of a collection with ids greater than `after` (all, if undefined), by id in byte order, at most `limit`. */
  list(slot: string, collection: string, after: string | undefined, limit: number): MaybePromise<readonly Entry[]>;
  /**
   * Makes all changes, or none if a condition does not hold (false). Visible to every reader when it resolves; durable
   * against power loss only after `flushed`.
   */
  commit(slot: string, changes: readonly Change[], conditions?: readonly Condition[]): Promise<boolean>;
  /** Resolves when every commit that resolved before is durable, as far as the store can promise that. */
  flushed(): Promise<void>;
  /**
   * Everything in the store, each entry once or more: whatever was committed before the first was asked for and stands until
   * the last, as it stands at some moment between. Slots of repositories come first, and of all of them first the tags: what
   * refers to something else is then never told of without what it needs, which its writer wrote before it.
   */
  entries(): AsyncIterable<StoredEntry>;
  /** Rejects when the store cannot answer; for readiness. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export type MaybePromise<T> = T | Promise<T>;

/** Collection and id. Ids are non-empty, at most 512 bytes of UTF-8; slots and collections likewise. */
export type Key = readonly [collection: string, id: string];

export interface Entry {
  readonly id: string;
  readonly value: Uint8Array;
}

export interface StoredEntry extends Entry {
  readonly slot: string;
  readonly collection: string;
}

/** `value` undefined removes the key. */
export interface Change {
  readonly key: Key;
  readonly value: Uint8Array | undefined;
}

/** Holds when the key's value has exactly these bytes, or is absent where `value` is undefined. */
export interface Condition {
  readonly key: Key;
  readonly value: Uint8Array | undefined;
}
