import type { Hash } from 'node:crypto';
import type { BlobStore, Part } from '../../blobs/blob-store.ts';
import type { FillKey, PartRecord, Records } from '../../metadata/records.ts';
import { algorithmOf, finishDigest, startDigest, type Digest } from '../../oci/digest.ts';
import { randomId, type Random } from '../../system/random.ts';
import type { Growing } from './growing.ts';

export interface OpenedPart {
  readonly part: Part;
  /** Bytes of it that are trusted, and covered by `hash`. */
  readonly prefix: number;
  /** Of which so many are durable. */
  readonly synced: number;
  readonly hash: Hash;
  readonly size: number | undefined;
}

interface PartDeps {
  readonly blobs: BlobStore;
  readonly records: Pick<Records, 'part'>;
  readonly random: Random;
}

const REHASH_CHUNK_BYTES = 1024 * 1024;

/**
 * Takes up what an earlier process left of the digest's fill; `undefined` where there is nothing to go on with. Only a prefix
 * that was fsynced, or still hashes as recorded, is trusted; what follows is cut off (architecture.md, decision 5, and src/README.md). What
 * came for another repository, and not everybody could have, stays where it is: its own may yet go on with it (decision 8).
 */
export async function takeUpPart(
  deps: Omit<PartDeps, 'random'>,
  growing: Pick<Growing, 'registry' | 'digest' | 'size' | 'brought'>,
): Promise<OpenedPart | undefined> {
  const { digest, size, brought } = growing;
  const record = await recordOf(deps.records, growing);
  if (record === undefined || !brought.admits(record.brought)) return undefined;
  const resumed = await resume(deps.blobs, digest, record, size);
  if (resumed !== undefined) brought.takeUp(record.brought);
  return resumed;
}

/** An empty one. */
export function newPart({ blobs, random }: Omit<PartDeps, 'records'>, { size }: Pick<Growing, 'size'>): Promise<Part> {
  return blobs.part(randomId(random), false, size);
}

async function recordOf(records: Pick<Records, 'part'>, fill: FillKey): Promise<PartRecord | undefined> {
  try {
    return await records.part(fill);
  } catch {
    return undefined; // The store cannot be asked: the transfer that could have been saved is made again.
  }
}

/** `undefined` when what is left cannot be used; it is dropped then. */
async function resume(
  blobs: BlobStore,
  digest: Digest,
  record: PartRecord,
  size: number | undefined,
): Promise<OpenedPart | undefined> {
  const part = await blobs.part(record.id, true, size ?? record.size).catch(() => undefined); // A slow reader may still have it open.
  if (part === undefined) return undefined;
  const known = size ?? record.size;
  const contradicts = size !== undefined && record.size !== undefined && size !== record.size;
  const recorded = Math.max(record.synced, record.prefix?.bytes ?? 0);
  const inside = part.resumedSize >= record.synced && recorded <= (known ?? Infinity);
  try {
    if (contradicts || !inside) throw new Error('the record is of another file');
    // Never all of it: an upstream has to say under this repository that it has the rest (promise 9).
    const trusted = await trustedPrefix(part, digest, record, (known ?? Infinity) - 1);
    if (trusted.prefix <= 0) throw new Error('nothing of the part is trusted');
    await part.truncate(trusted.prefix);
    return { part, ...trusted, size: known };
  } catch {
    await part.discard().catch(() => undefined); // Swept later. A disk that cannot be used says so when the new part is made.
    part.release();
    return undefined;
  }
}

/**
 * After a crash of the process alone all that was recorded stands in the part; after a loss of power some of what was not fsynced may be
 * zeros, or gone, and then hashes otherwise. Fsynced bytes that hash otherwise have rotted.
 */
async function trustedPrefix(
  part: Part,
  digest: Digest,
  { synced, prefix }: PartRecord,
  most: number,
): Promise<Pick<OpenedPart, 'prefix' | 'synced' | 'hash'>> {
  const durable = Math.min(synced, most);
  const hash = await rehash(part, digest, durable);
  const ofDurable = { prefix: durable, synced: durable, hash };
  if (prefix === undefined || prefix.bytes < synced || prefix.bytes > part.resumedSize) return ofDurable;
  const bytes = Math.min(prefix.bytes, most);
  const ofPrefix = await rehash(part, digest, bytes, { hash: hash.copy(), from: durable });
  const all = await rehash(part, digest, prefix.bytes, { hash: ofPrefix.copy(), from: bytes });
  if (finishDigest(all, algorithmOf(digest)) === prefix.digest) return { prefix: bytes, synced: durable, hash: ofPrefix };
  if (prefix.bytes === synced) throw new Error('the part has rotted');
  return ofDurable;
}

/** The running hash of the part's first bytes, or of more of them. */
export async function rehash(
  part: Part,
  digest: Digest,
  prefix: number,
  { hash, from } = { hash: startDigest(digest), from: 0 },
): Promise<Hash> {
  const chunk = new Uint8Array(Math.min(REHASH_CHUNK_BYTES, prefix - from));
  for (let position = from; position < prefix;) {
    const count = await part.read(chunk.subarray(0, Math.min(chunk.byteLength, prefix - position)), position);
    if (count === 0) throw new Error(`the part ${part.id} ends before its recorded prefix`);
    hash.update(chunk.subarray(0, count));
    position += count;
  }
  return hash;
}
