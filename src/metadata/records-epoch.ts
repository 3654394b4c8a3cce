import { epochForm } from './forms.ts';
import { EPOCH_KEY, LAYOUT_SLOT } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { Records } from './records.ts';
import { untilMade, type Table } from './table.ts';

/** Which store this is, of all that may stand in its place. */
export function createEpoch(table: Table): Pick<Records, 'epoch' | 'claimEpoch'> {
  return {
    epoch: () => andThen(table.get(LAYOUT_SLOT, EPOCH_KEY, epochForm), (record) => record?.epoch),
    claimEpoch: (epoch) =>
      untilMade(async () => {
        const { bytes, record } = await table.getStored(LAYOUT_SLOT, EPOCH_KEY, epochForm);
        if (record !== undefined) return record.epoch;
        const change = { key: EPOCH_KEY, value: epochForm.encode({ epoch }) };
        return (await table.store.commit(LAYOUT_SLOT, [change], [{ key: EPOCH_KEY, value: bytes }])) ? epoch : undefined;
      }),
  };
}
