import type { Digest } from '../oci/digest.ts';

/**
 * Dropping cached bytes. Marked first, so that no push takes the digest for held meanwhile (it waits, as for a collection);
 * then the bytes are removed by the caller; then what is known of them is forgotten. Links stay: they grant the next fill.
 */
export interface Evictions {
  /** It was pushed, mounted or imported at some time, and not collected since: it cannot be had again from an upstream. */
  isHosted(digest: Digest): Promise<boolean>;
  /** Marks it; also what was marked before. False where it is hosted. */
  beginEviction(digest: Digest): Promise<boolean>;
  /** False where it was not marked. */
  endEviction(digest: Digest): Promise<boolean>;
}
