import type { BlobStore } from '../blobs/blob-store.ts';
import { allUploads, type Records } from '../metadata/records.ts';
import type { Clock } from '../system/clock.ts';
import { paged } from '../system/paged.ts';

/** A part that nobody has written to for so long is not being filled, by whichever process. */
const IDLE_MS = 3600_000;

/** Longer than a fill that runs waits for its upstreams between two writes. */
const LEFT_MS = 30_000;

export interface ReservationsDeps {
  readonly clock: Clock;
  readonly blobs: Pick<BlobStore, 'parts' | 'removePart'>;
  readonly records: Pick<Records, 'inventory' | 'uploads'>;
}

/** Brings what is set aside for parts, and what they hold, into line after a process died. */
export async function settleReservations(deps: ReservationsDeps): Promise<void> {
  await giveBack(deps);
  await countLeft(deps);
}

/**
 * All of it where the part is gone, else what it does not fill. The part stands before anything is set aside for it, so one
 * that is not there is nobody's.
 */
async function giveBack({ clock, blobs, records: { inventory } }: ReservationsDeps): Promise<void> {
  const reservations = await reservationsOf(inventory);
  if (reservations.size === 0) return;
  const parts = new Map((await blobs.parts()).map((part) => [part.id, part]));
  for (const [part, bytes] of reservations) {
    const found = parts.get(part);
    if (found === undefined) await inventory.reserve(part, 0);
    else if (clock.now() - found.modified > IDLE_MS && bytes > found.size) await inventory.reserve(part, found.size);
  }
}

/**
 * Where nothing that is held may go any more: drops parts that wait to be gone on with, the oldest first, until the excess is
 * gone. What they held is fetched again one day. Yields the bytes that came back.
 */
export async function giveUpParts({ clock, blobs, records: { inventory } }: ReservationsDeps, excess: number): Promise<number> {
  const reservations = await reservationsOf(inventory);
  const left = (await blobs.parts()).filter(({ modified }) => clock.now() - modified > LEFT_MS);
  let freed = 0;
  for (const { id: part } of left.sort((a, b) => a.modified - b.modified)) {
    if (freed >= excess) break;
    const bytes = reservations.get(part) ?? 0;
    // What has nothing set aside for it is an upload's, and one that is open here is being filled.
    if (bytes === 0 || !(await blobs.removePart(part))) continue;
    await inventory.reserve(part, 0);
    freed += bytes;
  }
  return freed;
}

/**
 * A part that was about to be published stands in the inventory as what it would have become, which may be evicted or filled
 * again while the part is still there: from then on it counts by itself, until it is gone on with or swept.
 */
async function countLeft({ clock, blobs, records }: ReservationsDeps): Promise<void> {
  const idle = (await blobs.parts()).filter(({ modified }) => clock.now() - modified > IDLE_MS);
  if (idle.length === 0) return;
  const known = await ownParts(records);
  for (const { id, size } of idle) if (!known.has(id)) await records.inventory.reserve(id, size);
}

export interface PartialDeps {
  readonly blobs: Pick<BlobStore, 'parts'>;
  readonly records: ReservationsDeps['records'];
}

/** Bytes on disk of each part that stands nowhere else: one that is about to be published is in the inventory already. */
export async function partialSizes({ blobs, records }: PartialDeps): Promise<readonly number[]> {
  // In this order, so that what is entered meanwhile is not told twice.
  const own = await ownParts(records);
  return (await blobs.parts()).filter(({ id }) => own.has(id)).map(({ size }) => size);
}

/** What something is set aside for, and what is being pushed. */
async function ownParts(records: ReservationsDeps['records']): Promise<ReadonlySet<string>> {
  return new Set([...(await reservationsOf(records.inventory)).keys(), ...(await uploadParts(records))]);
}

/** By part, what is set aside for it: as many as there are parts, which are few. */
async function reservationsOf(inventory: Records['inventory']): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  const reservations = paged(
    (after: string | undefined, limit) => inventory.reservations(after, limit),
    ({ part }) => part,
  );
  for await (const { part, bytes } of reservations) found.set(part, bytes);
  return found;
}

/** The parts of what is being pushed, which has no limit here, and is purged by an age of its own. */
export async function uploadParts(records: Pick<Records, 'uploads'>): Promise<readonly string[]> {
  const parts: string[] = [];
  for await (const { record } of allUploads(records)) if (record !== undefined) parts.push(record.part);
  return parts;
}
