import type { Clock } from '../system/clock.ts';
import type { Digest } from '../oci/digest.ts';
import { readCounter } from './counters.ts';
import { blobForm, holderForm, hostedForm, type HolderRecord } from './forms.ts';
import { isHosted } from './hosted.ts';
import { BLOB_KEY, HOLDS_KEY, HOSTED_SLOT, digestSlot, holderKey, hostedKey } from './keys.ts';
import type { LinkRecord } from './records.ts';
import { putIfAbsent, untilMade, type Stored, type Table } from './table.ts';

/** How long a push's reverse entry stands without a link, ms: whoever wrote it may still be about to link. */
export const HOLD_MS = 3_600_000;
/** And that of a fill, which links as soon as its bytes are there. */
export const FILL_HOLD_MS = 300_000;

/**
 * The reverse entries of links. Each writing counts `holds` up, so that a deletion that saw none fails when one came after
 * all (a commit cannot ask whether a collection is empty).
 */
export interface Holders {
  /** False while the digest is being deleted, and with `onlyIfHeld` where its bytes are not held: nothing was written. */
  put(repository: string, digest: Digest, link: Pick<LinkRecord, 'kind' | 'by'>, onlyIfHeld?: 'only-if-held'): Promise<boolean>;
  /** As `put`, for what is linked only later: stands for a time, as that of a push always does. */
  hold(repository: string, digest: Digest, link: Pick<LinkRecord, 'kind' | 'by'>): Promise<boolean>;
  /** As `put`, where none stands. */
  restore(repository: string, digest: Digest, link: LinkRecord, onlyIfHeld?: 'only-if-held'): Promise<boolean>;
  /** Takes the entry away, unless a push wrote it within {@link HOLD_MS}, or a fill within {@link FILL_HOLD_MS}: false then. */
  release(repository: string, digest: Digest): Promise<boolean>;
  /** Lists the digest for collect. */
  enlist(digest: Digest): Promise<void>;
}

export function createHolders(table: Table, clock: Clock): Holders {
  const { store } = table;

  const enlist = (digest: Digest): Promise<void> =>
    putIfAbsent(store, HOSTED_SLOT, hostedKey(digest), hostedForm.encode({ digest }));

  async function tryPut(digest: Digest, next: HolderRecord, onlyIfHeld: boolean): Promise<boolean | undefined> {
    const slot = digestSlot(digest);
    const key = holderKey(next.repository);
    const [holds, blob, before] = await Promise.all([
      readCounter(table, slot, HOLDS_KEY),
      table.getStored(slot, BLOB_KEY, blobForm),
      table.getStored(slot, key, holderForm),
    ]);
    if (onlyIfHeld && blob.record === undefined) return false;
    if (blob.record !== undefined && blob.record.state !== 'held') return false;
    const record = { ...stronger(before, next), hold: holds.next };
    const changes = [holds.change, { key, value: holderForm.encode(record) }];
    const conditions = [holds.condition, { key: BLOB_KEY, value: blob.bytes }, { key, value: before.bytes }];
    return (await store.commit(slot, changes, conditions)) || undefined;
  }

  async function put(
    repository: string,
    digest: Digest,
    { kind, by }: Pick<LinkRecord, 'kind' | 'by'>,
    how?: 'only-if-held' | 'hold',
  ): Promise<boolean> {
    const hosted = isHosted({ by });
    const next = hosted || how === 'hold' ? { repository, kind, by, at: clock.now() } : { repository, kind, by };
    if (hosted) await enlist(digest);
    const made = await untilMade(() => tryPut(digest, next, how === 'only-if-held'));
    if (hosted) await enlist(digest);
    return made;
  }

  return {
    put,
    hold: (repository, digest, link) => put(repository, digest, link, 'hold'),
    enlist,
    async restore(repository, digest, link, onlyIfHeld) {
      const holder = await store.get(digestSlot(digest), holderKey(repository));
      return holder !== undefined || put(repository, digest, link, onlyIfHeld);
    },
    release(repository, digest) {
      const key = holderKey(repository);
      return untilMade(async () => {
        const { bytes, record } = await table.getStored(digestSlot(digest), key, holderForm);
        if (bytes === undefined) return true;
        const stands = record !== undefined && isHosted(record) ? HOLD_MS : FILL_HOLD_MS;
        if (record?.at !== undefined && record.at + stands > clock.now()) return false;
        return (await store.commit(digestSlot(digest), [{ key, value: undefined }], [{ key, value: bytes }])) || undefined;
      });
    },
  };
}

/** What an upstream grants takes nothing from what was pushed, nor a link the time from what held the digest for it. */
function stronger({ record: before }: Stored<HolderRecord>, next: HolderRecord): HolderRecord {
  if (before === undefined) return next;
  const at = next.at ?? before.at;
  return { ...(isHosted(before) && !isHosted(next) ? before : next), ...(at === undefined ? {} : { at }) };
}
