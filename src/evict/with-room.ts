import { NoRoom, type BlobStore, type Part, type PartId } from '../blobs/blob-store.ts';
import type { Room } from './room.ts';

/** What a part of unknown size is given first, and at most at once. */
const STEP_MIN_BYTES = 1024 * 1024;
const STEP_MAX_BYTES = 64 * 1024 * 1024;

/** What is removed as damaged or otherwise stands in the inventory no more; for the store that everybody uses. */
export function withInventory<S extends BlobStore>(store: S, room: Room): S {
  return {
    ...store,
    async remove(digest) {
      await tryTo(room.taking(digest));
      const removed = await store.remove(digest);
      await tryTo(room.taken(digest, true));
      return removed;
    },
    async quarantine(digest, version, at) {
      await tryTo(room.taking(digest));
      const moved = await store.quarantine(digest, version, at);
      await tryTo(room.taken(digest, moved));
      if (moved) room.quarantineChanged();
      return moved;
    },
    async removeQuarantined(name) {
      const removed = await store.removeQuarantined(name);
      if (removed) room.quarantineChanged();
      return removed;
    },
  };
}

/**
 * The store as the cache sees it: nothing is written to it that room was not set aside for, and what it holds stands in the
 * inventory. What is hosted is written to the store below, which has no limit.
 *
 * Where the inventory cannot be asked, bytes are written all the same, since metadata that is down may cost no pull
 * (promise 5): what it misses then a scrub enters later.
 */
export function withRoom<S extends BlobStore>(store: S, room: Room): S {
  return {
    ...store,
    async part(id, resume, expected) {
      const part = new RoomyPart(await store.part(id, resume, expected), room);
      if (expected === undefined) return part;
      try {
        await part.expect(expected);
        return part;
      } catch (error) {
        // What was there already is left for later: room may come.
        if (part.resumedSize === 0) await part.discard().catch(() => undefined);
        part.release();
        throw error;
      }
    },
    async linkedPart(id, path) {
      const linked = await store.linkedPart(id, path);
      if (linked === undefined) return undefined;
      const part = new RoomyPart(linked, room);
      try {
        await part.expect(part.resumedSize);
        return part;
      } catch (error) {
        await part.discard().catch(() => undefined); // There is no room for it: that is the one to tell.
        part.release();
        throw error;
      }
    },
    async removePart(id) {
      const removed = await store.removePart(id);
      if (removed) await tryTo(room.settle(id, 0));
      return removed;
    },
  };
}

/** What is not taken out of the inventory now is found too much by whoever evicts. */
async function tryTo(change: Promise<void>): Promise<void> {
  await change.catch(() => undefined);
}

/** One that asks for room ahead of its bytes. Its users may be many, its writer is one; readers of another's have no room. */
class RoomyPart implements Part {
  readonly id: PartId;
  readonly resumedSize: number;
  readonly #part: Part;
  readonly #room: Room;
  #asking: Promise<void> = Promise.resolve();
  /** Bytes that are set aside in all. */
  #aside = 0;
  /** How far it is written. */
  #end: number;
  #users = 1;
  #state: 'untouched' | 'written' | 'ended' = 'untouched';

  constructor(part: Part, room: Room) {
    this.id = part.id;
    this.resumedSize = part.resumedSize;
    this.#part = part;
    this.#room = room;
    this.#end = part.resumedSize;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    const end = position + bytes.byteLength;
    if (end > this.#aside) await this.#askFor(end, end + Math.min(STEP_MAX_BYTES, Math.max(STEP_MIN_BYTES, end)));
    await this.#part.write(bytes, position);
    this.#room.written(this.id, bytes.byteLength);
    this.#end = Math.max(this.#end, end);
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#part.read(into, position);
  }

  async truncate(size: number): Promise<void> {
    await this.#part.truncate(size);
    this.#end = size;
  }

  async expect(size: number): Promise<void> {
    await this.#part.expect(size);
    await this.#askFor(size, size);
  }

  sync(): Promise<void> {
    return this.#part.sync();
  }

  /** Entered before its bytes are there, so that the sum is never too small. */
  async publish(digest: Parameters<Part['publish']>[0]): Promise<void> {
    const isNew = await this.#room.enter(digest, this.#end, this.id).catch(() => false); // Counted by the next scrub.
    this.#state = 'ended';
    try {
      await this.#part.publish(digest);
      await tryTo(this.#room.published(digest, this.#end));
    } catch (error) {
      if (isNew) await tryTo(this.#room.leave(digest));
      throw error;
    }
  }

  async discard(): Promise<void> {
    await this.#part.discard();
    await this.#giveBack(0);
  }

  retain(): void {
    this.#users += 1;
    this.#part.retain();
  }

  release(): void {
    this.#users -= 1;
    this.#part.release();
    if (this.#users === 0) void this.#giveBack(this.#end);
  }

  /** One question at a time: pieces of one part are written side by side. `ahead`: as much as is asked for in the same go. */
  #askFor(end: number, ahead: number): Promise<void> {
    const ask = async (): Promise<void> => {
      if (end <= this.#aside) return;
      await this.#setAside(ahead);
      this.#aside = ahead;
      this.#state = 'written';
    };
    const asked = this.#asking.then(ask);
    this.#asking = asked.catch(() => undefined); // Each who asks hears of his own.
    return asked;
  }

  async #setAside(bytes: number): Promise<void> {
    try {
      await this.#room.setAside(this.id, this.#aside, bytes);
    } catch (error) {
      // Only the disk, and what it has no room for, can refuse: the metadata have no say in it.
      if (isOfDisk(error)) throw error;
    }
  }

  /** What was left for later keeps what it has; a reader of somebody else's part changes nothing. */
  async #giveBack(bytes: number): Promise<void> {
    if (this.#state !== 'written') return;
    this.#state = 'ended';
    await this.#room.settle(this.id, bytes).catch(() => undefined); // Set right when the part is taken up again, or swept.
  }
}

function isOfDisk(error: unknown): boolean {
  return error instanceof Error && (error instanceof NoRoom || ('code' in error && typeof error.code === 'string'));
}
