import type { BlobStore } from '../blobs/blob-store.ts';
import type { Clock } from '../system/clock.ts';

/** How long damaged bytes are kept, for whoever wants to know what happened to them. */
export const QUARANTINE_MS = 7 * 24 * 3_600_000;

/** Together; the oldest go first. */
export const QUARANTINE_BYTES_MAX = 1024 * 1024 * 1024;

export interface QuarantineDeps {
  readonly clock: Clock;
  readonly blobs: Pick<BlobStore, 'quarantined' | 'removeQuarantined'>;
}

/** Removes what is too old, or too much; yields how many went. */
export async function ageQuarantine({ clock, blobs }: QuarantineDeps): Promise<number> {
  const found = await blobs.quarantined();
  let bytes = found.reduce((sum, { size }) => sum + size, 0);
  let removed = 0;
  for (const { name, size, at } of found) {
    if (clock.now() - at < QUARANTINE_MS && bytes <= QUARANTINE_BYTES_MAX) continue;
    if (await blobs.removeQuarantined(name)) removed += 1;
    bytes -= size;
  }
  return removed;
}
