import type { Digest } from '../oci/digest.ts';
import type { DiskSpace } from '../system/disk.ts';

export { publishBytes } from './publish-bytes.ts';

/**
 * Immutable bytes by digest, and the parts that are on their way to become such. Manifests and layers alike: the store
 * does not tell them apart, and knows no repositories. Absence is a value; a rejection means "could not find out".
 *
 * What is held under a digest was verified by whoever published it; the store itself does not hash.
 */
export interface BlobStore {
  /** The held bytes, `undefined` if there are none. The caller closes it. Content opened here reads on after `remove`. */
  open(digest: Digest): Promise<OpenBlob | undefined>;
  /**
   * Takes up the part of this id where it exists and `resume` is true, else makes an empty one (an older one of the same
   * id is discarded). The caller ends it by `publish` or `discard`, or leaves it for later; `release` comes last in any case.
   * Rejects while this store has a part of the id open. `expected`: bytes that it is going to have, where they are known; a
   * store with a limit sets them aside at once.
   */
  part(id: PartId, resume: boolean, expected?: number): Promise<Part>;
  /**
   * A part that is another name of the file at `path`, elsewhere on this disk: to be read, verified, and published or
   * discarded, never written, since the file has other owners. `undefined` where no such name can be made of it (another file
   * system, no regular file): copy it into a part then. The id as in `part`.
   */
  linkedPart(id: PartId, path: string): Promise<Part | undefined>;
  /** Every part on disk, for the sweep of leftovers. */
  parts(): Promise<readonly { readonly id: PartId; readonly size: number; readonly modified: number }[]>;
  /** Drops a part; false where there is none, or where this store has it open. */
  removePart(id: PartId): Promise<boolean>;
  /** False when nothing was held. Durable when it resolves. */
  remove(digest: Digest): Promise<boolean>;
  /**
   * What is held, a directory at a time, so that memory does not grow with the store: the first one that holds anything after
   * the named one, in a stable order; `undefined` at the end. What is published or removed meanwhile may be in it or not.
   */
  shelf(after: string | undefined): Promise<Shelf | undefined>;
  /** What `open` would find, without opening it. */
  look(digest: Digest): Promise<HeldFile | undefined>;
  /**
   * Moves a damaged blob out of the way, so that it is absent from here on; who has it open reads on. False, and nothing
   * changed, where another file is held by now. `at`: since when it is there, ms since the epoch. Durable when it resolves.
   */
  quarantine(digest: Digest, version: string, at: number): Promise<boolean>;
  /** What was moved away, oldest first. */
  quarantined(): Promise<readonly Quarantined[]>;
  /** False where it had gone. */
  removeQuarantined(name: string): Promise<boolean>;
  space(): Promise<DiskSpace>;
  /** Waits for files that are being closed; what is still open is its user's to close. */
  close(): Promise<void>;
}

/** One that keeps damaged files from being read whole (`with-verification.ts`), and reads them through when it is told to. */
export interface VerifiedBlobStore extends BlobStore {
  /** Hashes what is held, whatever was known of it; `undefined` where nothing is. Changes nothing on disk. */
  verify(digest: Digest, options?: ReadingThrough): Promise<Verified | undefined>;
  /**
   * Ends for good what is hashed for readers, and resolves when none of it goes on: what is not known to be right cannot be
   * read any more.
   */
  quiet(): Promise<void>;
}

export interface ReadingThrough {
  /** Ends it with a rejection. */
  readonly signal?: AbortSignal | undefined;
  /** Waited for after each slice: keeps to a rate. */
  readonly pace?: ((bytes: number) => Promise<void>) | undefined;
}

export interface Verified {
  readonly right: boolean;
  readonly size: number;
  /** Of the file that was read, for `quarantine`. */
  readonly version: string;
}

/** Names a part on disk: 32 lower-case hexadecimal digits (`randomId`). */
export type PartId = string;

/** One directory of the fan-out. */
export interface Shelf {
  /** The bookmark to go on from. */
  readonly name: string;
  /** In byte order. */
  readonly digests: readonly Digest[];
}

export interface HeldFile {
  readonly size: number;
  /** When the file was written, named or linked last, ms since the epoch. */
  readonly changed: number;
  /** Names the file and its state: another one after every write to it, and for every other file. */
  readonly version: string;
}

export interface Quarantined {
  readonly name: string;
  readonly digest: Digest;
  readonly size: number;
  readonly at: number;
}

export interface OpenBlob {
  /** Bytes, as the file has them; a caller who knows better compares. */
  readonly size: number;
  /** See {@link HeldFile}; of the file as it was found by this `open`. */
  readonly version: string;
  /** As `OpenFile.read`: up to `into.length` bytes from `position`, 0 at the end. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Once per `open`; the file itself is shared and closed with its last user. */
  close(): void;
}

/** A file that is being filled. Its owner writes; any number of readers read what the owner says is there. */
export interface Part {
  readonly id: PartId;
  /** Bytes on disk when it was taken up; 0 for a new one. */
  readonly resumedSize: number;
  /** Appends are positional: the owner keeps the count. Rejects with the disk's error. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  read(into: Uint8Array, position: number): Promise<number>;
  truncate(size: number): Promise<void>;
  /**
   * Its size has become known. A store with a limit makes room for all of it before anything more is written, or rejects with
   * {@link NoRoom}: to be called before anybody is told that it will be kept.
   */
  expect(size: number): Promise<void>;
  /** Makes bytes, size and the part's own name durable. When the bytes could not be synced the part is discarded. */
  sync(): Promise<void>;
  /**
   * Sync, rename to the digest's place, sync the directories. Readers read on. A blob already held there is replaced. On a
   * rejection the part is discarded and the digest is held exactly if it was before. Writes must have been awaited.
   */
  publish(digest: Digest): Promise<void>;
  /** Removes the file. Readers read on until they release. */
  discard(): Promise<void>;
  /** One more user of the open file; each `retain` and the creation itself are paired with one `release`. */
  retain(): void;
  release(): void;
}

/** There is no room for this one now, though the disk itself may well have some: the store has a limit of its own. */
export class NoRoom extends Error {
  override readonly name = 'NoRoom';
}

/** A held file turned out wrong after some of it had been read: whoever was given that must not take it for right. */
export class FileDamaged extends Error {
  override readonly name = 'FileDamaged';

  constructor(digest: Digest) {
    super(`the file of ${digest} is damaged`);
  }
}
