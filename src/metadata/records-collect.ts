import type { Clock } from '../system/clock.ts';
import { readCounter } from './counters.ts';
import { blobForm, hostedForm } from './forms.ts';
import type { HostedRecords } from './hosted.ts';
import { BLOB_KEY, HOLDS_KEY, HOSTED_SLOT, USE_KEY, digestSlot, hostedKey } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { Holders } from './records-holders.ts';
import { untilMade, type Table } from './table.ts';

type Collect = Pick<HostedRecords, 'hostedDigests' | 'markDeleting' | 'forget'>;

/** The end of a digest: marked, its bytes removed by the caller, forgotten. */
export function createCollect(table: Table, clock: Clock, holders: Holders): Collect {
  const { store } = table;
  return {
    hostedDigests: (after, limit) =>
      andThen(table.list(HOSTED_SLOT, 'digests', after, limit, hostedForm), (page) => page.map(({ record }) => record.digest)),
    async markDeleting(digest, before) {
      const slot = digestSlot(digest);
      const holds = await readCounter(table, slot, HOLDS_KEY);
      const blob = await table.getStored(slot, BLOB_KEY, blobForm);
      if (!blobForm.same(blob.record, before) || (before !== undefined && before.state !== 'held')) return false;
      if ((await store.list(slot, 'holders', undefined, 1)).length > 0) return false;
      await holders.enlist(digest); // Listed first, so that a crash cannot leave it marked and unseen.
      const value = blobForm.encode({ size: 0, public: false, at: clock.now(), ...before, state: 'deleting' });
      return store.commit(slot, [{ key: BLOB_KEY, value }], [holds.condition, { key: BLOB_KEY, value: blob.bytes }]);
    },
    async forget(digest) {
      const slot = digestSlot(digest);
      const forgotten = await untilMade(async () => {
        const { bytes, record } = await table.getStored(slot, BLOB_KEY, blobForm);
        if (record?.state !== 'deleting') return false;
        const changes = [BLOB_KEY, HOLDS_KEY, USE_KEY].map((key) => ({ key, value: undefined }));
        return (await store.commit(slot, changes, [{ key: BLOB_KEY, value: bytes }])) || undefined;
      });
      if (!forgotten) return false;
      await store.commit(HOSTED_SLOT, [{ key: hostedKey(digest), value: undefined }]);
      // A push that held it again in between may have found it still listed.
      if ((await store.get(slot, HOLDS_KEY)) !== undefined) await holders.enlist(digest);
      return true;
    },
  };
}
