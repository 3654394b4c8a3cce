import type { Digest } from '../oci/digest.ts';
import { moveForm, releaseForm, tagForm } from './forms.ts';
import { HOSTED } from './hosted.ts';
import { OWNER_KEY, bounded, historyEnd, historyStart, releasedKey, repositorySlot, tagKey, tagOf } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { Change, MaybePromise } from './metadata-store.ts';
import type { Catalogue } from './records-catalogue.ts';
import type { Records, TagMove, TagRecord } from './records.ts';
import { untilMade, type Table } from './table.ts';
import { isOvertaken, nextMove, saysSame } from './tag-moves.ts';

type Tags = Pick<
  Records,
  'tag' | 'putTag' | 'dropTag' | 'tags' | 'tagHistory' | 'noteMove' | 'moves' | 'release' | 'putRelease'
>;

/** Moves that are read at once. */
const PAGE = 200;

/** Tags as upstreams tell them, and what stands there whoever said it. */
export function createTags(table: Table, catalogue: Catalogue): Tags {
  const { store } = table;

  /** Yields what stood there, in a list so that nothing is told from a commit that was not made. */
  async function tryPut(
    slot: string,
    tag: string,
    record: TagRecord,
    now: number,
  ): Promise<readonly (Digest | undefined)[] | undefined> {
    if ((await store.get(slot, OWNER_KEY)) !== undefined) return [record.digest];
    const before = await table.getStored(slot, tagKey(tag), tagForm);
    if (before.record !== undefined && isOvertaken(saidAt(record), saidAt(before.record), now)) return [record.digest];
    const changes: Change[] = [{ key: tagKey(tag), value: tagForm.encode(record) }];
    const conditions = [
      { key: OWNER_KEY, value: undefined },
      { key: tagKey(tag), value: before.bytes },
    ];
    if (before.record?.digest !== record.digest) {
      const { checked, digest, upstream } = record;
      const next = { at: now, asked: checked, digest, upstream };
      const move = await nextMove(table, slot, tag, next);
      if (move.newest !== undefined && !saysSame(move.newest, next) && isOutdated(next, move.newest)) return [record.digest];
      changes.push(...move.changes);
      conditions.push(move.condition);
    }
    return (await store.commit(slot, changes, conditions)) ? [before.record?.digest] : undefined;
  }

  async function tryNote(slot: string, tag: string, move: TagMove): Promise<boolean | undefined> {
    if ((await store.get(slot, OWNER_KEY)) !== undefined) return false;
    const { changes, condition, newest } = await nextMove(table, slot, tag, move);
    if (newest !== undefined && (saysSame(newest, move) || isOutdated(move, newest))) return false;
    const made = await store.commit(slot, changes, [{ key: OWNER_KEY, value: undefined }, condition]);
    return made || undefined;
  }

  function newestMoves(slot: string, tag: string, limit: number): MaybePromise<readonly TagMove[]> {
    const start = historyStart(tag);
    const found = table.list(slot, 'history', start, limit, moveForm);
    return andThen(found, (entries) => entries.filter(({ id }) => id.startsWith(start)).map(({ record }) => record));
  }

  return {
    tag: (repository, tag) => table.getAgain(repositorySlot(repository), tagKey(tag), tagForm),
    async putTag(repository, tag, record, now = record.checked) {
      await catalogue.enlist(repository);
      const [before] = await untilMade(() => tryPut(repositorySlot(repository), tag, record, now));
      await catalogue.enlist(repository);
      return before;
    },
    async dropTag(repository, tag) {
      const slot = repositorySlot(repository);
      const dropped = await untilMade(async () => {
        const { bytes, record } = await table.getStored(slot, tagKey(tag), tagForm);
        if (bytes === undefined || record?.upstream === HOSTED) return false;
        const made = await store.commit(slot, [{ key: tagKey(tag), value: undefined }], [{ key: tagKey(tag), value: bytes }]);
        return made || undefined;
      });
      if (dropped) await catalogue.delistIfEmpty(repository);
      return dropped;
    },
    tags(repository, after, limit) {
      const found = table.list(repositorySlot(repository), 'tags', after && bounded(after), limit, tagForm);
      return andThen(found, (entries) => entries.map(({ id, record }) => ({ tag: id, record })));
    },
    tagHistory: (repository, tag, limit) => newestMoves(repositorySlot(repository), tag, limit),
    noteMove: (repository, tag, move) => untilMade(() => tryNote(repositorySlot(repository), tag, move)),
    async *moves(repository, after) {
      const slot = repositorySlot(repository);
      const start = after === undefined ? undefined : historyEnd(after);
      const list = (from: string | undefined) => table.list(slot, 'history', from, PAGE, moveForm);
      for (let found = await list(start); found.length > 0; found = await list(found.at(-1)?.id))
        for (const { id, record } of found) yield { tag: tagOf(id), move: record };
    },
    release: (repository, tag) => table.get(repositorySlot(repository), releasedKey(tag), releaseForm),
    async putRelease(repository, tag, record) {
      await store.commit(repositorySlot(repository), [{ key: releasedKey(tag), value: releaseForm.encode(record) }]);
    },
  };
}

/** When that was asked which the record tells of. */
function saidAt({ checked, gone = checked }: TagRecord): number {
  return Math.max(checked, gone);
}

function isOutdated(move: TagMove, newest: TagMove): boolean {
  return isOvertaken(move.asked ?? move.at, newest.asked ?? newest.at, move.at);
}
