import type { OpenBlob, Part } from '../../blobs/blob-store.ts';
import type { BroughtRecord, LeaseRecord } from '../../metadata/records.ts';
import { randomId } from '../../system/random.ts';
import { sleep } from '../../system/clock.ts';
import { heldAsPart, sameBytes, copyBytes } from './copy.ts';
import type { FillDeps } from './job.ts';
import { LEASE_MS, TELL_MS } from './lease.ts';
import type { Growing } from './growing.ts';

type FollowDeps = Pick<FillDeps, 'clock' | 'random' | 'blobs' | 'records'>;

/**
 * `done`: the other process finished, and what it wrote is held. `gone`: it failed or is silent, and `growing` may be led
 * from here; its bytes so far then stand in a part of our own, since a stopped leader may wake up and write.
 */
export type Followed = { readonly kind: 'done' } | { readonly kind: 'gone'; readonly silent: LeaseRecord | undefined };

/**
 * Follows the fill of another process that shares our disk: reads its part up to the frontier that it tells, never up to
 * the file's size. Whatever file is read next, nobody who had bytes of another one goes on unless they are the same.
 */
export async function followFill(
  deps: FollowDeps,
  growing: Growing,
  signal: AbortSignal,
  onContent: () => void,
): Promise<Followed> {
  const isSilent = watchSilence(deps);
  while (!signal.aborted) {
    const lease = await leaseOf(deps, growing);
    if (lease === undefined || lease.state === 'done' || lease.state === 'failed') return conclude(deps, growing, lease);
    if (isSilent(lease)) return conclude(deps, growing, lease);
    await adopt(deps, growing, lease);
    if (growing.frontier > 0) onContent();
    await sleep(deps.clock, TELL_MS, signal).catch(() => undefined); // The loop looks at the signal itself.
  }
  return { kind: 'gone', silent: undefined };
}

/** A store that cannot be asked tells as little as one that holds no lease: this process then fills alone. */
async function leaseOf({ records }: FollowDeps, growing: Growing): Promise<LeaseRecord | undefined> {
  try {
    return await records.lease(growing);
  } catch {
    return undefined;
  }
}

/** True when a lease has not been renewed for its time, by our own clock: the wall clocks of two processes may differ. */
function watchSilence({ clock }: FollowDeps): (lease: LeaseRecord) => boolean {
  let last = '';
  let since = 0;
  return ({ fence, until }) => {
    const seen = `${fence} ${until}`;
    if (seen !== last) since = clock.monotonic();
    last = seen;
    return clock.monotonic() - since > LEASE_MS;
  };
}

/** Takes over what the leader tells. A part of another leader is waited for until it has come as far as our readers. */
async function adopt(deps: FollowDeps, growing: Growing, lease: LeaseRecord): Promise<void> {
  const frontier = lease.frontier ?? 0;
  if (lease.part === undefined || frontier === 0 || frontier < growing.frontier) return;
  if (growing.part?.id !== lease.part) {
    const theirs = await openTheirs(deps, lease.part, frontier);
    if (theirs === undefined) return;
    await change(growing, theirs, lease.size);
  }
  // Of the part that is read now, and before any more of it is.
  growing.brought.told(lease.brought);
  growing.size ??= lease.size;
  if (frontier > growing.frontier) growing.follow(frontier);
}

/** `undefined` when the file is not there any more: it was published or given up since it was told. */
async function openTheirs({ blobs }: FollowDeps, id: string, frontier: number): Promise<Part | undefined> {
  const part = await blobs.part(id, true);
  if (part.resumedSize >= frontier) return part;
  await part.discard();
  part.release();
  return undefined;
}

/** Reads on in another file: as if nothing had happened where its bytes are those that were read, else from the start. */
async function change(growing: Growing, next: Part, size: number | undefined): Promise<void> {
  const { part, frontier } = growing;
  const same = part === undefined || frontier === 0 || (await sameBytes(part, next, frontier));
  if (!same) growing.restart(size);
  growing.part = next;
  part?.release();
}

/** The fill has ended: the blob is held now, or its leader failed or died. */
async function conclude(deps: FollowDeps, growing: Growing, lease: LeaseRecord | undefined): Promise<Followed> {
  const held = await heldBlob(deps, growing);
  const brought = held === undefined ? undefined : await broughtBy(deps, growing, lease);
  if (held === undefined || brought === undefined) {
    held?.close();
    return takeOver(deps, growing, lease);
  }
  const samePart = lease?.state === 'done' && lease.part !== undefined && lease.part === growing.part?.id;
  if (samePart) {
    growing.part?.release();
    growing.part = heldAsPart(held);
  } else {
    await change(growing, heldAsPart(held), held.size);
  }
  growing.brought.told(brought);
  growing.written = held.size;
  growing.verified();
  return { kind: 'done' };
}

/**
 * How what is held came. A leader that has not said that it was done need not have brought it: somebody may have pushed it meanwhile, or
 * another registry brought it. Then only what the records bear out is believed of it; `undefined`: nothing, and the fill goes on.
 */
async function broughtBy(
  { records }: FollowDeps,
  { digest, brought }: Growing,
  lease: LeaseRecord | undefined,
): Promise<BroughtRecord | undefined> {
  if (lease?.state === 'done') return lease.brought;
  const { repository } = lease?.brought ?? brought.record;
  try {
    const isPublic = (await records.blob(digest))?.public === true;
    const link = await records.link(repository, digest);
    if (!isPublic && link?.by !== 'upstream') return undefined;
    const upstream = link?.by !== 'upstream' || link.claimed === true ? undefined : link.upstream;
    return { repository, anonymous: isPublic, public: isPublic, ...(upstream === undefined ? {} : { upstream }) };
  } catch {
    return undefined; // Nobody can say.
  }
}

async function heldBlob({ blobs, records }: FollowDeps, { digest }: Growing): Promise<OpenBlob | undefined> {
  try {
    const blob = await records.blob(digest);
    const held = blob === undefined || blob.state !== 'held' ? undefined : await blobs.open(digest);
    if (held === undefined || held.size === blob?.size) return held;
    held.close();
    return undefined;
  } catch {
    return undefined; // Neither held nor absent for all we know: the chain has it.
  }
}

/** What was told so far is copied into a part of our own, and trusted no further than it was told. */
async function takeOver(deps: FollowDeps, growing: Growing, silent: LeaseRecord | undefined): Promise<Followed> {
  const { part: theirs, frontier } = growing;
  growing.written = frontier;
  if (theirs !== undefined) {
    growing.part = frontier === 0 ? undefined : await copied(deps, theirs, frontier);
    theirs.release();
  }
  return { kind: 'gone', silent };
}

async function copied({ blobs, random }: FollowDeps, theirs: Part, bytes: number): Promise<Part> {
  const ours = await blobs.part(randomId(random), false);
  try {
    await copyBytes(theirs, ours, bytes);
    return ours;
  } catch (error) {
    await ours.discard().catch(() => undefined); // The first failure is the one to tell.
    ours.release();
    throw error;
  }
}
