import type { BlobStore } from '../../blobs/blob-store.ts';
import type { Clock, Timer } from '../../system/clock.ts';
import { RECORD_FIRST_BYTES } from './writer.ts';

const SWEEP_MS = 3600_000;

/** A part that nobody has written to for so long is nobody's any more: fills that were parked are taken up sooner or never. */
const ABANDONED_MS = 24 * 3600_000;

/**
 * As long for one of which a crash leaves nothing that was recorded, and a stop little: a server that dies again and again
 * would otherwise fill the cache with such. Who fills it, in whichever process, writes sooner, or gives its upstream up.
 */
const UNRECORDED_MS = 10 * 60_000;

export interface SweepDeps {
  readonly clock: Clock;
  readonly blobs: BlobStore;
  /** Parts that are being filled, or uploaded to, whatever their age. */
  readonly running: () => Promise<readonly (string | undefined)[]> | readonly (string | undefined)[];
}

/** Drops what crashes and given-up fills left behind, now and every hour (reliability.md, R41). */
export function sweepParts(deps: SweepDeps): { start(): void; stop(): void } {
  let timer: Timer | undefined;
  let stopped = false;
  const sweep = async (): Promise<void> => {
    try {
      await sweepOnce(deps);
    } catch {
      // The disk cannot be asked now; leftovers wait for the next time.
    }
    if (!stopped) timer = deps.clock.after(SWEEP_MS, () => void sweep());
  };
  return {
    start: () => void sweep(),
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}

/** One pass; yields how many parts went. */
export async function sweepOnce({ clock, blobs, running }: SweepDeps): Promise<number> {
  const parts = await blobs.parts();
  const inUse = new Set(await running());
  let removed = 0;
  for (const { id, modified, size } of parts) {
    const limitMs = size < RECORD_FIRST_BYTES ? UNRECORDED_MS : ABANDONED_MS;
    if (inUse.has(id) || clock.now() - modified < limitMs) continue;
    if (await blobs.removePart(id)) removed += 1;
  }
  return removed;
}
