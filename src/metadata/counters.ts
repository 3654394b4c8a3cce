import { counterForm } from './forms.ts';
import { andThen } from './maybe-promise.ts';
import type { Change, Condition, Key, MaybePromise } from './metadata-store.ts';
import type { Table } from './table.ts';

/** A counter as it stands, and the step that counts on from there: in one commit they make everything read since exact. */
export interface Counter {
  readonly next: number;
  readonly condition: Condition;
  readonly change: Change;
}

/**
 * To be read before anything else that a commit depends on. Throws at once where the store does, as every read: one that
 * rejected beside others which throw would be left alone by whoever waits for all of them.
 */
export function readCounter(table: Table, slot: string, key: Key): MaybePromise<Counter> {
  return andThen(table.getStored(slot, key, counterForm), ({ bytes, record }) => {
    const next = (record?.count ?? 0) + 1;
    return { next, condition: { key, value: bytes }, change: { key, value: counterForm.encode({ count: next }) } };
  });
}
