import { moveForm } from './forms.ts';
import { historyKey, historyStart, moveOf } from './keys.ts';
import type { Change, Condition } from './metadata-store.ts';
import type { TagMove } from './records.ts';
import type { Table } from './table.ts';

/** Moves that are remembered of one tag, for as long as the metadata are; the oldest go. */
export const MOVES_KEPT = 1000;

/** What a commit has to hold besides, so that the tag's next move stands in its history; its bound is kept with it. */
export async function nextMove(
  { store }: Table,
  slot: string,
  tag: string,
  move: TagMove,
): Promise<{ readonly changes: readonly Change[]; readonly condition: Condition }> {
  const start = historyStart(tag);
  const [newest] = await store.list(slot, 'history', start, 1);
  const number = newest?.id.startsWith(start) === true ? moveOf(newest.id) + 1 : 0;
  const changes: Change[] = [{ key: historyKey(tag, number), value: moveForm.encode(move) }];
  if (number >= MOVES_KEPT) changes.push({ key: historyKey(tag, number - MOVES_KEPT), value: undefined });
  return { changes, condition: { key: historyKey(tag, number), value: undefined } };
}
