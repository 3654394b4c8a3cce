import type { FillRecords } from './job.ts';
import { ALONE_LEASES } from './lease.ts';
import type { FillsDeps } from './types.ts';
import { Fills } from '../fills.ts';

/**
 * Fills while the metadata cannot be asked: one per digest in this process, as ever. What they fetch stays on the disk,
 * where it is found again once an upstream has said whose it is; nothing waits for a store that does not answer.
 */
export function createUnrecordedFills(deps: Omit<FillsDeps, 'records' | 'leases' | 'keep'>): Fills {
  return new Fills({ ...deps, records: FORGETFUL, leases: ALONE_LEASES, keep: ({ part }, digest) => part.publish(digest) });
}

const FORGETFUL: FillRecords = {
  part: () => undefined,
  putPart: () => Promise.resolve(),
  dropPart: () => Promise.resolve(),
  lease: () => undefined,
  blob: () => undefined,
};
