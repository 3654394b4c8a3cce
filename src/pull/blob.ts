import type { Digest } from '../oci/digest.ts';
import { NEGATIVE_STATUS } from './cache-status.ts';
import { etagOf, type Content } from './content.ts';
import type { PullDeps, Pulling } from './deps.ts';
import { fillBlob, fillThrough, throughSource, type Filled } from './fill.ts';
import { counts, isNobody, namesOf } from './givers.ts';
import { heldContent } from './held.ts';
import { promised } from './hosted.ts';
import { lookupBlob, type BlobLookup } from './lookup.ts';
import { absenceKey, type ManifestRefusal } from './manifest.ts';
import { loopRefusal } from './refusal.ts';
import { linkProven } from './prove.ts';
import { unlessTrouble } from './trouble.ts';

export type BlobAnswer = Extract<Filled, { kind: 'content' }> | ManifestRefusal;

/** A blob: held, or proven to be this repository's, or filled. */
export async function blobAnswer(deps: PullDeps, pulling: Pulling, digest: Digest): Promise<BlobAnswer> {
  const found = await stillPromised(deps, pulling, digest, await lookupBlob(deps, pulling, digest));
  if (found.kind === 'held') return held(deps, pulling, digest, found.size);
  const key = absenceKey(pulling, 'blob', digest);
  const absence = deps.absences.get(key);
  if (absence !== undefined) return { kind: 'refused', refusal: absence, cacheStatus: NEGATIVE_STATUS };
  const answer = await obtain(deps, pulling, digest, found);
  if (answer.kind === 'refused' && answer.refusal.kind === 'absent')
    deps.absences.remember(key, answer.refusal, pulling.route.policy.negativeTtlMs);
  return answer;
}

/** What was pushed to a repository that nobody owns yet is kept for who is told of it, as in one that is ours. */
async function stillPromised(deps: PullDeps, pulling: Pulling, digest: Digest, found: BlobLookup): Promise<BlobLookup> {
  if (found.kind !== 'held' || found.pushed === undefined) return found;
  const { pushed, size } = found;
  const link = await unlessTrouble(deps.report, () => promised(deps, pulling, digest, pushed));
  return link === undefined ? { kind: 'missing', expectedSize: size } : found;
}

async function obtain(
  deps: PullDeps,
  pulling: Pulling,
  digest: Digest,
  found: Exclude<Awaited<ReturnType<typeof lookupBlob>>, { kind: 'held' }>,
): Promise<BlobAnswer> {
  if (found.kind === 'unlinked') {
    const shown = await showUnlinked(deps, pulling, digest, found);
    if (shown !== undefined) return shown;
  }
  if (pulling.method === 'HEAD') return head(deps, pulling, digest, found.expectedSize);
  return toAnswer(await fillBlob(deps, pulling, digest, found.expectedSize));
}

/**
 * When the metadata cannot be asked: an upstream has to say that the blob is this repository's. Bytes on disk are then as
 * good as ever, where it is known who may say so; what is not there is filled once for all who want it, and nobody but this process
 * will remember it.
 */
export async function blobUnrecorded(deps: PullDeps, pulling: Pulling, digest: Digest): Promise<BlobAnswer> {
  const given = deps.givers.remembered(pulling.holder, digest);
  const size = isNobody(given) ? undefined : await sizeOnDisk(deps, digest);
  if (size !== undefined) {
    const proof = await deps.prover.prove({ kind: 'blob', ...pulling, digest }, namesOf(given));
    if (proof.kind !== 'proven') return { kind: 'refused', refusal: proof };
    if (counts(given, proof.upstream)) return held(deps, pulling, digest, size);
  }
  if (pulling.method === 'HEAD') return head(deps, pulling, digest, undefined);
  // One that began before the trouble goes on, and is as good.
  const fills = deps.fills.isRunning({ registry: pulling.registry, digest }) ? deps.fills : deps.unrecordedFills;
  return passing(await fillBlob({ ...deps, fills }, pulling, digest, undefined));
}

/** Straight from an upstream, when the disk cannot be asked. */
export async function blobUncached(deps: PullDeps, pulling: Pulling, digest: Digest): Promise<BlobAnswer> {
  return toAnswer(await fillThrough(deps, pulling, digest, undefined));
}

async function sizeOnDisk({ blobs }: PullDeps, digest: Digest): Promise<number | undefined> {
  const file = await blobs.open(digest);
  file?.close();
  return file?.size;
}

/** Nothing that is said of a blob without records may promise that it was stored. */
function passing(filled: Filled): BlobAnswer {
  const answer = toAnswer(filled);
  if (answer.kind === 'refused' || answer.source.outcome !== 'miss') return answer;
  return { ...answer, source: { outcome: 'bypass', why: 'bypass' } };
}

/**
 * The bytes came through another repository: an upstream has to say that this one holds them too. `undefined` where that has never
 * shown that it has them, and now has to.
 */
async function showUnlinked(
  deps: PullDeps,
  pulling: Pulling,
  digest: Digest,
  { size, given }: Extract<BlobLookup, { kind: 'unlinked' }>,
): Promise<BlobAnswer | undefined> {
  const proof = await deps.prover.prove({ kind: 'blob', ...pulling, digest }, namesOf(given));
  if (proof.kind !== 'proven') return { kind: 'refused', refusal: proof };
  if (!counts(given, proof.upstream)) return undefined;
  await linkProven(deps, pulling, digest, { kind: 'blob', size, claimed: given === 'anybody' }, proof);
  return held(deps, pulling, digest, size);
}

/** A disk that fails in the middle is no reason to cut the client: an upstream has the rest. */
function held(deps: PullDeps, pulling: Pulling, digest: Digest, size: number): BlobAnswer {
  const content = heldContent(deps.blobs, digest, size, () => throughSource(deps, pulling, digest, size));
  return { kind: 'content', content, source: { outcome: 'hit' } };
}

/** A HEAD is answered from an upstream's HEAD; it starts no transfer. The descriptor's size counts for more (R09). */
async function head(deps: PullDeps, pulling: Pulling, digest: Digest, expectedSize: number | undefined): Promise<BlobAnswer> {
  const proof = await deps.prover.prove({ kind: 'blob', ...pulling, digest });
  if (proof.kind !== 'proven') return { kind: 'refused', refusal: proof };
  // Another mirror asks whether it is safe to wait for our fill, and that one waits for a mirror behind him.
  if (pulling.route.via !== undefined && proof.passedLoop && deps.fills.isWaiting({ registry: pulling.registry, digest }))
    return { kind: 'refused', refusal: loopRefusal(proof.tried) };
  const content: Content = {
    digest,
    size: expectedSize ?? proof.size,
    etag: etagOf(digest),
    open: () => Promise.reject(new Error('a HEAD opens no bytes')),
  };
  return { kind: 'content', content, source: { outcome: 'miss', upstream: proof.upstream, stored: false } };
}

function toAnswer(filled: Filled): BlobAnswer {
  return filled.kind === 'content' ? filled : { kind: 'refused', refusal: filled };
}
