import type { Clock } from '../system/clock.ts';
import { leaseForm } from './forms.ts';
import { LEASE_KEY, digestSlot, fillLeaseKey } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { Key, MaybePromise } from './metadata-store.ts';
import type { FillKey, LeaseRecord, Records } from './records.ts';
import { untilMade, type Stored, type Table } from './table.ts';

type Leases = Pick<Records, 'takeLease' | 'lease' | 'renewLease' | 'dropLease'>;

/** The right to fill a digest, in one registry. */
export function createLeases(table: Table, clock: Clock): Leases {
  return createLeasesAt<FillKey>(table, clock, ({ registry, digest }) => ({
    slot: digestSlot(digest),
    key: fillLeaseKey(registry),
  }));
}

/** The right to do something alone, held by one process for a time; {@link Records.takeLease} and the others say what each does. */
export interface LeasesOf<Thing> {
  takeLease(thing: Thing, holder: string, now: number, until: number): Promise<{ taken: boolean; lease: LeaseRecord }>;
  lease(thing: Thing): MaybePromise<LeaseRecord | undefined>;
  renewLease(thing: Thing, lease: LeaseRecord, next: Omit<LeaseRecord, 'holder' | 'fence'>): Promise<boolean>;
  dropLease(thing: Thing, lease: LeaseRecord): Promise<boolean>;
}

/** Leases by conditional commit. A dropped one stays as a record without holder, because its fence must not start again. */
export function createLeasesOf<Thing>(table: Table, clock: Clock, slotOf: (thing: Thing) => string): LeasesOf<Thing> {
  return createLeasesAt<Thing>(table, clock, (thing) => ({ slot: slotOf(thing), key: LEASE_KEY }));
}

function createLeasesAt<Thing>(
  table: Table,
  clock: Clock,
  placeOf: (thing: Thing) => { readonly slot: string; readonly key: Key },
): LeasesOf<Thing> {
  const { store } = table;
  const read = (thing: Thing): ReturnType<typeof table.getStored<LeaseRecord>> => {
    const { slot, key } = placeOf(thing);
    return table.getStored(slot, key, leaseForm);
  };
  const replace = (thing: Thing, before: Stored<LeaseRecord>, next: LeaseRecord): Promise<boolean> => {
    const { slot, key } = placeOf(thing);
    return store.commit(slot, [{ key, value: leaseForm.encode(next) }], [{ key, value: before.bytes }]);
  };

  /** Of a record that cannot be read nothing is known but that it is older than now: go on above any count so far. */
  const fenceAfter = ({ bytes, record }: Stored<LeaseRecord>): number =>
    record !== undefined ? record.fence + 1 : bytes === undefined ? 1 : clock.now();

  /** False when the lease is another's by now. A renewal that crosses another of the same holder is tried again. */
  const replaceOwn = (thing: Thing, lease: LeaseRecord, next: LeaseRecord): Promise<boolean> =>
    untilMade(async () => {
      const before = await read(thing);
      if (before.record?.holder !== lease.holder || before.record.fence !== lease.fence) return false;
      return (await replace(thing, before, next)) || undefined;
    });

  return {
    takeLease: (thing, holder, now, until) =>
      untilMade(async () => {
        const before = await read(thing);
        const current = before.record;
        if (current !== undefined && current.holder !== NOBODY && current.until > now) return { taken: false, lease: current };
        const lease = { holder, fence: fenceAfter(before), until };
        return (await replace(thing, before, lease)) ? { taken: true, lease } : undefined;
      }),
    lease: (thing) => andThen(read(thing), ({ record }) => (record?.holder === NOBODY ? undefined : record)),
    renewLease: (thing, { holder, fence }, next) => replaceOwn(thing, { holder, fence, until: 0 }, { ...next, holder, fence }),
    dropLease: (thing, lease) => replaceOwn(thing, lease, { holder: NOBODY, fence: lease.fence, until: 0 }),
  };
}

const NOBODY = '';
