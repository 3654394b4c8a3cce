import type { Clock } from '../system/clock.ts';
import type { Digest } from '../oci/digest.ts';
import { readCounter, type Counter } from './counters.ts';
import { linkForm, tagForm } from './forms.ts';
import { allHostedTags, allLinks } from './all.ts';
import { HOSTED, isHosted, type HostedRecords } from './hosted.ts';
import { OWNER_KEY, REVISION_KEY, linkKey, referrerKey, repositorySlot, tagKey } from './keys.ts';
import type { Change, Condition } from './metadata-store.ts';
import type { Catalogue } from './records-catalogue.ts';
import type { LinkRecord, Records, TagRecord } from './records.ts';
import { untilMade, type Table } from './table.ts';
import { nextMove } from './tag-moves.ts';
import { countUsage } from './usage.ts';

type Deletions = Pick<HostedRecords, 'dropHosted' | 'dropHostedTag' | 'disown'>;
type Parts = Pick<Records, 'hostedTags' | 'links' | 'dropHolder'>;

/** Tags or links that one commit of `disown` drops. */
const BATCH = 200;

/** Deleting what was pushed; each commit counts the repository's revision on (records-hosted.ts). */
export function createDeletions(table: Table, catalogue: Catalogue, clock: Clock, parts: Parts): Deletions {
  const { store } = table;

  async function commit(
    slot: string,
    revision: Counter,
    changes: readonly Change[],
    conditions: readonly Condition[],
  ): Promise<boolean> {
    return store.commit(slot, [revision.change, ...changes], [revision.condition, ...conditions]);
  }

  /** The tags away, and a note in the history of each. */
  async function withoutTags(slot: string, tags: readonly { tag: string; record: TagRecord }[]) {
    const at = clock.now();
    const moves = await Promise.all(
      tags.map(({ tag, record: { digest } }) => nextMove(table, slot, tag, { at, digest, upstream: HOSTED, deleted: true })),
    );
    const gone = tags.map(({ tag }) => ({ key: tagKey(tag), value: undefined }));
    return { changes: [...gone, ...moves.flatMap((move) => move.changes)], conditions: moves.map((move) => move.condition) };
  }

  const withoutLink = (digest: Digest, { subject }: LinkRecord): readonly Change[] => [
    { key: linkKey(digest), value: undefined },
    ...(subject === undefined ? [] : [{ key: referrerKey(subject, digest), value: undefined }]),
  ];

  async function tagsOf(repository: string, digest: Digest): Promise<readonly { tag: string; record: TagRecord }[]> {
    const found: { tag: string; record: TagRecord }[] = [];
    for await (const one of allHostedTags(parts, repository)) if (one.record.digest === digest) found.push(one);
    return found;
  }

  async function tryDrop(
    repository: string,
    digest: Digest,
    before: LinkRecord | undefined,
  ): Promise<{ tags: readonly string[] } | 'none' | undefined> {
    const slot = repositorySlot(repository);
    const revision = await readCounter(table, slot, REVISION_KEY);
    const now = await table.getStored(slot, linkKey(digest), linkForm);
    const { bytes, record } = now;
    if (!isHosted(record) || record.kind !== 'manifest') return 'none';
    if (before !== undefined && !linkForm.same(record, before)) return 'none';
    const tags = await tagsOf(repository, digest);
    const { changes, conditions } = await withoutTags(slot, tags);
    const link = { key: linkKey(digest), value: bytes };
    const usage = await countUsage(table, slot, [{ before: now, after: undefined }]);
    const made = await commit(
      slot,
      revision,
      [...withoutLink(digest, record), ...changes, ...usage.changes],
      [link, ...conditions, ...usage.conditions],
    );
    return made ? { tags: tags.map(({ tag }) => tag) } : undefined;
  }

  async function hostedLinks(repository: string): Promise<readonly { digest: Digest; record: LinkRecord }[]> {
    const found: { digest: Digest; record: LinkRecord }[] = [];
    for await (const link of allLinks(parts, repository)) {
      if (isHosted(link.record)) found.push(link);
      if (found.length === BATCH) break;
    }
    return found;
  }

  /** One step of `disown`: tags first, so that none points to what is gone; the owner last. */
  async function tryDisown(repository: string): Promise<'some' | 'all' | undefined> {
    const slot = repositorySlot(repository);
    const revision = await readCounter(table, slot, REVISION_KEY);
    const tags = await parts.hostedTags(repository, undefined, BATCH);
    if (tags.length > 0) {
      const { changes, conditions } = await withoutTags(slot, tags);
      return (await commit(slot, revision, changes, conditions)) ? 'some' : undefined;
    }
    const links = await hostedLinks(repository);
    if (links.length > 0) {
      const changes = links.flatMap(({ digest, record }) => withoutLink(digest, record));
      const stored = await Promise.all(links.map(async ({ digest }) => table.getStored(slot, linkKey(digest), linkForm)));
      const usage = await countUsage(
        table,
        slot,
        stored.map((before) => ({ before, after: undefined })),
      );
      const stand = links.map(({ digest }, at) => ({ key: linkKey(digest), value: stored[at]?.bytes }));
      if (!(await commit(slot, revision, [...changes, ...usage.changes], [...stand, ...usage.conditions]))) return undefined;
      for (const { digest } of links) await parts.dropHolder(repository, digest);
      return 'some';
    }
    return (await commit(slot, revision, [{ key: OWNER_KEY, value: undefined }], [])) ? 'all' : undefined;
  }

  return {
    async dropHosted(repository, digest, before) {
      const dropped = await untilMade(() => tryDrop(repository, digest, before));
      await parts.dropHolder(repository, digest);
      if (dropped === 'none') return undefined;
      await catalogue.delistIfEmpty(repository);
      return dropped;
    },
    async dropHostedTag(repository, tag, before) {
      const slot = repositorySlot(repository);
      const [digest] = await untilMade(async () => {
        const revision = await readCounter(table, slot, REVISION_KEY);
        const record = await table.get(slot, tagKey(tag), tagForm);
        if (record?.upstream !== HOSTED) return [undefined];
        if (before !== undefined && !tagForm.same(record, before)) return [undefined];
        const { changes, conditions } = await withoutTags(slot, [{ tag, record }]);
        return (await commit(slot, revision, changes, conditions)) ? [record.digest] : undefined;
      });
      if (digest !== undefined) await catalogue.delistIfEmpty(repository);
      return digest;
    },
    async disown(repository) {
      const owned = (await store.get(repositorySlot(repository), OWNER_KEY)) !== undefined;
      let found = owned;
      while ((await untilMade(() => tryDisown(repository))) === 'some') found = true;
      await catalogue.delistIfEmpty(repository);
      return found;
    },
  };
}
