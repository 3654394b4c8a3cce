import { allHolders } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { nextTurn } from '../system/turn.ts';
import { lastUseOf, remove, type Candidate, type EvictDeps } from './evict.ts';
import type { Evicted, EvictStep, ReportEviction } from './events.ts';
import { releaseImages, type Doomed, type ReleaseDeps } from './release-images.ts';
import { withTurn, type Patience, type TurnDeps } from './turn.ts';

export interface EvictImagesDeps extends Omit<EvictDeps, 'records' | 'blobs'>, Omit<TurnDeps, 'records'>, ReleaseDeps {
  readonly blobs: ReleaseDeps['blobs'] & EvictDeps['blobs'];
  readonly report: ReportEviction;
}

const PAGE = 64;

/** A minute: a person waits. */
const PATIENCE: Patience = { everyMs: 250, tries: 240 };

/**
 * Drops cached images: their tags and links, then the bytes that no other tag of the repository and no other repository needs,
 * so that the next pull asks upstream for all of it. What is hosted, pinned or offline stays, and is told with the reason.
 * Whatever step a crash comes after, what is left is evicted in its turn. With `dryRun` only tells.
 */
export async function* evictImages(
  deps: EvictImagesDeps,
  doomed: AsyncIterable<Doomed>,
  { dryRun }: { readonly dryRun: boolean },
): AsyncGenerator<EvictStep> {
  const started = deps.clock.monotonic();
  const totals = { images: 0, kept: 0, blobs: 0, bytes: 0 };
  let last: Evicted | undefined;
  /** By digest: the repositories that hold it no more, or with a dry run would not. */
  const released = new Map<Digest, Set<string>>();
  for await (const one of doomed) {
    const going = new Set<Digest>();
    for await (const step of releaseImages(deps, one, going, dryRun)) {
      totals[step.goes ? 'images' : 'kept'] += 1;
      yield step;
    }
    for (const digest of going) released.set(digest, (released.get(digest) ?? new Set()).add(one.repository));
    for await (const { evicted, ...step } of removeBytes(deps, [...going], { released, dryRun })) {
      last = evicted ?? last;
      if (step.goes) totals.blobs += 1;
      if (step.goes) totals.bytes += step.bytes;
      yield step;
    }
    await nextTurn();
  }
  const ms = Math.round(deps.clock.monotonic() - started);
  if (last !== undefined) {
    const { blobs, bytes } = totals;
    deps.report({ kind: 'evicted', why: 'asked', at: deps.clock.now(), blobs, bytes, idleMs: last.idleMs, ms });
  }
  yield { kind: 'done', dryRun, ms, ...totals };
}

type BlobStep = Extract<EvictStep, { kind: 'blob' }> & { readonly evicted?: Evicted };

async function* removeBytes(
  deps: EvictImagesDeps,
  digests: readonly Digest[],
  { released, dryRun }: { readonly released: ReadonlyMap<Digest, ReadonlySet<string>>; readonly dryRun: boolean },
): AsyncGenerator<BlobStep> {
  for (let at = 0; at < digests.length; at += PAGE) {
    const going: Candidate[] = [];
    for (const digest of digests.slice(at, at + PAGE)) {
      const candidate = await candidateOf(deps, digest);
      if (candidate === undefined) continue;
      const why = await whyNeeded(deps, digest, released.get(digest) ?? new Set());
      if (why === undefined) going.push(candidate);
      else yield { kind: 'blob', digest, bytes: candidate.place.size, goes: false, why };
    }
    if (dryRun) for (const { place } of going) yield { kind: 'blob', digest: place.digest, bytes: place.size, goes: true };
    // A turn for each batch, so that nobody who waits for room waits for all of them.
    else
      for (const evicted of await withTurn('evict', deps, (turn) => remove(deps, going, turn), PATIENCE))
        yield { kind: 'blob', digest: evicted.digest, bytes: evicted.bytes, goes: true, evicted };
  }
}

/** `undefined` where its bytes are not held. */
async function candidateOf(deps: EvictImagesDeps, digest: Digest): Promise<Candidate | undefined> {
  const [entry, blob] = await Promise.all([deps.records.inventory.entry(digest), deps.records.blob(digest)]);
  const size = entry?.size ?? (blob?.state === 'held' ? blob.size : undefined);
  if (size === undefined) return undefined;
  const position = entry?.position ?? 0;
  return { place: { digest, size, position }, used: Math.max(position, await lastUseOf(deps, digest)) };
}

async function whyNeeded(
  { records }: EvictImagesDeps,
  digest: Digest,
  released: ReadonlySet<string>,
): Promise<string | undefined> {
  if (await records.isHosted(digest)) return 'it was pushed here';
  for await (const repository of allHolders(records, digest)) {
    if (!released.has(repository) && (await records.link(repository, digest)) !== undefined)
      return `${repository} holds it too`;
  }
  return undefined;
}
