import { open, type RootDatabase } from 'lmdb';
import type { Disk } from '../system/disk.ts';
import { checkKeyPart, checkOrdered } from './keys.ts';
import { checkLmdbFiles } from './lmdb-file.ts';
import { nextTurn } from '../system/turn.ts';
import type { Change, Condition, Entry, Key, MetadataStore, StoredEntry } from './metadata-store.ts';
import { sameBytes } from './same-bytes.ts';
import { MetadataRefused, MetadataUnavailable } from './unavailable.ts';

export interface LmdbOptions {
  /** The directory for the store's two files; made if it is not there. */
  readonly directory: string;
  readonly disk: Disk;
  /** Names the kind of remote file system that holds a path, or `undefined` for a local one (system/file-system-type.ts). */
  readonly remoteFileSystem: (path: string) => Promise<string | undefined>;
  /** The library's own by default. */
  readonly opening?: (path: string) => Database;
}

type Database = RootDatabase<Uint8Array, Uint8Array>;

/**
 * Metadata in LMDB: one database, keys `slot NUL collection NUL id` in byte order, values as they are. Several processes of
 * one machine may share the directory; a commit is one write transaction, of which LMDB runs one at a time among all of them.
 *
 * Rejects with {@link MetadataRefused} on a network file system, whose locks and shared maps are not a local disk's
 * (LMDB, "Caveats"), on a damaged file, and on what is no file; with {@link MetadataUnavailable} when the files cannot be opened.
 */
export async function openLmdb({
  directory,
  disk,
  remoteFileSystem,
  opening = openDatabase,
}: LmdbOptions): Promise<MetadataStore> {
  const remote = await remoteFileSystem(directory);
  if (remote !== undefined) {
    throw new MetadataRefused(
      `the embedded metadata store cannot live on ${remote} (${directory}): set metadata.path to a directory on a local disk`,
    );
  }
  await tryToAwait('open', () => checkLmdbFiles(disk, directory));
  return new LmdbStore(tryTo('open', () => opening(directory)));
}

/**
 * No map size: the library starts small and grows the map with the file, over any number of processes. Values of any
 * length are kept outside the tree, so the page size stays the system's.
 */
export function openDatabase(path: string): Database {
  return open<Uint8Array, Uint8Array>({
    path,
    noSubdir: false, // Otherwise a directory with a dot in its name would be taken for a file.
    encoding: 'binary',
    keyEncoding: 'binary',
    maxReaders: 256,
    // With it, a batch has a promise that nobody gets to see: when its commit failed, a full disk ended the process.
    eventTurnBatching: false,
  });
}

class LmdbStore implements MetadataStore {
  readonly #db: Database;
  #open = true;
  /** Commits that the library has not told of. */
  #committing = 0;

  constructor(db: Database) {
    this.#db = db;
  }

  get(slot: string, key: Key, known?: Uint8Array): Uint8Array | undefined {
    const at = encodeKey(slot, key);
    return this.#tryToRead('read', () => (known !== undefined && this.#isStill(at, known) ? known : this.#db.getBinary(at)));
  }

  /** Looks at the value where the library has it, which is the next one's place with the next read. */
  #isStill(at: Buffer, known: Uint8Array): boolean {
    const found: Buffer | undefined = this.#db.getBinaryFast(at);
    return found !== undefined && lastSize(this.#db) === known.byteLength && startsWith(found, known);
  }

