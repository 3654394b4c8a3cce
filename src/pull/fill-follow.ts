import type { BlobStore, Part } from '../blobs/blob-store.ts';
import type { LeaseRecord, Records } from '../metadata/records.ts';
import { randomId, type Random } from '../system/random.ts';
import { sleep, type Clock } from '../system/clock.ts';
import { TELL_MS } from './fill-lease.ts';
import type { Growing } from './growing.ts';

interface FollowDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly blobs: BlobStore;
  readonly records: Records;
}

/**
 * Follows the fill of another process that shares our disk: reads its part up to the frontier that it tells, never up to
 * the file's size. True when that one finished; false when it is gone or failed, and `growing` may be led from here (its
 * bytes so far then stand in a part of our own, since a stopped leader may wake up and write).
 */
export async function followFill(
  deps: FollowDeps,
  growing: Growing,
  signal: AbortSignal,
  onContent: () => void,
): Promise<boolean> {
  try {
    for (;;) {
      const lease = await deps.records.lease(growing.digest);
      if (lease === undefined) return await conclude(deps, growing);
      if (lease.until < deps.clock.now()) return await takeOver(deps, growing);
      if (await adopt(deps, growing, lease)) onContent();
      await sleep(deps.clock, TELL_MS, signal);
    }
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}

/** Takes over what the leader tells. True once there is something to say to a client. */
async function adopt(deps: FollowDeps, growing: Growing, lease: LeaseRecord): Promise<boolean> {
  if (lease.part === undefined) return false;
  if (growing.part?.id !== lease.part) {
    if (growing.part !== undefined) growing.restart();
    growing.part = await deps.blobs.part(lease.part, true);
  }
  growing.size ??= lease.size;
  const frontier = lease.frontier ?? 0;
  if (frontier > growing.frontier) {
    growing.written = frontier;
    growing.frontier = frontier;
    growing.wake();
  }
  return frontier > 0;
}

/** The lease is gone: the blob is held now, or its leader failed. */
async function conclude(deps: FollowDeps, growing: Growing): Promise<boolean> {
  const blob = await deps.records.blob(growing.digest);
  const held = blob === undefined ? undefined : await deps.blobs.open(growing.digest);
  if (blob === undefined || held === undefined) return takeOver(deps, growing);
  growing.part?.release();
  growing.part = heldAsPart(held);
  growing.written = held.size;
  growing.verified();
  return true;
}

/** What was told so far is copied into a part of our own, and trusted no further than it was told. */
async function takeOver(deps: FollowDeps, growing: Growing): Promise<boolean> {
  const { part: theirs, frontier } = growing;
  if (theirs === undefined || frontier === 0) {
    theirs?.release();
    growing.part = undefined;
    return false;
  }
  const ours = await deps.blobs.part(randomId(deps.random), false);
  await copy(theirs, ours, frontier);
  await ours.sync();
  const { digest, generation, size } = growing;
  await deps.records.putPart(digest, { id: ours.id, generation, synced: frontier, size, at: deps.clock.now() });
  theirs.release();
  ours.release();
  growing.part = undefined;
  return false;
}

async function copy(from: Part, to: Part, bytes: number): Promise<void> {
  const chunk = new Uint8Array(Math.min(1024 * 1024, bytes));
  for (let position = 0; position < bytes;) {
    const count = await from.read(chunk.subarray(0, Math.min(chunk.byteLength, bytes - position)), position);
    if (count === 0) throw new Error(`the part ${from.id} is shorter than the frontier that was told`);
    await to.write(chunk.subarray(0, count), position);
    position += count;
  }
}

/** A held blob in the place of the part that it was, for the readers that go on. */
function heldAsPart(held: {
  readonly size: number;
  read(into: Uint8Array, position: number): Promise<number>;
  close(): void;
}): Part {
  let users = 1;
  const refuse = (): Promise<never> => Promise.reject(new Error('a held blob is not written to'));
  return {
    id: '',
    resumedSize: held.size,
    read: (into, position) => held.read(into, position),
    write: refuse,
    truncate: refuse,
    sync: refuse,
    publish: refuse,
    discard: refuse,
    retain: () => (users += 1),
    release() {
      users -= 1;
      if (users === 0) held.close();
    },
  };
}
