import type { Digest } from '../oci/digest.ts';
import { moveForm, tagForm } from './forms.ts';
import { bounded, historyKey, historyStart, moveOf, repositorySlot, tagKey } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { Change } from './metadata-store.ts';
import type { Catalogue } from './records-catalogue.ts';
import type { Records, TagRecord } from './records.ts';
import { untilMade, type Table } from './table.ts';

/** Moves that are remembered of one tag; the oldest go. */
export const MOVES_KEPT = 1000;

type Tags = Pick<Records, 'tag' | 'putTag' | 'dropTag' | 'tags' | 'tagHistory'>;

export function createTags(table: Table, catalogue: Catalogue): Tags {
  const { store } = table;

  /** The number of the tag's newest move; -1 without any. */
  async function lastMove(slot: string, tag: string): Promise<number> {
    const start = historyStart(tag);
    const [newest] = await store.list(slot, 'history', start, 1);
    return newest?.id.startsWith(start) === true ? moveOf(newest.id) : -1;
  }

  /** Yields what stood there, in a list so that nothing is told from a commit that was not made. */
  async function tryPut(slot: string, tag: string, record: TagRecord): Promise<readonly (Digest | undefined)[] | undefined> {
    const before = await table.getStored(slot, tagKey(tag), tagForm);
    const move = before.record?.digest === record.digest ? undefined : (await lastMove(slot, tag)) + 1;
    const changes: Change[] = [{ key: tagKey(tag), value: tagForm.encode(record) }];
    const conditions = [{ key: tagKey(tag), value: before.bytes }];
    if (move !== undefined) {
      const { checked, digest, upstream } = record;
      changes.push({ key: historyKey(tag, move), value: moveForm.encode({ at: checked, digest, upstream }) });
      if (move >= MOVES_KEPT) changes.push({ key: historyKey(tag, move - MOVES_KEPT), value: undefined });
      conditions.push({ key: historyKey(tag, move), value: undefined });
    }
    return (await store.commit(slot, changes, conditions)) ? [before.record?.digest] : undefined;
  }

  return {
    tag: (repository, tag) => table.get(repositorySlot(repository), tagKey(tag), tagForm),
    async putTag(repository, tag, record) {
      await catalogue.enlist(repository);
      const [before] = await untilMade(() => tryPut(repositorySlot(repository), tag, record));
      await catalogue.enlist(repository);
      return before;
    },
    async dropTag(repository, tag) {
      const slot = repositorySlot(repository);
      const dropped = await untilMade(async () => {
        const value = await store.get(slot, tagKey(tag));
        if (value === undefined) return false;
        const made = await store.commit(slot, [{ key: tagKey(tag), value: undefined }], [{ key: tagKey(tag), value }]);
        return made || undefined;
      });
      if (dropped) await catalogue.delistIfEmpty(repository);
      return dropped;
    },
    tags(repository, after, limit) {
      const found = table.list(repositorySlot(repository), 'tags', after && bounded(after), limit, tagForm);
      return andThen(found, (entries) => entries.map(({ id, record }) => ({ tag: id, record })));
    },
    tagHistory(repository, tag, limit) {
      const start = historyStart(tag);
      const found = table.list(repositorySlot(repository), 'history', start, limit, moveForm);
      return andThen(found, (entries) => entries.filter(({ id }) => id.startsWith(start)).map(({ record }) => record));
    },
  };
}
