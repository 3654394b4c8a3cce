import type { LinkRecord, Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { sleep, type Clock } from '../system/clock.ts';

export interface HoldDeps {
  readonly clock: Clock;
  readonly records: Pick<Records, 'hold'>;
}

/** A removal takes a moment: of one file, or of a few. */
const LOOK_MS = 50;
const LOOKS_MAX = 100;

/**
 * Holds a digest whose bytes are about to be published, so that no collection takes them before they are linked. Where it is
 * just being removed, waits for the end of that. Rejects where there is none in sight: nothing is kept then.
 */
export async function holdDigest(
  { clock, records }: HoldDeps,
  repository: string,
  digest: Digest,
  kind: LinkRecord['kind'],
): Promise<void> {
  for (let look = 0; !(await records.hold(repository, digest, { kind, by: 'upstream' })); look += 1) {
    if (look === LOOKS_MAX) throw new Error(`${digest} is being removed just now, and cannot be kept`);
    await sleep(clock, LOOK_MS);
  }
}
