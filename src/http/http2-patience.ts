import type { EdgeClock } from './ports.ts';

/** So many in a window; the frames of an honest client are a few. */
const WINDOW_MS = 60_000;
const NUISANCES_MAX = 500;

/**
 * Counts what costs us work and its sender nothing: streams that are reset before they were answered (CVE-2023-44487),
 * pings and settings that must be acknowledged (CVE-2019-9512, CVE-2019-9515). `true`: that was one too many.
 */
export type Patience = () => boolean;

export function createPatience(clock: EdgeClock): Patience {
  let since = clock.monotonic();
  let count = 0;
  return () => {
    if (clock.monotonic() - since >= WINDOW_MS) {
      since = clock.monotonic();
      count = 0;
    }
    count += 1;
    return count > NUISANCES_MAX;
  };
}
