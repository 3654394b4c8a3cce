import { checkKeyPart, checkOrdered } from '../../src/metadata/keys.ts';
import type { Change, Key, MetadataStore } from '../../src/metadata/metadata-store.ts';
import { MetadataUnavailable } from '../../src/metadata/unavailable.ts';
import type { Random } from '../../src/system/random.ts';
import { createMemoryCollection, type MemoryCollection } from './memory-collection.ts';

/** Metadata in memory, with the power switch of a real store. */
export interface MemoryMetadata extends MetadataStore {
  /**
   * Back to what was last made durable by `flushed` (or `close`), as after power loss; with `random` to some commit since, as
   * a store that writes in the background may have come to. Usable at once, also after `close`.
   */
  crash(random?: Random): void;
  /** While true, every call fails as a store that is down does. */
  setDown(down: boolean): void;
  /** Runs before each commit is applied, and may await; to place another's step between two of ours. */
  beforeCommit(hook: ((slot: string) => Promise<void> | void) | undefined): void;
  /** Every key now held, `slot collection id`, in byte order; for leak checks. */
  keys(): readonly string[];
}

export interface MemoryMetadataOptions {
  /** Answers reads by promises, as Redis does. Default: at once, as LMDB does. */
  readonly async?: boolean;
}

type Collections = Map<string, MemoryCollection>;

export function createMemoryMetadata(options: MemoryMetadataOptions = {}): MemoryMetadata {
  let visible: Collections = new Map();
  const durable: Collections = new Map();
  /** In order, since `durable`. */
  let unflushed: { readonly slot: string; readonly changes: readonly Change[] }[] = [];
  let down = false;
  let hook: ((slot: string) => Promise<void> | void) | undefined;

  const collectionOf = (slot: string, collection: string): MemoryCollection => collectionIn(visible, slot, collection);
  const flush = (count: number): void => {
    for (const { slot, changes } of unflushed.splice(0, count)) apply(durable, slot, changes);
  };
  const answer = <T>(read: () => T): T | Promise<T> => {
    if (options.async === true) return Promise.resolve().then(() => (mustBeUp(), read()));
    mustBeUp();
    return read();
  };
  const mustBeUp = (): void => {
    if (down) throw new MetadataUnavailable('the metadata in memory are switched off');
  };
  const holds = (slot: string, [collection, id]: Key, value: Uint8Array | undefined): boolean => {
    const now = collectionOf(slot, collection).values.get(id);
    return value === undefined || now === undefined ? value === now : Buffer.compare(value, now) === 0;
  };

  return {
    get(slot, [collection, id]) {
      checkParts(slot, collection, id);
      return answer(() => copy(collectionOf(slot, collection).values.get(id)));
    },
    list(slot, collection, after, limit) {
      checkParts(slot, collection);
      checkOrdered(collection);
      return answer(() => collectionOf(slot, collection).list(after, limit));
    },
    async commit(slot, changes, conditions = []) {
      for (const { key } of [...changes, ...conditions]) checkParts(slot, ...key);
      await hook?.(slot);
      mustBeUp();
      if (!conditions.every(({ key, value }) => holds(slot, key, value))) return false;
      const kept = changes.map(({ key, value }) => ({ key, value: copy(value) }));
      apply(visible, slot, kept);
      unflushed.push({ slot, changes: kept });
      return true;
    },
    async *entries() {
      const all = Array.from(visible, ([name, { values }]) => {
        const [slot = '', collection = ''] = name.split('\0');
        return Array.from(values, ([id, value]) => ({ slot, collection, id, value: value.slice() }));
      });
      for (const entry of all.flat()) {
        mustBeUp();
        yield await Promise.resolve(entry);
      }
    },
    async flushed() {
      mustBeUp();
      flush(unflushed.length);
    },
    async ping() {
      mustBeUp();
    },
    async close() {
      flush(unflushed.length);
    },
    crash(random) {
      if (random !== undefined) flush(Math.floor(random.fraction() * (unflushed.length + 1)));
      unflushed = [];
      visible = clone(durable);
    },
    setDown(next) {
      down = next;
    },
    beforeCommit(next) {
      hook = next;
    },
    keys() {
      const all = Array.from(visible, ([name, { values }]) =>
        Array.from(values.keys(), (id) => `${name.replace('\0', ' ')} ${id}`),
      );
      return all.flat().sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    },
  };
}

function collectionIn(all: Collections, slot: string, collection: string): MemoryCollection {
  const name = `${slot}\0${collection}`;
  const found = all.get(name) ?? createMemoryCollection();
  all.set(name, found);
  return found;
}

function apply(all: Collections, slot: string, changes: readonly Change[]): void {
  for (const { key, value } of changes) collectionIn(all, slot, key[0]).put(key[1], value);
}

function checkParts(...parts: readonly string[]): void {
  for (const part of parts) checkKeyPart(part);
}

function copy(value: Uint8Array | undefined): Uint8Array | undefined {
  return value && Uint8Array.from(value);
}

function clone(collections: Collections): Collections {
  return new Map(Array.from(collections, ([name, { values }]) => [name, createMemoryCollection(values)]));
}
