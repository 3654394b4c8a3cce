import type { Digest } from '../oci/digest.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { Judge } from './judge.ts';

/** `digests.allow`: only those manifests, and what they name. */
export function createDigests(allow: readonly Digest[]): Judge {
  const listed = new Set(allow);
  return {
    name: 'digests',
    fingerprint: fingerprintOf('digests', ...[...listed].toSorted()),
    covers: 'children',
    onError: 'refuse',
    judge: ({ digest }) =>
      Promise.resolve(
        listed.has(digest)
          ? { kind: 'admitted', reason: 'it is on the list of what is let in' }
          : { kind: 'refused', reason: 'it is not on the list of what is let in (digests.allow)' },
      ),
  };
}
