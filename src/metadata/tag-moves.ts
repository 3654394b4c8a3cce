import { moveForm } from './forms.ts';
import { historyKey, historyStart, moveOf } from './keys.ts';
import type { Change, Condition } from './metadata-store.ts';
import type { TagMove } from './records.ts';
import type { Table } from './table.ts';

/** Moves that are remembered of one tag, for as long as the metadata are; the oldest go. */
export const MOVES_KEPT = 1000;

/**
 * What a commit has to hold besides, so that the tag's next move stands in its history; its bound is kept with it. `newest`: the
 * move before it, unless there is none that decodes.
 */
export async function nextMove(
  { store }: Table,
  slot: string,
  tag: string,
  move: TagMove,
): Promise<{ readonly changes: readonly Change[]; readonly condition: Condition; readonly newest: TagMove | undefined }> {
  const start = historyStart(tag);
  const [found] = await store.list(slot, 'history', start, 1);
  const newest = found?.id.startsWith(start) === true ? found : undefined;
  const number = newest === undefined ? 0 : moveOf(newest.id) + 1;
  const changes: Change[] = [{ key: historyKey(tag, number), value: moveForm.encode(brief(move)) }];
  if (number >= MOVES_KEPT) changes.push({ key: historyKey(tag, number - MOVES_KEPT), value: undefined });
  const condition = { key: historyKey(tag, number), value: undefined };
  return { changes, condition, newest: newest && moveForm.decode(newest.value) };
}

function brief({ asked, ...move }: TagMove): TagMove {
  return asked === undefined || asked === move.at ? move : { ...move, asked };
}

/** Whether both say the same of the tag. */
export function saysSame(one: TagMove, other: TagMove): boolean {
  return one.digest === other.digest && one.deleted === other.deleted;
}

/**
 * Whether what was asked for at `asked` is overtaken by what stands, since that was asked for later. Not by what lies ahead of the
 * clock: that was written by one that was wrong, and would stand in the way of all that comes until then (reliability.md, R34).
 */
export function isOvertaken(asked: number, stands: number, now: number): boolean {
  return asked < stands && stands <= now;
}
