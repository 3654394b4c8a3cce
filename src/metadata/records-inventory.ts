import type { Digest } from '../oci/digest.ts';
import { goingForm, inventoryEntryForm, recentForm, asideForm, sumForm, type Form } from './forms.ts';
import { INVENTORY_SLOT, SUM_KEY, goingKey, inventoryEntryKey, recentKey, asideKey } from './keys.ts';
import type { CacheUsage, Inventory, InventoryEntry } from './inventory.ts';
import { andThen } from './maybe-promise.ts';
import type { Key } from './metadata-store.ts';
import { untilMade, type Stored, type Table } from './table.ts';

/** Changes that one commit makes at most. */
const BATCH = 256;

type Usage = CacheUsage & { readonly changes: number };
const NOTHING: Usage = { bytes: 0, blobs: 0, reserved: 0, changes: 0 };

/**
 * The inventory: every commit counts the sum's `changes` on under the condition that nobody else did, so what was read for it still
 * stands. Changes that come while one is under way wait and are made together: a herd of fills costs a few commits.
 */
export function createInventory(table: Table): Inventory {
  let waiting: Waiting[] = [];
  let running = false;

  /** `change` may run more than once; what it yields the last time is the result. */
  function make<T>(change: (draft: Draft) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      waiting.push({ change, resolve: resolve as (made: unknown) => void, reject });
      if (!running) void run();
    });
  }

  async function run(): Promise<void> {
    running = true;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, BATCH);
      waiting = waiting.slice(BATCH);
      try {
        const made = await untilMade(() => attempt(batch));
        for (const [at, { resolve }] of batch.entries()) resolve(made[at]);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    running = false;
  }

  async function attempt(batch: readonly Waiting[]): Promise<readonly unknown[] | undefined> {
    const before = await table.getStored(INVENTORY_SLOT, SUM_KEY, sumForm);
    const draft = new Draft(table, before);
    const made: unknown[] = [];
    for (const { change } of batch) made.push(await change(draft));
    return (await draft.commit()) ? made : undefined;
  }

  return {
    usage: () =>
      andThen(table.get(INVENTORY_SLOT, SUM_KEY, sumForm), (usage = NOTHING) => {
        const { bytes, blobs, reserved } = usage;
        return { bytes, blobs, reserved };
      }),
    reserve: (part, bytes, limit = Infinity) =>
      make(async (draft) => {
        const before = (await draft.get(asideKey(part), asideForm))?.bytes ?? 0;
        const grown = bytes - before;
        if (grown > 0 && draft.total + grown > limit) return false;
        draft.set(asideKey(part), asideForm, bytes > 0 ? { bytes } : undefined);
        draft.count({ reserved: grown });
        return true;
      }),
    reservations: (after, limit) =>
      andThen(table.list(INVENTORY_SLOT, 'aside', after, limit, asideForm), (found) =>
        found.map(({ id, record }) => ({ part: id, bytes: record.bytes })),
      ),
    entry: (digest) => table.get(INVENTORY_SLOT, inventoryEntryKey(digest), inventoryEntryForm),
    enter: (digest, entry, part) =>
      make(async (draft) => {
        if (part !== undefined) await draft.giveBack(part);
        return (await draft.enter(digest, entry)) === undefined;
      }),
    published: (digest, entry) =>
      make(async (draft) => {
        const stands = (await draft.get(inventoryEntryKey(digest), inventoryEntryForm)) !== undefined;
        const going = await draft.get(goingKey(digest), goingForm);
        if (!stands || (going !== undefined && going.entered !== true)) await draft.enter(digest, entry);
      }),
    begin: (digests) =>
      make(async (draft) => {
        for (const digest of digests) draft.set(goingKey(digest), goingForm, { digest });
      }),
    going: (after, limit) =>
      andThen(table.list(INVENTORY_SLOT, 'going', after, limit, goingForm), (found) =>
        found.map(({ record }) => record.digest),
      ),
    end: (digests) =>
      make(async (draft) => {
        for (const digest of digests) {
          const going = await draft.get(goingKey(digest), goingForm);
          if (going?.entered === true) await draft.spare(digest);
          else if (going !== undefined) await draft.leave(digest);
        }
      }),
    leave: (digests) =>
      make(async (draft) => {
        for (const digest of digests) await draft.leave(digest);
      }),
    spare: (digests) =>
      make(async (draft) => {
        for (const digest of digests) await draft.spare(digest);
      }),
    oldest: (after, limit) =>
      andThen(table.list(INVENTORY_SLOT, 'recent', after && recentKey(after)[1], limit, recentForm), (found) =>
        found.map(({ record }) => record),
      ),
    move: (moves) =>
      make(async (draft) => {
        for (const { from, to } of moves) {
          const before = await draft.get(inventoryEntryKey(from.digest), inventoryEntryForm);
          if (before?.position === from.position) draft.place(from.digest, before, { ...before, position: Math.round(to) });
        }
      }),
  };
}

