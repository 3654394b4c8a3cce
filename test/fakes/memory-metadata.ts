import { checkKeyPart, checkOrdered } from '../../src/metadata/keys.ts';
import type { Entry, Key, MetadataStore } from '../../src/metadata/metadata-store.ts';
import { MetadataUnavailable } from '../../src/metadata/unavailable.ts';

/** Metadata in memory, with the power switch of a real store. */
export interface MemoryMetadata extends MetadataStore {
  /** Back to what was last made durable by `flushed` (or `close`), as after power loss. Usable at once, also after `close`. */
  crash(): void;
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

type Collections = Map<string, Map<string, Uint8Array>>;

export function createMemoryMetadata(options: MemoryMetadataOptions = {}): MemoryMetadata {
  let visible: Collections = new Map();
  let durable: Collections = new Map();
  let down = false;
  let hook: ((slot: string) => Promise<void> | void) | undefined;

  const collectionOf = (slot: string, collection: string): Map<string, Uint8Array> => {
    const name = `${slot}\0${collection}`;
    const found = visible.get(name) ?? new Map<string, Uint8Array>();
    visible.set(name, found);
    return found;
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
    const now = collectionOf(slot, collection).get(id);
    return value === undefined || now === undefined ? value === now : Buffer.compare(value, now) === 0;
  };

  return {
    get(slot, [collection, id]) {
      checkParts(slot, collection, id);
      return answer(() => copy(collectionOf(slot, collection).get(id)));
    },
    list(slot, collection, after, limit) {
      checkParts(slot, collection);
      checkOrdered(collection);
      return answer(() => entriesAfter(collectionOf(slot, collection), after).slice(0, limit));
    },
    async commit(slot, changes, conditions = []) {
      for (const { key } of [...changes, ...conditions]) checkParts(slot, ...key);
      await hook?.(slot);
      mustBeUp();
      if (!conditions.every(({ key, value }) => holds(slot, key, value))) return false;
      for (const { key, value } of changes) {
        const collection = collectionOf(slot, key[0]);
        if (value === undefined) collection.delete(key[1]);
        else collection.set(key[1], Uint8Array.from(value));
      }
      return true;
    },
    async flushed() {
      mustBeUp();
      durable = clone(visible);
    },
    async ping() {
      mustBeUp();
    },
    async close() {
      durable = clone(visible);
    },
    crash() {
      visible = clone(durable);
    },
    setDown(next) {
      down = next;
    },
    beforeCommit(next) {
      hook = next;
    },
    keys() {
      const all = Array.from(visible, ([name, ids]) => Array.from(ids.keys(), (id) => `${name.replace('\0', ' ')} ${id}`));
      return all.flat().sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    },
  };
}

function checkParts(...parts: readonly string[]): void {
  for (const part of parts) checkKeyPart(part);
}

function copy(value: Uint8Array | undefined): Uint8Array | undefined {
  return value && Uint8Array.from(value);
}

function clone(collections: Collections): Collections {
  return new Map(Array.from(collections, ([name, ids]) => [name, new Map(ids)]));
}

function entriesAfter(ids: ReadonlyMap<string, Uint8Array>, after: string | undefined): Entry[] {
  const order = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
  return Array.from(ids, ([id, value]) => ({ id, value: Uint8Array.from(value) }))
    .filter(({ id }) => after === undefined || order(id, after) > 0)
    .sort((a, b) => order(a.id, b.id));
}
