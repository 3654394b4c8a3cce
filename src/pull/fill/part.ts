import type { Hash } from 'node:crypto';
import type { BlobStore, Part } from '../../blobs/blob-store.ts';
import type { FillKey, PartRecord, Records } from '../../metadata/records.ts';
import { startDigest, type Digest } from '../../oci/digest.ts';
import { randomId, type Random } from '../../system/random.ts';
import type { Growing } from './growing.ts';

export interface OpenedPart {
  readonly part: Part;
  /** Bytes of it that are trusted, and covered by `hash`. */
  readonly prefix: number;
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
 * Takes up what an earlier process left of the digest's fill; `undefined` where there is nothing to go on with. Only the prefix
 * that was fsynced and recorded is trusted; what follows is cut off, and the prefix hashed again (architecture.md, decision 5). What
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
  const inside = part.resumedSize >= record.synced && record.synced <= (known ?? Infinity);
  // Never all of it: an upstream has to say under this repository that it has the rest (promise 9).
  const prefix = Math.min(record.synced, (known ?? Infinity) - 1);
  try {
    if (contradicts || !inside || prefix <= 0) throw new Error('the record is of another file');
    await part.truncate(prefix);
    return { part, prefix, hash: await rehash(part, digest, prefix), size: known };
  } catch {
    await part.discard().catch(() => undefined); // Swept later. A disk that cannot be used says so when the new part is made.
    part.release();
    return undefined;
  }
}

/** The running hash of the part's first bytes. */
export async function rehash(part: Part, digest: Digest, prefix: number): Promise<Hash> {
  const hash = startDigest(digest);
  const chunk = new Uint8Array(Math.min(REHASH_CHUNK_BYTES, prefix));
  for (let position = 0; position < prefix;) {
    const count = await part.read(chunk.subarray(0, Math.min(chunk.byteLength, prefix - position)), position);
    if (count === 0) throw new Error(`the part ${part.id} ends before its recorded prefix`);
    hash.update(chunk.subarray(0, count));
    position += count;
  }
  return hash;
}