interface Waiting {
  readonly change: (draft: Draft) => Promise<unknown>;
  readonly resolve: (made: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** The changes of one commit, and what they make of the sum. */
class Draft {
  readonly #table: Table;
  readonly #before: Stored<Usage>;
  readonly #writes = new Map<string, { readonly key: Key; readonly value: Uint8Array | undefined; readonly record: unknown }>();
  #usage: Usage;

  constructor(table: Table, before: Stored<Usage>) {
    this.#table = table;
    this.#before = before;
    this.#usage = before.record ?? NOTHING;
  }

  get total(): number {
    return this.#usage.bytes + this.#usage.reserved;
  }

  async get<T extends object>(key: Key, form: Form<T>): Promise<T | undefined> {
    const written = this.#writes.get(key.join(' '));
    if (written !== undefined) return written.record as T | undefined;
    return this.#table.get(INVENTORY_SLOT, key, form);
  }

  set<T extends object>(key: Key, form: Form<T>, record: T | undefined): void {
    this.#writes.set(key.join(' '), { key, value: record && form.encode(record), record });
  }

  count({ bytes = 0, blobs = 0, reserved = 0 }: Partial<CacheUsage>): void {
    const usage = this.#usage;
    // Never below nothing, should a record have been lost: a sum that cannot be read would hold up every fill.
    this.#usage = {
      bytes: Math.max(0, usage.bytes + bytes),
      blobs: Math.max(0, usage.blobs + blobs),
      reserved: Math.max(0, usage.reserved + reserved),
      changes: usage.changes,
    };
  }

  async giveBack(part: string): Promise<void> {
    const before = await this.get(asideKey(part), asideForm);
    if (before === undefined) return;
    this.set(asideKey(part), asideForm, undefined);
    this.count({ reserved: -before.bytes });
  }

  async spare(digest: Digest): Promise<void> {
    if ((await this.get(goingKey(digest), goingForm)) !== undefined) this.set(goingKey(digest), goingForm, undefined);
  }

  /** Yields the entry of before. */
  async enter(digest: Digest, entry: InventoryEntry): Promise<InventoryEntry | undefined> {
    const before = await this.get(inventoryEntryKey(digest), inventoryEntryForm);
    this.place(digest, before, { ...entry, position: Math.max(Math.round(entry.position), before?.position ?? 0) });
    const going = await this.get(goingKey(digest), goingForm);
    if (going !== undefined) this.set(goingKey(digest), goingForm, { digest, entered: true });
    return before;
  }

  async leave(digest: Digest): Promise<void> {
    await this.spare(digest);
    this.place(digest, await this.get(inventoryEntryKey(digest), inventoryEntryForm), undefined);
  }

  place(digest: Digest, before: InventoryEntry | undefined, next: InventoryEntry | undefined): void {
    if (before === undefined && next === undefined) return;
    if (before !== undefined) this.set(recentKey({ digest, ...before }), recentForm, undefined);
    if (next !== undefined) this.set(recentKey({ digest, ...next }), recentForm, { digest, ...next });
    this.set(inventoryEntryKey(digest), inventoryEntryForm, next);
    this.count({
      bytes: (next?.size ?? 0) - (before?.size ?? 0),
      blobs: Number(next !== undefined) - Number(before !== undefined),
    });
  }

  commit(): Promise<boolean> {
    if (this.#writes.size === 0) return Promise.resolve(true);
    const usage = sumForm.encode({ ...this.#usage, changes: this.#usage.changes + 1 });
    const changes = [...this.#writes.values()].map(({ key, value }) => ({ key, value }));
    const conditions = [{ key: SUM_KEY, value: this.#before.bytes }];
    return this.#table.store.commit(INVENTORY_SLOT, [...changes, { key: SUM_KEY, value: usage }], conditions);
  }
}
