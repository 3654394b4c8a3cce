import type { BlobStore } from '../blobs/blob-store.ts';
import { allHolders, allHostedDigests, type Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { Turn } from './turn.ts';

export interface SweepDeps {
  readonly blobs: BlobStore;
  readonly records: Pick<
    Records,
    'hostedDigests' | 'holders' | 'link' | 'dropHolder' | 'blob' | 'markDeleting' | 'flushed' | 'forget'
  >;
}

export interface SweepOptions {
  /** Blobs that were written after it are kept: whoever wrote one may be about to link it. */
  readonly before: number;
}

export interface Swept {
  readonly digest: Digest;
  readonly bytes: number;
}

/** Digests that are marked before their bytes go: as few as a push waits for, as many as make one flush worth it. */
const BATCH = 16;

/**
 * Removes what no repository holds any more, whoever held it: cached content has holders too. Marked first, durably, so that
 * nobody can link it; then the bytes; then what is known of it (architecture.md, decision 9). What a crash left marked goes
 * the same way. Yields what is gone.
 */
export async function* sweep(deps: SweepDeps, options: SweepOptions, turn: Turn): AsyncGenerator<Swept> {
  let batch: Swept[] = [];
  for await (const digest of allHostedDigests(deps.records)) {
    await turn.check();
    const marked = await mark(deps, digest, options);
    if (marked !== undefined) batch.push(marked);
    if (batch.length < BATCH) continue;
    yield* await remove(deps, batch, turn);
    batch = [];
  }
  yield* await remove(deps, batch, turn);
}

/** Ends the deletions that a crash or a disk left in the middle: pushes of those digests wait for it. */
export async function endDeletions(deps: SweepDeps, turn: Turn): Promise<number> {
  let ended = 0;
  for await (const digest of allHostedDigests(deps.records)) {
    if ((await deps.records.blob(digest))?.state !== 'deleting') continue;
    ended += (await remove(deps, [{ digest, bytes: 0 }], turn)).length;
  }
  return ended;
}

async function mark({ records }: SweepDeps, digest: Digest, { before }: SweepOptions): Promise<Swept | undefined> {
  const blob = await records.blob(digest);
  const swept = { digest, bytes: blob?.size ?? 0 };
  if (blob?.state === 'deleting') return swept;
  if (await isHeldAnywhere(records, digest)) return undefined;
  if (blob !== undefined && blob.at > before) return undefined;
  return (await records.markDeleting(digest, blob)) ? swept : undefined;
}

/** Takes the reverse entries that no link stands for. The first that stays answers: the digest is kept. */
async function isHeldAnywhere(records: SweepDeps['records'], digest: Digest): Promise<boolean> {
  for await (const repository of allHolders(records, digest)) {
    if ((await records.link(repository, digest)) !== undefined || !(await records.dropHolder(repository, digest))) return true;
  }
  return false;
}

/** A batch is never left half done by a reader that goes: pushes of what is marked wait for its end. */
async function remove({ blobs, records }: SweepDeps, batch: readonly Swept[], turn: Turn): Promise<readonly Swept[]> {
  if (batch.length > 0) await records.flushed();
  for (const { digest } of batch) {
    // Whoever collects after us may have ended it, and a push have brought the bytes again.
    await turn.check();
    await blobs.remove(digest);
    await records.forget(digest);
  }
  return batch;
}
