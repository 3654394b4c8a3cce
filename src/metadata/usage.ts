import { linkForm, hostedBytesForm } from './forms.ts';
import { HOSTED_BYTES_KEY } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { Change, Condition, MaybePromise } from './metadata-store.ts';
import { isHosted } from './hosted.ts';
import type { LinkRecord } from './records.ts';
import type { Stored, Table } from './table.ts';

/** A link as it stands, and as a commit leaves it. */
export interface LinkChange {
  readonly before: Stored<LinkRecord>;
  readonly after: LinkRecord | undefined;
}

/**
 * What a commit on a repository's links adds to it, so that the bytes hosted there are always the sum over its links that no
 * upstream granted: of each digest once. Nothing where that sum stays as it is. Every commit that changes it stands on the
 * record as it was read, so that none can overlook another; where there is none that can be read, the links are counted.
 */
export async function countUsage(
  table: Table,
  slot: string,
  links: readonly LinkChange[],
): Promise<{ readonly changes: readonly Change[]; readonly conditions: readonly Condition[] }> {
  const added = links.reduce((sum, { before, after }) => sum + sizeOf(after) - sizeOf(before.record), 0);
  const unreadable = links.some(({ before: { bytes, record } }) => bytes !== undefined && record === undefined);
  if (added === 0 && !unreadable) return { changes: [], conditions: [] };
  const { bytes, record } = await table.getStored(slot, HOSTED_BYTES_KEY, hostedBytesForm);
  const before = record === undefined || unreadable ? await sumOf(table, slot) : record.bytes;
  const value = hostedBytesForm.encode({ bytes: Math.max(0, before + added) });
  return { changes: [{ key: HOSTED_BYTES_KEY, value }], conditions: [{ key: HOSTED_BYTES_KEY, value: bytes }] };
}

/** Bytes hosted in a repository. */
export function usageOf(table: Table, slot: string): MaybePromise<number> {
  return andThen(table.get(slot, HOSTED_BYTES_KEY, hostedBytesForm), (record) => record?.bytes ?? sumOf(table, slot));
}

async function sumOf(table: Table, slot: string): Promise<number> {
  let sum = 0;
  for await (const { record } of table.all(slot, 'links', linkForm)) sum += sizeOf(record);
  return sum;
}

function sizeOf(link: LinkRecord | undefined): number {
  return link !== undefined && isHosted(link) ? link.size : 0;
}