  list(slot: string, collection: string, after: string | undefined, limit: number): readonly Entry[] {
    checkOrdered(collection);
    const prefix = encodePrefix(slot, collection);
    const start = after === undefined ? prefix : Buffer.concat([prefix, Buffer.from(`${after}\0`)]);
    const end = Buffer.from(prefix);
    end[end.length - 1] = 1; // The NUL that ends the collection's name: the first key after all of its own.
    return this.#tryToRead('list', () =>
      Array.from(this.#db.getRange({ start, end, limit }), ({ key, value }) => ({
        id: Buffer.from(key.subarray(prefix.length)).toString(),
        value: Uint8Array.from(value),
      })),
    );
  }

  async commit(slot: string, changes: readonly Change[], conditions: readonly Condition[] = []): Promise<boolean> {
    const wanted = conditions.map(({ key, value }) => ({ at: encodeKey(slot, key), value }));
    const writes = changes.map(({ key, value }) => ({ at: encodeKey(slot, key), value }));
    return this.#tryToAwait('commit', () => this.#commit(wanted, writes));
  }

  /** A child transaction, because it alone is undone when a write in its middle throws; others would be half made. */
  #commit(wanted: readonly Write[], writes: readonly Write[]): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const write = (): boolean => {
        if (!wanted.every(({ at, value }) => sameBytes(this.#db.getBinary(at), value))) return false;
        const news = writes.find(({ at, value }) => !sameBytes(this.#db.getBinary(at), value));
        for (const { at, value } of writes) {
          if (value === undefined) this.#db.removeSync(at);
          else this.#db.putSync(at, value);
        }
        if (news !== undefined && this.#committing <= LOOKERS) void this.#isSeen(news).then((seen) => seen && resolve(true));
        return true;
      };
      this.#committing += 1;
      const made = this.#db.childTransaction(write);
      made.finally(() => (this.#committing -= 1)).then(resolve, reject);
    });
  }

  /**
   * Looks whether readers see a write that is on its way, in each of the next turns of the loop. The library tells of a commit only
   * when it is synced, which takes milliseconds; readers see it when its pages are written. Saves a first pull two syncs before its first
   * byte. False: it was not seen by then, or could not be looked for.
   */
  async #isSeen({ at, value }: Write): Promise<boolean> {
    try {
      for (let look = 0; look < LOOKS; look += 1) {
        await nextTurn();
        const now = this.#tryToRead('read', () => this.#db.getBinary(at));
        if (sameBytes(now, value)) return true;
      }
    } catch {
      // The commit's own promise says what is the matter.
    }
    return false;
  }

  /** Of all that was committed before, since the library writes one transaction after the other. */
  async flushed(): Promise<void> {
    await this.#tryToAwait('flush', async () => await this.#db.flushed);
  }

  /** One snapshot, whose order is no matter. Pages that it still needs are not written again: the file may grow meanwhile. */
  async *entries(): AsyncGenerator<StoredEntry> {
    const transaction = this.#tryToRead('list', () => this.#db.useReadTransaction());
    try {
      for (let start: Buffer = Buffer.alloc(0); ;) {
        const page = this.#tryTo('list', () =>
          Array.from(this.#db.getRange({ start, limit: ENTRIES, transaction }), ({ key, value }) => ({
            key: Buffer.from(key),
            value: Uint8Array.from(value),
          })),
        );
        for (const { key, value } of page) yield decodeEntry(key, value);
        const last = page.at(-1);
        if (last === undefined || page.length < ENTRIES) return;
        start = Buffer.concat([last.key, Buffer.alloc(1)]);
        await nextTurn();
      }
    } finally {
      transaction.done();
    }
  }

  async ping(): Promise<void> {
    this.#tryTo('read', () => this.#db.doesExist(PROBE));
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    await this.flushed();
    this.#open = false;
    await this.#db.close();
  }

  /** The library keeps one snapshot for a turn of the loop, in which another process's commits would not be seen. */
  #tryToRead<T>(what: string, act: () => T): T {
    return this.#tryTo(what, () => {
      this.#db.resetReadTxn();
      return act();
    });
  }

  /** A closed database is not touched: what the library then does differs from call to call. */
  #tryTo<T>(what: string, act: () => T): T {
    if (!this.#open) throw new MetadataUnavailable(`lmdb: cannot ${what}: the store is closed`);
    return tryTo(what, act);
  }

  async #tryToAwait<T>(what: string, act: () => Promise<T>): Promise<T> {
    return tryToAwait(what, () => this.#tryTo(what, act));
  }
}

/** For as long as a write of a few pages takes; a slow disk is not waited for in turns of the loop. */
const LOOKS = 20;
/** Where more than these are under way it is a batch, in which nobody waits for a first byte. */
const LOOKERS = 4;

interface Write {
  readonly at: Buffer;
  readonly value: Uint8Array | undefined;
}

/** Entries of a dump that are read at once. */
const ENTRIES = 500;

const PROBE = Buffer.from('layout\0layout\0it');

function encodePrefix(slot: string, collection: string): Buffer {
  checkKeyPart(slot);
  checkKeyPart(collection);
  return Buffer.from(`${slot}\0${collection}\0`);
}

function encodeKey(slot: string, [collection, id]: Key): Buffer {
  checkKeyPart(slot);
  checkKeyPart(collection);
  checkKeyPart(id);
  return Buffer.from(`${slot}\0${collection}\0${id}`);
}

function decodeEntry(key: Buffer, value: Uint8Array): StoredEntry {
  const [slot = '', collection = '', id = ''] = key.toString().split('\0');
  return { slot, collection, id, value };
}

/** Of what `getBinaryFast` found: what it yields is longer (its documentation says so, and not where the size is told). */
function lastSize(db: Database): number | undefined {
  return (db as { readonly lastSize?: number }).lastSize;
}

function startsWith(found: Buffer, known: Uint8Array): boolean {
  return found.compare(known, 0, known.byteLength, 0, known.byteLength) === 0;
}

function tryTo<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw wrap(what, error);
  }
}

async function tryToAwait<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw wrap(what, error);
  }
}

function wrap(what: string, error: unknown): Error {
  hearCommitError(error);
  if (error instanceof MetadataUnavailable || error instanceof MetadataRefused || error instanceof RangeError) return error;
  return new MetadataUnavailable(`lmdb: cannot ${what}: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}

/** The library says why a commit failed in a second promise, which must be heard too or it ends the process. */
function hearCommitError(error: unknown): void {
  if (!(error instanceof Error) || !('commitError' in error) || !(error.commitError instanceof Promise)) return;
  error.commitError.catch(() => undefined); // The commit itself was refused, and whoever asked for it hears that.
}
