import type { Digest } from '../oci/digest.ts';
import type { MaybePromise } from './metadata-store.ts';
import type { BlobRecord, DescribedRecord, LinkRecord, TagRecord } from './records.ts';

/** The built-in upstream, as {@link TagRecord} and {@link TagMove} name it: what was pushed here. */
export const HOSTED = 'hosted';

/** Whether it came by a push, a mount or an import, and not from an upstream. */
export function isHosted(link: Pick<LinkRecord, 'by'> | undefined): link is HostedLink {
  return link !== undefined && link.by !== 'upstream' && link.by !== 'public';
}

/**
 * What pushing, deleting and collecting need of the metadata; part of `Records`.
 *
 * A push is acknowledged only after `flushed`. Its order is: `hold` the digest, publish the bytes, `putBlob`, then
 * `putHostedLink` (a blob) or `putHosted` (a manifest). Whatever commit a crash comes after, nothing points to bytes that are
 * not there, and what was left behind is found by `hostedDigests`, `uploads` or `links`.
 */
export interface HostedRecords {
  upload(repository: string, id: string): MaybePromise<UploadRecord | undefined>;
  /**
   * Begins an upload, or moves it on: only if it still stands as `before` (`undefined`: is not there). False when another
   * moved it, or dropped it. It is listed in `uploads` before it is written.
   */
  putUpload(repository: string, id: string, before: UploadRecord | undefined, record: UploadRecord): Promise<boolean>;
  /** With `before` only if it still stands so, for the purge. True if it was there and is gone; its listing goes too. */
  dropUpload(repository: string, id: string, before?: UploadRecord): Promise<boolean>;
  /**
   * All uploads of all repositories, in a stable order; `after` is the last `cursor` seen. One without `record` was left by
   * a crash, or begins just now: drop it when `at` is long past.
   */
  uploads(after: string | undefined, limit: number): MaybePromise<readonly ListedUpload[]>;

  /**
   * Whose the repository is (decision 11); `undefined`: its chain's. Written with its first pushed manifest. A record that
   * cannot be read is still an owner's.
   */
  owner(repository: string): MaybePromise<OwnerRecord | undefined>;
  /**
   * Gives the repository back to its chain: drops every hosted tag and link with its referrer entry, in bounded batches, and
   * then, in one commit with nothing hosted left, the owner. So nothing falls through to an upstream before all is gone, and
   * after a crash it is called again. What is pushed meanwhile goes too. False where there was nothing to give back.
   */
  disown(repository: string): Promise<boolean>;

  /** One read. The tag as it was pushed; `undefined` where what stands there came from an upstream. */
  hostedTag(repository: string, tag: string): MaybePromise<TagRecord | undefined>;
  /** As `tags`, without those that came from an upstream. */
  hostedTags(
    repository: string,
    after: string | undefined,
    limit: number,
  ): MaybePromise<readonly { tag: string; record: TagRecord }[]>;

  /**
   * Writes the digest's reverse entry right before its bytes are published (not when their upload begins), so that it cannot
   * be marked for deletion from here on: for an hour (of a fill five minutes), within which it must be linked or held again.
   * False while it is being deleted: wait until `blob` is gone, and try again.
   */
  hold(repository: string, digest: Digest, hold: Pick<LinkRecord, 'kind' | 'by'>): Promise<boolean>;
  /**
   * Links a blob that was pushed, mounted or imported. False where its bytes are not held (no `putBlob` before, or deleted
   * since): upload them again. Replaces an upstream's link; a manifest's stays one, since it grants its bytes as a blob too.
   */
  putHostedLink(repository: string, digest: Digest, record: HostedLink): Promise<boolean>;
  /**
   * Moves a link's `at` on, so that collect sees it needed: for whoever was told that the digest is here, and will not bring
   * it again. False where it stands otherwise than `before`, or is gone.
   */
  renewLink(repository: string, digest: Digest, before: LinkRecord, at: number): Promise<boolean>;
  /** See {@link HostedPush}. All of it in one commit, or nothing. */
  putHosted(repository: string, push: HostedPush): Promise<HostedResult>;
  /**
   * Deletes a pushed manifest: its link, every tag that points to it, its referrer entry, and their mark in the tags'
   * history, in one commit; then the reverse entry. Yields the tags that went; `undefined` where no pushed manifest was, or
   * where it stands otherwise than `before`: every push, tag and index that needs it changes its link.
   */
  dropHosted(
    repository: string,
    digest: Digest,
    before?: LinkRecord,
  ): Promise<{ readonly tags: readonly string[] } | undefined>;
  /**
   * Deletes a pushed tag alone, and notes it in its history. Yields the digest it pointed to; `undefined` where no pushed
   * tag was, or where it stands otherwise than `before`. (`dropTag` drops only what came from an upstream: pulls call it.)
   */
  dropHostedTag(repository: string, tag: string, before?: TagRecord): Promise<Digest | undefined>;
  /** Manifests pushed to this repository that name the subject, by digest. */
  referrers(
    repository: string,
    subject: Digest,
    after: Digest | undefined,
    limit: number,
  ): MaybePromise<readonly { digest: Digest; record: ReferrerRecord }[]>;

