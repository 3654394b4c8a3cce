import { NoRoom, type BlobStore, type PartId } from '../blobs/blob-store.ts';
import type { Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import { countedBytes, excessOf, fitsDisk, NO_EXCESS, type CacheLimits, type Excess, type Stock } from './limits.ts';

/** How often making room is tried for one part before it has to do without. */
const TRIES = 3;
/** With less on the disk nothing can be kept, whatever the limits. */
const BRIM_BYTES = 4 * 1024 * 1024;
const BRIM_SHARE = 0.02;
/** How long what was moved away as damaged counts as it was last looked at. */
const QUARANTINE_LOOK_MS = 10_000;

export interface RoomDeps {
  readonly clock: Clock;
  readonly blobs: Pick<BlobStore, 'space' | 'quarantined'>;
  readonly records: Pick<Records, 'inventory'>;
  /** Asked each time, so that a reload takes effect at once. */
  readonly limits: () => CacheLimits;
  /** What other processes have set aside on the same disk and not written yet, as {@link Room.unwritten} has it. Default: nothing. */
  readonly unwrittenElsewhere?: () => Promise<number>;
}

/** {@link Stock} as disk and records have it. */
type Look = Omit<Stock, 'unwritten'>;

/**
 * Who may write how much: every part of the cache asks here before its first byte, so that the limits hold however many fills
 * run at once (reliability.md, S24; the idea of reserving is bazel-remote's).
 */
export class Room {
  readonly #deps: RoomDeps;
  /** By part: what was set aside and is not written yet. */
  readonly #unwritten = new Map<PartId, number>();
  #quarantined = { bytes: 0, until: -Infinity };
  #makeRoom: (wanted: number) => Promise<Excess> = () => Promise.resolve(NO_EXCESS);
  /** The look at disk and records that runs, and the one after it, which all share who ask meanwhile. */
  #looking: Promise<unknown> = Promise.resolve();
  #nextLook: Promise<Look> | undefined;

  constructor(deps: RoomDeps) {
    this.#deps = deps;
  }

  /** Who evicts: begins at once, and resolves, with what it could not do, when it has ended. */
  set onWanted(makeRoom: (wanted: number) => Promise<Excess>) {
    this.#makeRoom = makeRoom;
  }

  /** What has to go, now or so that `wanted` bytes fit. */
  async excess(wanted = 0): Promise<Excess> {
    return excessOf(this.#deps.limits(), await this.stock(), wanted);
  }

  async stock(): Promise<Stock> {
    const look = await this.#look();
    const { unwrittenElsewhere } = this.#deps;
    return this.#stockOf(look, unwrittenElsewhere === undefined ? 0 : await unwrittenElsewhere());
  }

  /** Bytes that were set aside here and are still to be written. */
  unwritten(): number {
    return sum(this.#unwritten.values());
  }

  /**
   * Sets aside `bytes` in all for a part of which `before` are set aside. Waits while others go for it. Rejects with
   * {@link NoRoom} where that does not help; with the store's error where that cannot be asked.
   */
  async setAside(part: PartId, before: number, bytes: number): Promise<void> {
    const wanted = bytes - before;
    for (let tries = 0; ; tries += 1) {
      const { maxBytes } = this.#deps.limits();
      if (maxBytes !== undefined && bytes > maxBytes) throw new NoRoom(`${bytes} bytes are more than the whole cache may have`);
      if (await this.#trySetAside(part, bytes, wanted)) return;
      if (tries === TRIES) throw await this.#refusal(wanted);
      await this.#makeRoom(wanted);
    }
  }

  /** So many of the part's bytes have been written since it was last told. */
  written(part: PartId, bytes: number): void {
    const left = this.#unwritten.get(part);
    if (left !== undefined) this.#unwritten.set(part, Math.max(0, left - bytes));
  }

  /** Leaves a part that is not written on with what it has, 0 for one that is gone. */
  async settle(part: PartId, bytes: number): Promise<void> {
    this.#unwritten.delete(part);
    await this.#deps.records.inventory.reserve(part, bytes);
  }

  /** Enters what is about to be published, in the place of what was set aside for it. False where it is here already. */
  async enter(digest: Digest, size: number, part: PartId): Promise<boolean> {
    const isNew = await this.#deps.records.inventory.enter(digest, { size, position: this.#deps.clock.now() }, part);
    this.#unwritten.delete(part);
    return isNew;
  }

  /** It is there. */
  async published(digest: Digest, size: number): Promise<void> {
    await this.#deps.records.inventory.published(digest, { size, position: this.#deps.clock.now() });
  }

  /** Its bytes never came. */
  async leave(digest: Digest): Promise<void> {
    await this.#deps.records.inventory.leave([digest]);
  }

  /** Its bytes are about to be taken away. */
  async taking(digest: Digest): Promise<void> {
    await this.#deps.records.inventory.begin([digest]);
  }

  /** They are gone, or not (`gone`): they count no more then, unless they came back meanwhile. */
  async taken(digest: Digest, gone: boolean): Promise<void> {
    const { inventory } = this.#deps.records;
    await (gone ? inventory.end([digest]) : inventory.spare([digest]));
  }

  /** Something was moved away as damaged, or removed from there. */
  quarantineChanged(): void {
    this.#quarantined.until = -Infinity;
  }

  /** A disk that somebody has filled to the brim is in trouble, and that is said; short of that it is as it is meant to be. */
  async #refusal(wanted: number): Promise<Error> {
    const { freeBytes, totalBytes, freeInodes, totalInodes } = await this.#deps.blobs.space();
    if (freeBytes >= Math.min(BRIM_BYTES, totalBytes * BRIM_SHARE) && (totalInodes === 0 || freeInodes > 0))
      return new NoRoom(`there is no room for ${wanted} bytes: what is here is in use, pinned or hosted`);
    return Object.assign(new Error(`ENOSPC: the disk has ${freeBytes} bytes left`), { code: 'ENOSPC' });
  }

  async #trySetAside(part: PartId, bytes: number, wanted: number): Promise<boolean> {
    const limits = this.#deps.limits();
    const look = await this.#look();
    const stock = this.#stockOf(look);
    if (!fitsDisk(limits, stock, wanted)) return false;
    // Before anything is waited for: who has looked at the disk together must not all take the same bytes of it.
    const giveBack = this.#take(part, wanted);
    // And it is taken before the others are asked: of two processes that do so at once, one at least sees what the other took.
    const { unwrittenElsewhere } = this.#deps;
    if (unwrittenElsewhere !== undefined && !fitsDisk(limits, this.#stockOf(look, await unwrittenElsewhere()), 0)) {
      giveBack();
      return false;
    }
    const limit = limits.maxBytes === undefined ? undefined : limits.maxBytes - stock.quarantined;
    let isReserved = false;
    try {
      isReserved = await this.#deps.records.inventory.reserve(part, bytes, limit);
    } finally {
      if (!isReserved) giveBack();
    }
    if (!isReserved) return false;
    // Above the high watermark somebody begins to make room, before anybody has to wait for it.
    if (excessOf(limits, stock, wanted).bytes > 0 && countedBytes(stock) > 0) void this.#makeRoom(0);
    return true;
  }

  /** Yields how to take it back. */
  #take(part: PartId, wanted: number): () => void {
    const before = this.#unwritten.get(part);
    this.#unwritten.set(part, (before ?? 0) + wanted);
    return () => {
      const now = this.#unwritten.get(part);
      if (before === undefined) this.#unwritten.delete(part);
      else if (now !== undefined) this.#unwritten.set(part, now - wanted);
    };
  }

  /** Begins after it was asked for, so that it sees what was removed before. However many ask at once, there are two of them. */
  #look(): Promise<Look> {
    this.#nextLook ??= this.#looking.then(() => {
      this.#nextLook = undefined;
      const look = this.#lookNow();
      this.#looking = look.catch(() => undefined); // Who asked hears of it.
      return look;
    });
    return this.#nextLook;
  }

  async #lookNow(): Promise<Look> {
    const { blobs, records } = this.#deps;
    const [usage, space, quarantined] = await Promise.all([records.inventory.usage(), blobs.space(), this.#inQuarantine()]);
    return { usage, space, quarantined };
  }

  #stockOf(look: Look, elsewhere = 0): Stock {
    return { ...look, unwritten: this.unwritten() + elsewhere };
  }

  async #inQuarantine(): Promise<number> {
    const { clock, blobs } = this.#deps;
    if (clock.monotonic() >= this.#quarantined.until) {
      const found = await blobs.quarantined();
      this.#quarantined = { bytes: sum(found.map(({ size }) => size)), until: clock.monotonic() + QUARANTINE_LOOK_MS };
    }
    return this.#quarantined.bytes;
  }
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
