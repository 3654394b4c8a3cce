import type { Digest } from '../oci/digest.ts';
import { describedForm, holderForm, linkForm } from './forms.ts';
import { bounded, describedKey, digestSlot, holderKey, linkKey, repositorySlot } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { Catalogue } from './records-catalogue.ts';
import type { LinkRecord, Records } from './records.ts';
import { untilMade, type Table } from './table.ts';

type Links = Pick<Records, 'link' | 'putLink' | 'dropLink' | 'links' | 'holders' | 'described' | 'putDescribed'>;

/**
 * Links and their reverse entries, which lie in different slots. Whoever writes looks for the reverse entry again after the
 * link, and whoever removes looks for the link again after the reverse entry: of two that cross, the later one sets it right.
 */
export function createLinks(table: Table, catalogue: Catalogue): Links {
  const { store } = table;

  async function putHolder(repository: string, digest: Digest, { kind, by }: LinkRecord): Promise<void> {
    const value = holderForm.encode({ repository, kind, by });
    await store.commit(digestSlot(digest), [{ key: holderKey(repository), value }]);
  }

  async function restoreHolder(repository: string, digest: Digest, record: LinkRecord): Promise<void> {
    const holder = await store.get(digestSlot(digest), holderKey(repository));
    if (holder === undefined) await putHolder(repository, digest, record);
  }

  async function removeLink(repository: string, digest: Digest): Promise<boolean> {
    const slot = repositorySlot(repository);
    const key = linkKey(digest);
    return untilMade(async () => {
      const value = await store.get(slot, key);
      if (value === undefined) return false;
      return (await store.commit(slot, [{ key, value: undefined }], [{ key, value }])) || undefined;
    });
  }

  return {
    link: (repository, digest) => table.get(repositorySlot(repository), linkKey(digest), linkForm),
    async putLink(repository, digest, record) {
      await Promise.all([putHolder(repository, digest, record), catalogue.enlist(repository)]);
      await store.commit(repositorySlot(repository), [{ key: linkKey(digest), value: linkForm.encode(record) }]);
      await Promise.all([restoreHolder(repository, digest, record), catalogue.enlist(repository)]);
    },
    async dropLink(repository, digest) {
      const dropped = await removeLink(repository, digest);
      // Also where no link was: a crash may have left the reverse entry alone.
      await store.commit(digestSlot(digest), [{ key: holderKey(repository), value: undefined }]);
      const again = await table.get(repositorySlot(repository), linkKey(digest), linkForm);
      if (again !== undefined) await restoreHolder(repository, digest, again);
      if (dropped) await catalogue.delistIfEmpty(repository);
      return dropped;
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
