import { paged } from '../system/paged.ts';
import type { ReportMetadata } from './events.ts';
import type { Form } from './forms.ts';
import { andThen } from './maybe-promise.ts';
import type { Key, MaybePromise, MetadataStore } from './metadata-store.ts';
import { sameBytes } from './same-bytes.ts';

/** A value as it stands, for conditions, beside what it says. */
export interface Stored<T> {
  readonly bytes: Uint8Array | undefined;
  /** `undefined`: absent, or not decodable. */
  readonly record: T | undefined;
}

/** Reads records from a store. What does not decode is reported and taken for absent: a puller must not pay for it. */
export interface Table {
  readonly store: MetadataStore;
  get<T>(slot: string, key: Key, form: Form<T>): MaybePromise<T | undefined>;
  /**
   * As `get`, for what each hit reads: the store is asked all the same, but what it says again byte for byte is not parsed again. Frozen.
   * Saves a tenth of a hit.
   */
  getAgain<T extends object>(slot: string, key: Key, form: Form<T>): MaybePromise<T | undefined>;
  getStored<T>(slot: string, key: Key, form: Form<T>): MaybePromise<Stored<T>>;
  /** The first `limit` of the entries that decode. */
  list<T>(
    slot: string,
    collection: string,
    after: string | undefined,
    limit: number,
    form: Form<T>,
  ): MaybePromise<readonly { readonly id: string; readonly record: T }[]>;
  /** All of the entries that decode. */
  all<T>(slot: string, collection: string, form: Form<T>): AsyncGenerator<{ readonly id: string; readonly record: T }>;
}

/** Some 8 MB: as many as requests that are known (http/repeats.ts). */
export const READ_MAX = 8192;

interface Read {
  readonly bytes: Uint8Array;
  readonly record: unknown;
}

export function createTable(store: MetadataStore, report: ReportMetadata): Table {
  const read = new Map<string, Read>();

  function decode<T>(slot: string, [collection, id]: Key, bytes: Uint8Array, form: Form<T>): T | undefined {
    const record = form.decode(bytes);
    if (record === undefined) report({ kind: 'metadata-undecodable', slot, collection, id });
    return record;
  }

  const getStored = <T>(slot: string, key: Key, form: Form<T>): MaybePromise<Stored<T>> =>
    andThen(store.get(slot, key), (bytes) => ({ bytes, record: bytes && decode(slot, key, bytes, form) }));

  /** A key is of one form, so that what it was read as is what it is now. */
  function getAgain<T extends object>(slot: string, key: Key, form: Form<T>): MaybePromise<T | undefined> {
    const name = `${slot}\0${key[0]}\0${key[1]}`;
    const before = read.get(name);
    return andThen(store.get(slot, key, before?.bytes), (bytes) => {
      if (bytes === undefined) return undefined;
      if (before !== undefined && sameBytes(bytes, before.bytes)) return before.record as T;
      const record = decode(slot, key, bytes, form);
      if (record !== undefined) remember(name, { bytes, record: Object.freeze(record) });
      return record;
    });
  }

  function remember(name: string, found: Read): void {
    read.set(name, found);
    const oldest = read.keys().next().value;
    if (read.size > READ_MAX && oldest !== undefined) read.delete(oldest);
  }

  function list<T>(
    slot: string,
    collection: string,
    after: string | undefined,
    limit: number,
    form: Form<T>,
  ): MaybePromise<readonly { readonly id: string; readonly record: T }[]> {
    return andThen(store.list(slot, collection, after, limit), (entries) => {
      const found = entries.flatMap(({ id, value }) => {
        const record = decode(slot, [collection, id], value, form);
        return record === undefined ? [] : [{ id, record }];
      });
      if (found.length === entries.length || entries.length < limit) return found;
      const rest = list(slot, collection, entries.at(-1)?.id, limit - found.length, form);
      return andThen(rest, (more) => [...found, ...more]);
    });
  }

  return {
    store,
    getStored,
    get: (slot, key, form) => andThen(getStored(slot, key, form), ({ record }) => record),
    getAgain,
    list,
    all: (slot, collection, form) =>
      paged(
        (after: string | undefined, limit) => list(slot, collection, after, limit, form),
        ({ id }) => id,
      ),
  };
}

/** For the entries of lists that lie in other slots than what they list: writes nothing where one stands. */
export async function putIfAbsent(store: MetadataStore, slot: string, key: Key, value: Uint8Array): Promise<void> {
  if ((await store.get(slot, key)) === undefined) await store.commit(slot, [{ key, value }]);
}

/**
 * Tries a conditional commit until it is made: `attempt` reads, decides and commits, and yields `undefined` where its
 * conditions did not hold. Each failure means that somebody else's commit was made, so rivals cannot block each other.
 */
export async function untilMade<T>(attempt: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const made = await attempt();
    if (made !== undefined) return made;
  }
}
