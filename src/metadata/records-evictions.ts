import type { Clock } from '../system/clock.ts';
import { readCounter } from './counters.ts';
import { blobForm } from './forms.ts';
import type { Evictions } from './evictions.ts';
import { BLOB_KEY, HOLDS_KEY, HOSTED_SLOT, USE_KEY, digestSlot, hostedKey } from './keys.ts';
import { untilMade, type Table } from './table.ts';

/** The end of a digest's bytes, whose links stay. */
export function createEvictions(table: Table, clock: Clock): Evictions {
  const { store } = table;
  return {
    isHosted: async (digest) => (await store.get(HOSTED_SLOT, hostedKey(digest))) !== undefined,
    beginEviction(digest) {
      const slot = digestSlot(digest);
      return untilMade(async () => {
        // Whoever pushes lists the digest first and counts its holds then: one of the two is seen here.
        const holds = await readCounter(table, slot, HOLDS_KEY);
        if ((await store.get(HOSTED_SLOT, hostedKey(digest))) !== undefined) return false;
        const { bytes, record } = await table.getStored(slot, BLOB_KEY, blobForm);
        if (record?.state === 'evicting') return true;
        if (record?.state === 'deleting') return false;
        const value = blobForm.encode({ size: 0, public: false, at: clock.now(), ...record, state: 'evicting' });
        const conditions = [
          { key: HOLDS_KEY, value: holds.condition.value },
          { key: BLOB_KEY, value: bytes },
        ];
        return (await store.commit(slot, [{ key: BLOB_KEY, value }], conditions)) || undefined;
      });
    },
    endEviction(digest) {
      const slot = digestSlot(digest);
      return untilMade(async () => {
        const { bytes, record } = await table.getStored(slot, BLOB_KEY, blobForm);
        if (record?.state !== 'evicting') return false;
        const changes = [BLOB_KEY, USE_KEY].map((key) => ({ key, value: undefined }));
        return (await store.commit(slot, changes, [{ key: BLOB_KEY, value: bytes }])) || undefined;
      });
    },
  };
}
