import { counterForm } from './forms.ts';
import type { Change, Condition, Key } from './metadata-store.ts';
import type { Table } from './table.ts';

/** A counter as it stands, and the step that counts on from there: in one commit they make everything read since exact. */
export interface Counter {
  readonly next: number;
  readonly condition: Condition;
  readonly change: Change;
}

/** To be read before anything else that a commit depends on. */
export async function readCounter(table: Table, slot: string, key: Key): Promise<Counter> {
  const { bytes, record } = await table.getStored(slot, key, counterForm);
  const next = (record?.count ?? 0) + 1;
  return { next, condition: { key, value: bytes }, change: { key, value: counterForm.encode({ count: next }) } };
}
