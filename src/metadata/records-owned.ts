import type { Digest } from '../oci/digest.ts';
import { ownerForm, referrerForm, tagForm } from './forms.ts';
import { HOSTED, type HostedRecords } from './hosted.ts';
import { OWNER_KEY, bounded, referrersStart, repositorySlot, tagKey } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { MaybePromise } from './metadata-store.ts';
import type { TagRecord } from './records.ts';
import type { Table } from './table.ts';

type Tags = readonly { tag: string; record: TagRecord }[];
type Owned = Pick<HostedRecords, 'owner' | 'hostedTag' | 'hostedTags' | 'referrers'>;

/** Entries read at once while looking for hosted ones. */
const PAGE_MIN = 100;

/** Never the chain's: it might hold a name that somebody else has taken there (reliability.md, S14). */
const UNREADABLE = { by: 'push', at: 0 } as const;

/** Reading what was pushed. */
export function createOwned(table: Table): Owned {
  function hostedTags(slot: string, after: string | undefined, limit: number): MaybePromise<Tags> {
    const size = Math.max(limit, PAGE_MIN);
    return andThen(table.list(slot, 'tags', after, size, tagForm), (page) => {
      const hosted = page.filter(({ record }) => record.upstream === HOSTED).slice(0, limit);
      const found = hosted.map(({ id, record }) => ({ tag: id, record }));
      if (found.length === limit || page.length < size) return found;
      const rest = hostedTags(slot, page.at(-1)?.id, limit - found.length);
      return andThen(rest, (more) => [...found, ...more]);
    });
  }

  return {
    owner: (repository) =>
      andThen(table.getStored(repositorySlot(repository), OWNER_KEY, ownerForm), ({ bytes, record }) =>
        bytes === undefined ? undefined : (record ?? UNREADABLE),
      ),
    hostedTag: (repository, tag) =>
      andThen(table.get(repositorySlot(repository), tagKey(tag), tagForm), (record) =>
        record?.upstream === HOSTED ? record : undefined,
      ),
    hostedTags: (repository, after, limit) => hostedTags(repositorySlot(repository), after && bounded(after), limit),
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
