import type { Clock } from '../system/clock.ts';
import type { Digest } from '../oci/digest.ts';
import { leaseForm } from './forms.ts';
import { LEASE_KEY, digestSlot } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { LeaseRecord, Records } from './records.ts';
import { untilMade, type Stored, type Table } from './table.ts';

type Leases = Pick<Records, 'takeLease' | 'lease' | 'renewLease' | 'dropLease'>;

/** Leases by conditional commit. A dropped one stays as a record without holder, because its fence must not start again. */
export function createLeases(table: Table, clock: Clock): Leases {
  const { store } = table;
  const read = (digest: Digest): ReturnType<typeof table.getStored<LeaseRecord>> =>
    table.getStored(digestSlot(digest), LEASE_KEY, leaseForm);
  const replace = (digest: Digest, before: Stored<LeaseRecord>, next: LeaseRecord): Promise<boolean> =>
    store.commit(
      digestSlot(digest),
      [{ key: LEASE_KEY, value: leaseForm.encode(next) }],
      [{ key: LEASE_KEY, value: before.bytes }],
    );

  /** Of a record that cannot be read nothing is known but that it is older than now: go on above any count so far. */
  const fenceAfter = ({ bytes, record }: Stored<LeaseRecord>): number =>
    record !== undefined ? record.fence + 1 : bytes === undefined ? 1 : clock.now();

  /** False when the lease is another's by now. A renewal that crosses another of the same holder is tried again. */
  const replaceOwn = (digest: Digest, lease: LeaseRecord, next: LeaseRecord): Promise<boolean> =>
    untilMade(async () => {
      const before = await read(digest);
      if (before.record?.holder !== lease.holder || before.record.fence !== lease.fence) return false;
      return (await replace(digest, before, next)) || undefined;
    });

  return {
    takeLease: (digest, holder, now, until) =>
      untilMade(async () => {
        const before = await read(digest);
        const current = before.record;
        if (current !== undefined && current.holder !== NOBODY && current.until > now) return { taken: false, lease: current };
        const lease = { holder, fence: fenceAfter(before), until };
        return (await replace(digest, before, lease)) ? { taken: true, lease } : undefined;
      }),
    lease: (digest) => andThen(read(digest), ({ record }) => (record?.holder === NOBODY ? undefined : record)),
    renewLease: (digest, { holder, fence }, next) =>
      replaceOwn(digest, { holder, fence, until: 0 }, { ...next, holder, fence }),
    dropLease: (digest, lease) => replaceOwn(digest, lease, { holder: NOBODY, fence: lease.fence, until: 0 }),
  };
}

const NOBODY = '';
