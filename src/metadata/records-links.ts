import type { Digest } from '../oci/digest.ts';
import { paged } from '../system/paged.ts';
import { describedForm, holderForm, linkForm, tagForm, type Form } from './forms.ts';
import { bounded, describedKey, digestSlot, linkKey, repositorySlot } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { Catalogue } from './records-catalogue.ts';
import { isHosted } from './hosted.ts';
import type { Holders } from './records-holders.ts';
import type { LinkRecord, Records } from './records.ts';
import { untilMade, type Table } from './table.ts';
import { countUsage } from './usage.ts';

type Links = Pick<
  Records,
  | 'link'
  | 'putLink'
  | 'renewLink'
  | 'dropLink'
  | 'links'
  | 'holders'
  | 'hold'
  | 'putHostedLink'
  | 'dropHolder'
  | 'described'
  | 'putDescribed'
  | 'unreadable'
>;

/**
 * Links and their reverse entries, which lie in different slots. Whoever writes looks for the reverse entry again after the
 * link, and whoever removes looks for the link again after the reverse entry: of two that cross, the later one sets it right.
 */
export function createLinks(table: Table, catalogue: Catalogue, holders: Holders): Links {
  const { store } = table;
  const readLink = (repository: string, digest: Digest): ReturnType<typeof table.getAgain<LinkRecord>> =>
    table.getAgain(repositorySlot(repository), linkKey(digest), linkForm);

  /** What an upstream grants does not replace what was pushed, nor a blob the manifest that it is too. Yields what stands. */
  async function writeLink(repository: string, digest: Digest, record: LinkRecord): Promise<LinkRecord> {
    const [slot, key] = [repositorySlot(repository), linkKey(digest)];
    return untilMade(async () => {
      const before = await table.getStored(slot, key, linkForm);
      if (isHosted(before.record) && !isHosted(record)) return before.record;
      const after = merged(before.record, record);
      const usage = await countUsage(table, slot, [{ before, after }]);
      const changes = [{ key, value: linkForm.encode(after) }, ...usage.changes];
      return (await store.commit(slot, changes, [{ key, value: before.bytes }, ...usage.conditions])) ? after : undefined;
    });
  }

  /** `stays`: stands otherwise than `before`, or tags may point to it. */
  async function removeLink(repository: string, digest: Digest, before?: LinkRecord): Promise<'gone' | 'none' | 'stays'> {
    const [slot, key] = [repositorySlot(repository), linkKey(digest)];
    return untilMade(async () => {
      const now = await table.getStored(slot, key, linkForm);
      const { bytes, record } = now;
      if (bytes === undefined) return 'none';
      if (isHosted(record) && record.kind === 'manifest') return 'stays';
      if (before !== undefined && !linkForm.same(record, before)) return 'stays';
      const usage = await countUsage(table, slot, [{ before: now, after: undefined }]);
      const changes = [{ key, value: undefined }, ...usage.changes];
      return (await store.commit(slot, changes, [{ key, value: bytes }, ...usage.conditions])) ? 'gone' : undefined;
    });
  }

  /** Takes the reverse entry of a link that is gone. */
  async function release(repository: string, digest: Digest): Promise<boolean> {
    const released = await holders.release(repository, digest);
    const again = await readLink(repository, digest);
    if (again !== undefined) await holders.restore(repository, digest, again);
    return released && again === undefined;
  }

  async function firstUnreadable<T>(slot: string, collection: string, form: Form<T>): Promise<string | undefined> {
    const entries = paged(
      (after: string | undefined, limit) => store.list(slot, collection, after, limit),
      ({ id }) => id,
    );
    for await (const { id, value } of entries) if (form.decode(value) === undefined) return id;
    return undefined;
  }

  return {
    link: readLink,
    async putLink(repository, digest, record) {
      const [held] = await Promise.all([holders.put(repository, digest, record), catalogue.enlist(repository)]);
      if (!held) return catalogue.delistIfEmpty(repository);
      await writeLink(repository, digest, record);
      await Promise.all([holders.restore(repository, digest, record), catalogue.enlist(repository)]);
    },
    hold: holders.hold,
    async putHostedLink(repository, digest, record) {
      while (await holders.put(repository, digest, record, 'only-if-held')) {
        await catalogue.enlist(repository);
        const written = await writeLink(repository, digest, record);
        const restored = holders.restore(repository, digest, record, 'only-if-held');
        const [stands] = await Promise.all([restored, catalogue.enlist(repository)]);
        if (stands) return true;
        // Gone with all that was held, where the wall clock jumped over what kept it: the link would promise what nobody has.
        await removeLink(repository, digest, written);
        await catalogue.delistIfEmpty(repository);
      }
      return false;
    },
    renewLink(repository, digest, before, at) {
      const [slot, key] = [repositorySlot(repository), linkKey(digest)];
      return untilMade(async () => {
        const { bytes, record } = await table.getStored(slot, key, linkForm);
        if (!linkForm.same(record, before)) return false;
        return (
          (await store.commit(slot, [{ key, value: linkForm.encode({ ...before, at }) }], [{ key, value: bytes }])) || undefined
        );
      });
    },
    async dropLink(repository, digest, before) {
      const removed = await removeLink(repository, digest, before);
      if (removed === 'stays') return false;
      // Also where no link was: a crash may have left the reverse entry alone.
      await release(repository, digest);
      if (removed === 'gone') await catalogue.delistIfEmpty(repository);
      return removed === 'gone';
    },
    // A link that cannot be read may still be needed: what it holds stays.
    dropHolder: async (repository, digest) =>
      (await store.get(repositorySlot(repository), linkKey(digest))) === undefined && release(repository, digest),
    async unreadable(repository) {
      const slot = repositorySlot(repository);
      return (await firstUnreadable(slot, 'links', linkForm)) ?? firstUnreadable(slot, 'tags', tagForm);
    },
    links(repository, after, limit) {
      const found = table.list(repositorySlot(repository), 'links', after, limit, linkForm);
      return andThen(found, (entries) => entries.map(({ id, record }) => ({ digest: id as Digest, record })));
    },
    holders(digest, after, limit) {
      const found = table.list(digestSlot(digest), 'holders', after && bounded(after), limit, holderForm);
      return andThen(found, (entries) => entries.map(({ record }) => record.repository));
    },
    described: (repository, digest) => table.get(repositorySlot(repository), describedKey(digest), describedForm),
    async putDescribed(repository, children) {
      const changes = children.map(({ digest, record }) => ({
        key: describedKey(digest),
        value: describedForm.encode(record),
      }));
      if (changes.length > 0) await store.commit(repositorySlot(repository), changes);
    },
  };
}

function merged(before: LinkRecord | undefined, next: LinkRecord): LinkRecord {
  if (before?.kind !== 'manifest' || next.kind === 'manifest' || !isHosted(next)) return next;
  return { ...before, by: next.by, at: next.at };
}
