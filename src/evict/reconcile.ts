import type { BlobStore, HeldFile } from '../blobs/blob-store.ts';
import { allHolders, type InventoryPlace, type Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import type { Clock } from '../system/clock.ts';
import { oldestFirst } from './evict.ts';
import { takeTurn, type Turn, type TurnDeps } from './turn.ts';

/** What is younger may be on its way: bytes come first, what refers to them next. */
export const YOUNG_MS = 3_600_000;

export interface ReconcileDeps {
  readonly clock: Clock;
  readonly blobs: Pick<BlobStore, 'look' | 'remove'>;
  /** The cache has turned out to hold more than was counted: the limits are to be looked at. */
  readonly onEntered: () => void;
  readonly records: Pick<
    Records,
    | 'blob'
    | 'holders'
    | 'link'
    | 'isHosted'
    | 'dropBlob'
    | 'beginEviction'
    | 'endEviction'
    | 'flushed'
    | 'inventory'
    | 'lastUse'
  >;
}

/**
 * Whether nothing leads to a held file: no record, no repository, no push. A crash between publish and commit leaves such
 * (reliability.md, R43); they are harmless, but nobody else would ever remove them.
 */
export async function isOrphan({ clock, records }: ReconcileDeps, digest: Digest, file: HeldFile): Promise<boolean> {
  if (clock.now() - file.changed < YOUNG_MS) return false;
  const blob = await records.blob(digest);
  if (blob !== undefined && (blob.state === 'held' || clock.now() - blob.at < YOUNG_MS)) return false;
  if (await records.isHosted(digest)) return false;
  return !(await isHeldAnywhere(records, digest));
}

async function isHeldAnywhere(records: ReconcileDeps['records'], digest: Digest): Promise<boolean> {
  for await (const repository of allHolders(records, digest))
    if ((await records.link(repository, digest)) !== undefined) return true;
  return false;
}

/**
 * As an eviction goes, and in its turn: noted and marked first, so that nobody takes it for held meanwhile, and a crash in
 * between is ended by whoever evicts next. False where somebody pushed it just now, or another evicts: the next round looks.
 */
export async function removeOrphan(deps: ReconcileDeps & TurnDeps, digest: Digest): Promise<boolean> {
  const turn = await takeTurn('evict', deps).catch((error: unknown) => {
    if (error instanceof RegistryError) return undefined;
    throw error;
  });
  if (turn === undefined) return false;
  let ended = false;
  try {
    const removed = await removeNoted(deps, digest);
    ended = true;
    return removed;
  } finally {
    if (ended) await turn.end().catch(() => undefined); // It runs out by itself.
    else turn.leave();
  }
}

async function removeNoted({ blobs, records }: ReconcileDeps, digest: Digest): Promise<boolean> {
  await records.inventory.begin([digest]);
  const marked = await records.beginEviction(digest);
  if (marked) {
    await records.flushed();
    await blobs.remove(digest);
    await records.endEviction(digest);
  }
  await (marked ? records.inventory.end([digest]) : records.inventory.spare([digest]));
  return marked;
}

/**
 * What is held for the cache stands in its inventory: bytes that were written while that could not be asked, or just before a
 * crash, are entered. Where no use is known they are as old as their file: it was not found because somebody wants it.
 */
export async function enterMissing(deps: ReconcileDeps, digest: Digest, { size, changed }: HeldFile): Promise<void> {
  const { clock, records, onEntered } = deps;
  if ((await records.inventory.entry(digest)) !== undefined || (await records.isHosted(digest))) return;
  const position = (await records.lastUse(digest)) ?? Math.min(changed, clock.now());
  await records.inventory.enter(digest, { size, position });
  onEntered();
}

/** The other way round: what the inventory counts, and records call held, but is not on disk. Ends early by its signal, with a rejection. */
export async function leaveGone(deps: ReconcileDeps, turn: Turn, signal: AbortSignal): Promise<void> {
  for await (const page of oldestFirst(deps.records)) {
    signal.throwIfAborted();
    await turn.check();
    for (const place of page) if (await isGone(deps, place)) await dropGone(deps, place.digest);
  }
}

async function isGone({ clock, blobs }: ReconcileDeps, { digest, position }: InventoryPlace): Promise<boolean> {
  return clock.now() - position >= YOUNG_MS && (await blobs.look(digest)) === undefined;
}

async function dropGone({ clock, blobs, records }: ReconcileDeps, digest: Digest): Promise<void> {
  await records.inventory.begin([digest]);
  // Looked at again: from here on, who brings it back is seen by the end.
  if ((await blobs.look(digest)) !== undefined) return records.inventory.spare([digest]);
  await records.inventory.end([digest]);
  const blob = await records.blob(digest);
  // Pushed content keeps its record: it says that a push of the same bytes heals it.
  if (blob?.state !== 'held' || clock.now() - blob.at < YOUNG_MS || (await records.isHosted(digest))) return;
  await records.dropBlob(digest);
}
