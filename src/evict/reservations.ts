import type { BlobStore } from '../blobs/blob-store.ts';
import type { Records } from '../metadata/records.ts';
import type { Clock } from '../system/clock.ts';

/** A part that nobody has written to for so long is not being filled, by whichever process. */
const IDLE_MS = 3600_000;

const PAGE = 500;

export interface ReservationsDeps {
  readonly clock: Clock;
  readonly blobs: Pick<BlobStore, 'parts'>;
  readonly records: Pick<Records, 'inventory'>;
}

/**
 * Gives back what a process that died had set aside: all of it where the part is gone, else what it does not fill. The part
 * stands before anything is set aside for it, so one that is not there is nobody's.
 */
export async function settleReservations({ clock, blobs, records: { inventory } }: ReservationsDeps): Promise<void> {
  for (let after: string | undefined; ;) {
    const page = await inventory.reservations(after, PAGE);
    if (page.length === 0) return;
    const parts = new Map((await blobs.parts()).map((part) => [part.id, part]));
    for (const { part, bytes } of page) {
      const found = parts.get(part);
      if (found === undefined) await inventory.reserve(part, 0);
      else if (clock.now() - found.modified > IDLE_MS && bytes > found.size) await inventory.reserve(part, found.size);
    }
    after = page.at(-1)?.part;
  }
}
