import { posix } from 'node:path';
import type { Random } from '../../src/system/random.ts';
import type { MemoryFile } from './memory-file.ts';

export type Entry = MemoryFile | 'directory';

/** One change of names: all of it survives a crash, or none does (a file system's journal holds a rename as one record). */
interface Change {
  readonly entries: readonly (readonly [path: string, entry: Entry | undefined])[];
  /** Directories whose sync it still waits for. */
  readonly unsynced: Set<string>;
}

/**
 * Names, as processes see them and as the platter has them. A change is durable when every directory it touched was synced
 * after it; until then a crash may keep it or lose it, whatever became of the changes before and after it.
 */
export class MemoryTree {
  readonly #seen = new Map<string, Entry>([['/', 'directory']]);
  #durable = new Map<string, Entry>([['/', 'directory']]);
  #pending: Change[] = [];

  get(path: string): Entry | undefined {
    return this.#seen.get(path);
  }

  names(directory: string): string[] {
    return [...this.#seen.keys()]
      .filter((path) => path !== '/' && posix.dirname(path) === directory)
      .map((path) => posix.basename(path));
  }

  entries(): (readonly [path: string, entry: Entry])[] {
    return [...this.#seen];
  }

  files(): MemoryFile[] {
    return [...this.#seen.values()].filter((entry) => entry !== 'directory');
  }

  /** `undefined` removes. */
  change(...entries: readonly (readonly [path: string, entry: Entry | undefined])[]): void {
    apply(this.#seen, entries);
    this.#pending.push({ entries, unsynced: new Set(entries.map(([path]) => posix.dirname(path))) });
  }

  /** What becomes durable takes along every earlier change of the same names: a journal is written in order. */
  sync(directory: string): void {
    const committed = new Set<Change>();
    const names = new Set<string>();
    for (const change of this.#pending.toReversed()) {
      change.unsynced.delete(directory);
      if (change.unsynced.size > 0 && !change.entries.some(([path]) => names.has(path))) continue;
      committed.add(change);
      for (const [path] of change.entries) names.add(path);
    }
    for (const change of this.#pending) if (committed.has(change)) apply(this.#durable, change.entries);
    this.#pending = this.#pending.filter((change) => !committed.has(change));
  }

  crash(random: Random): void {
    for (const change of this.#pending) if (random.fraction() < 0.5) apply(this.#durable, change.entries);
    this.#pending = [];
    this.#durable = reachable(this.#durable);
    this.#seen.clear();
    for (const [path, entry] of this.#durable) this.#seen.set(path, entry);
  }
}

function apply(entries: Map<string, Entry>, changes: Change['entries']): void {
  for (const [path, entry] of changes) {
    if (entry === undefined) entries.delete(path);
    else entries.set(path, entry);
  }
}

/** Without its directory an entry is nowhere. */
function reachable(entries: ReadonlyMap<string, Entry>): Map<string, Entry> {
  const found = new Map<string, Entry>();
  const has = (path: string): boolean => path === '/' || (entries.has(path) && has(posix.dirname(path)));
  for (const [path, entry] of entries) if (has(path)) found.set(path, entry);
  return found;
}
