import type { FillRecords } from './job.ts';
import { ALONE_LEASES } from './lease.ts';
import type { FillsDeps } from './types.ts';
import { Fills } from '../fills.ts';
import type { Digest } from '../../oci/digest.ts';
import type { Provenance } from '../store.ts';

/**
 * Fills while the metadata cannot be asked: one per digest and registry in this process, as ever. What they fetch stays on the disk,
 * where it is found again once an upstream has said whose it is; nothing waits for a store that does not answer.
 */
export function createUnrecordedFills({ kept, ...deps }: UnrecordedDeps): Fills {
  return new Fills({
    ...deps,
    records: FORGETFUL,
    leases: ALONE_LEASES,
    async keep({ part }, digest, _size, provenance) {
      await part.publish(digest);
      kept(digest, provenance);
    },
  });
}

export interface UnrecordedDeps extends Omit<FillsDeps, 'records' | 'leases' | 'keep'> {
  /** It lies on the disk now, and no record says so. */
  readonly kept: (digest: Digest, provenance: Provenance) => void;
}

const FORGETFUL: FillRecords = {
  part: () => undefined,
  putPart: () => Promise.resolve(),
  dropPart: () => Promise.resolve(),
  lease: () => undefined,
  blob: () => undefined,
  link: () => undefined,
};
