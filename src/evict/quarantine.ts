import type { BlobStore } from '../blobs/blob-store.ts';
import type { Clock } from '../system/clock.ts';

/** How long damaged bytes are kept, for whoever wants to know what happened to them. */
export const QUARANTINE_MS = 7 * 24 * 3_600_000;

/** Together, where the cache is large; the oldest go first. */
export const QUARANTINE_BYTES_MAX = 1024 * 1024 * 1024;

/** Of a smaller cache. */
const QUARANTINE_SHARE = 0.1;

export interface QuarantineDeps {
  readonly clock: Clock;
  readonly blobs: Pick<BlobStore, 'quarantined' | 'removeQuarantined'>;
  /** What the cache may have, which quarantine is part of; `undefined`: what the disk has. */
  readonly cacheMax?: (() => number | undefined) | undefined;
}

/** Removes what is too old, or too much; yields how many went. */
export async function ageQuarantine({ clock, blobs, cacheMax }: QuarantineDeps): Promise<number> {
  const max = Math.min(QUARANTINE_BYTES_MAX, (cacheMax?.() ?? Infinity) * QUARANTINE_SHARE);
  const found = await blobs.quarantined();
  let bytes = found.reduce((sum, { size }) => sum + size, 0);
  let removed = 0;
  for (const { name, size, at } of found) {
    if (clock.now() - at < QUARANTINE_MS && bytes <= max) continue;
    if (await blobs.removeQuarantined(name)) removed += 1;
    bytes -= size;
  }
  return removed;
}
