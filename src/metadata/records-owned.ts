import type { Digest } from '../oci/digest.ts';
import { ownerForm, referrerForm, tagForm } from './forms.ts';
import { HOSTED, type HostedRecords } from './hosted.ts';
import { OWNER_KEY, bounded, referrersStart, repositorySlot, tagKey } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { MaybePromise } from './metadata-store.ts';
import type { TagRecord } from './records.ts';
import type { Table } from './table.ts';

type Owned = Pick<HostedRecords, 'owner' | 'hostedTag' | 'hostedTags' | 'referrers'>;

/** Entries read at once while looking for hosted ones. */
const PAGE_MIN = 100;

/** Reading what was pushed. */
export function createOwned(table: Table): Owned {
  function hostedTags(
    repository: string,
    after: string | undefined,
    limit: number,
  ): MaybePromise<readonly { tag: string; record: TagRecord }[]> {
    const size = Math.max(limit, PAGE_MIN);
    return andThen(table.list(repositorySlot(repository), 'tags', after && bounded(after), size, tagForm), (page) => {
      const hosted = page.filter(({ record }) => record.upstream === HOSTED).slice(0, limit);
      const found = hosted.map(({ id, record }) => ({ tag: id, record }));
      if (found.length === limit || page.length < size) return found;
      const rest = hostedTags(repository, page.at(-1)?.id, limit - found.length);
      return andThen(rest, (more) => [...found, ...more]);
    });
  }

  return {
    owner: (repository) => table.get(repositorySlot(repository), OWNER_KEY, ownerForm),
    hostedTag: (repository, tag) =>
      andThen(table.get(repositorySlot(repository), tagKey(tag), tagForm), (record) =>
        record?.upstream === HOSTED ? record : undefined,
      ),
    hostedTags,
    referrers(repository, subject, after, limit) {
      const start = referrersStart(subject);
      const from = `${start}${after ?? ''}`;
      return andThen(table.list(repositorySlot(repository), 'referrers', from, limit, referrerForm), (page) =>
        page
          .filter(({ id }) => id.startsWith(start))
          .map(({ id, record: { artifactType, annotations, ...rest } }) => ({
            digest: id.slice(start.length) as Digest,
            record: { ...rest, artifactType, annotations },
          })),
      );
    },
  };
}
