import type { Random } from '../../src/system/random.ts';

/** What a disk writes as a whole, unless the power goes while it does. */
const PAGE = 4096;
/** A page that nobody has written: what there is behind a file's end. */
const BLANK: Uint8Array = new Uint8Array(PAGE);
/** What a disk never tears. */
const SECTOR = 512;

/** Files so far. */
let made = 0;

/**
 * The bytes of one file, as the page cache has them and as the platter has them: a page that was written since the last
 * sync is remembered as it was before.
 */
export class MemoryFile {
  size = 0;
  modified: number;
  changed: number;
  /** Names the file, whatever its name: no two of this process are the same. */
  readonly inode = ++made;
  #bytes = Buffer.alloc(0);
  #durableSize = 0;
  /** Page number → its durable bytes, for pages that the next sync will write. */
  #unsynced = new Map<number, Uint8Array>();
  /** The same, for pages that a failed sync gave up: the kernel calls them clean, and no later sync writes them. */
  #lost = new Map<number, Uint8Array>();

  constructor(modified: number) {
    this.modified = modified;
    this.changed = modified;
  }

  read(into: Uint8Array, position: number): number {
    const end = Math.min(this.size, position + into.length);
    if (position >= end) return 0;
    into.set(this.#bytes.subarray(position, end));
    return end - position;
  }

  /** All of it, as it is until the next change. */
  peek(): Uint8Array {
    return this.#bytes.subarray(0, this.size);
  }

  write(bytes: Uint8Array, position: number): void {
    if (bytes.length === 0) return;
    this.#reserve(position + bytes.length);
    this.#touch(position, position + bytes.length);
    this.#bytes.set(bytes, position);
    this.size = Math.max(this.size, position + bytes.length);
  }

  truncate(size: number): void {
    this.#reserve(size);
    this.#touch(Math.min(size, this.size), Math.max(size, this.size));
    this.#bytes.fill(0, size);
    this.size = size;
  }

  sync(): void {
    this.#unsynced.clear();
    this.#durableSize = this.size;
  }

  /** After this the pages count as clean without being on the platter, as on Linux. */
  failSync(): void {
    for (const [page, before] of this.#unsynced) this.#lost.set(page, before);
    this.#unsynced.clear();
  }

  /** The power goes: each unsynced page and the size may have been written, or not, or (a page) in part. */
  crash(random: Random): void {
    const size = random.fraction() < 0.5 ? this.#durableSize : this.size;
    for (const [page, before] of this.#unsynced) {
      const kept = keptOf(random);
      this.#bytes.set(before.subarray(kept), page * PAGE + kept);
    }
    for (const [page, before] of this.#lost) this.#bytes.set(before, page * PAGE);
    this.#bytes.fill(0, size);
    this.size = size;
    this.#durableSize = size;
    this.#unsynced.clear();
    this.#lost.clear();
  }

  #touch(from: number, to: number): void {
    for (let page = Math.floor(from / PAGE); page * PAGE < to; page++) {
      if (this.#unsynced.has(page)) continue;
      const given = this.#lost.get(page);
      this.#lost.delete(page);
      this.#unsynced.set(page, given ?? this.#pageNow(page));
    }
  }

  /** Most pages are written behind the end: a copy of each would be most of what a large file costs. */
  #pageNow(page: number): Uint8Array {
    const from = page * PAGE;
    return from >= this.size ? BLANK : Uint8Array.prototype.slice.call(this.#bytes, from, from + PAGE);
  }

  #reserve(size: number): void {
    if (size <= this.#bytes.length) return;
    const grown = Buffer.alloc(Math.ceil(Math.max(size, 2 * this.#bytes.length) / PAGE) * PAGE);
    this.#bytes.copy(grown);
    this.#bytes = grown;
  }
}

/** How much of a page the crash kept: none, all, or (one in eight) the sectors before a tear. */
function keptOf(random: Random): number {
  if (random.fraction() < 1 / 8) return SECTOR * (1 + Math.floor(random.fraction() * (PAGE / SECTOR - 1)));
  return random.fraction() < 0.5 ? 0 : PAGE;
}