  /**
   * The first of a repository's links and tags whose record cannot be read (its digest or tag); `undefined` where all can. For
   * collect: elsewhere such a record counts as absent, and what it needs would go.
   */
  unreadable(repository: string): Promise<string | undefined>;
  /** Every digest that was ever held by a push and not forgotten, in byte order: what collect sweeps. */
  hostedDigests(after: Digest | undefined, limit: number): MaybePromise<readonly Digest[]>;
  /** Drops a reverse entry that was left without link for an hour, by a crash or a deletion. False where it stays. */
  dropHolder(repository: string, digest: Digest): Promise<boolean>;
  /**
   * Marks the digest `deleting` if its record still stands as `before` (`undefined`: is not there) and no repository holds
   * it, not even by an entry without link. False otherwise, and nothing changed. From then on nobody can hold, put or link
   * it, until `forget`. The grace period is the caller's: `before.at`.
   */
  markDeleting(digest: Digest, before: BlobRecord | undefined): Promise<boolean>;
  /**
   * After the bytes of a digest marked `deleting` were removed: drops all that is known of it. False where it is not marked.
   * One process collects at a time; after a crash it finds what is marked in `hostedDigests`, and removes the bytes again.
   */
  forget(digest: Digest): Promise<boolean>;
}

/**
 * Bytes that the repositories of a route hold (each digest once in each of them), and what is on its way to them: what `quota`
 * limits. Routes are named; which repositories are theirs is the caller's to say. Whoever changes what a repository hosts
 * settles it afterwards; a crash in between is found by settling all.
 */
export interface QuotaRecords {
  /** Of one repository, exact at any time. */
  hostedBytes(repository: string): Promise<number>;
  sums(route: string): Promise<QuotaSums>;
  /**
   * Sets aside `bytes` in all under an id, more or less than before. `full`: it would be more than before, and with it all
   * more than `limit`; nothing changed. With the sums after it.
   */
  reserve(
    route: string,
    id: string,
    reservation: QuotaReservation,
    limit: number,
  ): Promise<QuotaSums & { readonly kind: 'reserved' | 'full' }>;
  /** Takes over what the repository holds by now; what was set aside under `id` ends in the same commit. */
  settle(route: string, repository: string, id?: string): Promise<void>;
  /** The repository is not the route's. */
  strike(route: string, repository: string): Promise<void>;
  release(route: string, id: string): Promise<void>;
  /** The repositories that are counted, in a stable order; `after` is the last `cursor` seen. */
  counted(
    route: string,
    after: string | undefined,
    limit: number,
  ): Promise<readonly { readonly cursor: string; readonly repository: string }[]>;
  reservations(
    route: string,
    after: string | undefined,
    limit: number,
  ): Promise<readonly (QuotaReservation & { readonly cursor: string; readonly id: string })[]>;
}

/** Bytes. */
export interface QuotaSums {
  readonly used: number;
  readonly reserved: number;
}

export interface QuotaReservation {
  readonly repository: string;
  readonly bytes: number;
  readonly at: number;
  /** Its id is an upload's, without which it is nobody's. */
  readonly upload: boolean;
}

/** An upload in progress. */
export interface UploadRecord {
  /** The part that its bytes are written to. */
  readonly part: string;
  /** Bytes durable and acknowledged. */
  readonly offset: number;
  readonly started: number;
  /** When it last moved. */
  readonly at: number;
  /** Who began it, as `limits.uploads` counts; absent of those of an older version. */
  readonly by?: string;
  /** Which request of which process writes to the part now; absent between chunks. */
  readonly writer?: string;
  /** Until when the writer is believed to live without moving the upload. */
  readonly until?: number;
}

export interface ListedUpload {
  readonly cursor: string;
  readonly repository: string;
  readonly id: string;
  readonly record: UploadRecord | undefined;
  /** When it last moved; without `record`, when it was listed. */
  readonly at: number;
}

export interface OwnerRecord {
  readonly by: 'push' | 'import';
  readonly at: number;
}

/** As `referrers` answers it, without the digest (OCI distribution-spec, "Listing Referrers"). */
export interface ReferrerRecord {
  readonly mediaType: string;
  readonly size: number;
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

/** A link that no upstream granted: what eviction must keep, and collect may only take with reason. */
export type HostedLink = LinkRecord & { readonly by: HostedBy };
export type HostedBy = 'push' | 'mount' | 'import';

/**
 * A pushed manifest. In one commit on the repository: the link, its children described, the tags with their history, its
 * referrer entry, `needs`, and the owner where there was none; from that commit on no tag that came from an upstream is
 * written or counts here, and those that were there are dropped afterwards.
 */
export interface HostedPush {
  readonly digest: Digest;
  readonly link: HostedLink & { readonly kind: 'manifest'; readonly mediaType: string };
  readonly described: readonly { readonly digest: Digest; readonly record: DescribedRecord }[];
  /**
   * What must be linked in this repository, so that the manifest is whole: blobs, and an index's manifests. Links that an
   * upstream granted become this push's (decision 11, "adopts"); all take its `at`, so that collect sees them needed. Of what an
   * upstream granted the caller makes sure that the bytes are on the disk: such a link may outlive them.
   */
  readonly needs: readonly Digest[];
  /** What need not be linked, but takes `at` where it was pushed: images of an index that may be incomplete. */
  readonly wants?: readonly Digest[];
  readonly tags: readonly string[];
  /** Tags that may not be moved to another digest once they were pushed. */
  immutable(tag: string): boolean;
  readonly subject?: Digest;
  readonly referrer?: ReferrerRecord;
  readonly at: number;
}

/**
 * `done`: with the tags that did not point here before, in the order of the push. `immutable`: this tag points elsewhere.
 * `missing`: this child is not linked here. `unheld`: the manifest's own bytes are not held, or were deleted since: `hold`
 * them and write them again. But for `done` nothing changed, except where this process stood still for an hour in the middle
 * of the push: then all of it may stand without bytes, and `unheld` is what the pusher must hear.
 */
export type HostedResult =
  | { readonly kind: 'done'; readonly moved: readonly { readonly tag: string; readonly from: Digest | undefined }[] }
  | { readonly kind: 'immutable'; readonly tag: string }
  | { readonly kind: 'missing'; readonly digest: Digest }
  | { readonly kind: 'unheld' };
