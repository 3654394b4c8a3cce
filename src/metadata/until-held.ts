import type { Digest } from '../oci/digest.ts';
import { sleep, type Clock } from '../system/clock.ts';
import type { LinkRecord, Records } from './records.ts';

/** A removal takes a moment: of one file, or of a few. */
const LOOK_MS = 50;
const LOOKS_MAX = 100;

/**
 * Holds a digest whose bytes are about to be published, so that no collection takes them before they are linked. Where it is
 * just being removed, waits for the end of that; false where there is none in sight.
 */
export async function untilHeld(
  { clock, records }: { readonly clock: Clock; readonly records: Pick<Records, 'hold'> },
  repository: string,
  digest: Digest,
  hold: Pick<LinkRecord, 'kind' | 'by'>,
): Promise<boolean> {
  for (let look = 0; !(await records.hold(repository, digest, hold)); look += 1) {
    if (look === LOOKS_MAX) return false;
    await sleep(clock, LOOK_MS);
  }
  return true;
}
