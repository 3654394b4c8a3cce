import type { Entry } from '../../src/metadata/metadata-store.ts';

/** The entries of one collection. Values are the caller's own: whoever puts one in or takes one out copies it. */
export interface MemoryCollection {
  readonly values: ReadonlyMap<string, Uint8Array>;
  /** `undefined` takes it out. */
  put(id: string, value: Uint8Array | undefined): void;
  /** What comes after `after` in the order of the ids' bytes, `limit` of them at most. */
  list(after: string | undefined, limit: number): Entry[];
}

/** The order is found once, when somebody first lists, and then kept: a queue of ten thousand is listed ten thousand times. */
export function createMemoryCollection(entries: Iterable<readonly [string, Uint8Array]> = []): MemoryCollection {
  const values = new Map(entries);
  let ordered: string[] | undefined;

  return {
    values,
    put(id, value) {
      const known = values.has(id);
      if (value === undefined) values.delete(id);
      else values.set(id, value);
      if (ordered === undefined || known === (value !== undefined)) return;
      ordered.splice(firstAfter(ordered, id, 0), value === undefined ? 1 : 0, ...(value === undefined ? [] : [id]));
    },
    list(after, limit) {
      ordered ??= Array.from(values.keys()).toSorted(byBytes);
      const from = after === undefined ? 0 : firstAfter(ordered, after, 1);
      return ordered.slice(from, from + limit).map((id) => ({ id, value: Uint8Array.from(values.get(id)!) }));
    },
  };
}

/** Where the first stands that is greater than `id` by `least` at least: 0 for itself or greater, 1 for greater. */
function firstAfter(ordered: readonly string[], id: string, least: 0 | 1): number {
  let from = 0;
  for (let to = ordered.length; from < to;) {
    const middle = (from + to) >> 1;
    if (byBytes(ordered[middle]!, id) >= least) to = middle;
    else from = middle + 1;
  }
  return from;
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
