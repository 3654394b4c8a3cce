import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import type { ReportMetadata } from './events.ts';
import type { Evictions } from './evictions.ts';
import type { HostedRecords, QuotaRecords } from './hosted.ts';
import { taskSlot } from './keys.ts';
import { withLayout } from './layout.ts';
import type { Inventory } from './inventory.ts';
import type { MaybePromise, MetadataStore } from './metadata-store.ts';
import { createBlobs } from './records-blobs.ts';
import { createBookmarks, type Bookmarks } from './records-bookmarks.ts';
import { createCatalogue } from './records-catalogue.ts';
import { createCollect } from './records-collect.ts';
import { createDeletions } from './records-deletions.ts';
import { createEpoch } from './records-epoch.ts';
import { createEvictions } from './records-evictions.ts';
import { createHolders } from './records-holders.ts';
import { createHosted } from './records-hosted.ts';
import { createLeases, createLeasesOf, type LeasesOf } from './records-leases.ts';
import { createInventory } from './records-inventory.ts';
import { createLinks } from './records-links.ts';
import { createListings } from './records-listings.ts';
import { createMachineTokenRecords, type MachineTokenRecords } from './records-machine-tokens.ts';
import { createPins, type Pins } from './records-pins.ts';
import { createOfficial, type OfficialRecords } from './records-official.ts';
import { createOutbox, type Outbox } from './records-outbox.ts';
import { createOwned } from './records-owned.ts';
import { createQuota } from './records-quota.ts';
import { createRefreshTokens, type RefreshTokens } from './records-refresh-tokens.ts';
import { createSigningKeys, type SigningKeys } from './records-signing-keys.ts';
import { createTags } from './records-tags.ts';
import { createUploads } from './records-uploads.ts';
import { createUses, type ImageOf } from './records-uses.ts';
import { createVerdicts, type Verdicts } from './records-verdicts.ts';
import { createTable } from './table.ts';

export * from './all.ts';
export { HOSTED, isHosted } from './hosted.ts';
export { standing, standingNow, type Standing } from './standing.ts';
export { MOVES_KEPT } from './tag-moves.ts';
export { untilHeld } from './until-held.ts';
export type * from './evictions.ts';
export type * from './hosted.ts';
export type * from './inventory.ts';

/**
 * Typed access to the metadata: all that the rest of the house sees of it. Which keys stand behind each record is drawn in
 * keys.ts. `repository` is always the full name with its registry, `docker.io/library/ubuntu`. Times are ms since the epoch.
 */
export interface Records extends HostedRecords, Evictions, Pins {
  tag(repository: string, tag: string): MaybePromise<TagRecord | undefined>;
  /**
   * Replaces the tag. Where its digest differs from the one before (or there was none), the move is added to the tag's
   * history in the same commit, as of `now` (default: when it was checked). Yields the digest it pointed to before. What an
   * upstream says is not written where the repository is owned, or the tag was pushed, or what stands there was asked for later:
   * answers overtake each other, and one that was on its way for longer moves nothing back. Yields the record's own digest then,
   * as of a tag that did not move. What stands as of later than `now` was written by a clock that was wrong, and gives way.
   */
  putTag(repository: string, tag: string, record: TagRecord, now?: number): Promise<Digest | undefined>;
  /** Only what came from an upstream; a pushed tag stays (`dropHostedTag`). */
  dropTag(repository: string, tag: string): Promise<boolean>;
  tags(
    repository: string,
    after: string | undefined,
    limit: number,
  ): MaybePromise<readonly { tag: string; record: TagRecord }[]>;
  /** Newest first. */
  tagHistory(repository: string, tag: string, limit: number): MaybePromise<readonly TagMove[]>;
  /**
   * Adds a move to the tag's history although the tag's record stays: what an upstream said of it without being asked for bytes, or
   * that it is gone. Yields whether it is news: nothing is written where the newest move says the same or was asked for later (as in
   * `putTag`), or the repository is owned.
   */
  noteMove(repository: string, tag: string, move: TagMove): Promise<boolean>;
  /** The moves of all tags behind `after`: tag by tag in byte order, each newest first. */
  moves(repository: string, after: string | undefined): AsyncGenerator<{ readonly tag: string; readonly move: TagMove }>;
  /** The digest of this tag that a person let go before its cooldown was over: the last one. */
  release(repository: string, tag: string): MaybePromise<ReleaseRecord | undefined>;
  putRelease(repository: string, tag: string, record: ReleaseRecord): Promise<void>;

  /** What grants a read of the digest under this repository; `undefined`: nothing does. */
  link(repository: string, digest: Digest): MaybePromise<LinkRecord | undefined>;
  /**
   * Writes the digest's reverse entry, then the link (architecture.md, decision 9), and lists the repository. A hosted link
   * stays as it is; a digest that is being deleted is not linked. For what is pushed see `putHostedLink`.
   */
  putLink(repository: string, digest: Digest, record: LinkRecord): Promise<void>;
  /**
   * With `before` only while it stands so: every push that needs it changes it, which is how collect sees one that came
   * between. A pushed manifest stays: it goes by `dropHosted`. The reverse entry of a push stays for an hour, since another push may
   * be about to link it again.
   */
  dropLink(repository: string, digest: Digest, before?: LinkRecord): Promise<boolean>;
  links(
    repository: string,
    after: string | undefined,
    limit: number,
  ): MaybePromise<readonly { digest: Digest; record: LinkRecord }[]>;

  /** What a verified manifest of this repository says of a child; it grants nothing by itself. */
  described(repository: string, digest: Digest): MaybePromise<DescribedRecord | undefined>;
  /** One commit for all children of one manifest. */
  putDescribed(repository: string, children: readonly { digest: Digest; record: DescribedRecord }[]): Promise<void>;

  /** What is known of the digest whatever repository holds it. */
  blob(digest: Digest): MaybePromise<BlobRecord | undefined>;
  /** False, and nothing written, while the digest is being deleted. */
  putBlob(digest: Digest, record: BlobRecord): Promise<boolean>;
  /** Not what is being deleted: that goes by `forget`. */
  dropBlob(digest: Digest): Promise<void>;
  /** Repositories that link the digest, or are about to, or did within the last hour: only a link grants a read. */
  holders(digest: Digest, after: string | undefined, limit: number): MaybePromise<readonly string[]>;

  /** An unfinished fill, as far as it is durable. */
  part(fill: FillKey): MaybePromise<PartRecord | undefined>;
  putPart(fill: FillKey, record: PartRecord): Promise<void>;
  dropPart(fill: FillKey): Promise<void>;

  /**
   * The right to fill a digest in one registry, held by one process for a time. `takeLease` yields the lease where nobody holds
   * a live one (its `fence` is greater than every earlier one of this fill), else the holder's. `renewLease` and `dropLease` are
   * false when the lease was lost meanwhile.
   */
  takeLease(fill: FillKey, holder: string, now: number, until: number): Promise<{ taken: boolean; lease: LeaseRecord }>;
  lease(fill: FillKey): MaybePromise<LeaseRecord | undefined>;
  renewLease(fill: FillKey, lease: LeaseRecord, next: Omit<LeaseRecord, 'holder' | 'fence'>): Promise<boolean>;
  dropLease(fill: FillKey, lease: LeaseRecord): Promise<boolean>;

  /** A cached answer of `tags/list` or `referrers`; `key` names the list and its query. */
  listing(repository: string, key: string): MaybePromise<ListingRecord | undefined>;
  putListing(repository: string, key: string, record: ListingRecord): Promise<void>;
  dropListing(repository: string, key: string): Promise<void>;

  /** Notes a use, in memory; written in batches (every 10 s and at close). A tag's use counts a pull of it. */
  used(repository: string, use: { tag?: string; digest: Digest; bytes: boolean }): void;
  lastUse(digest: Digest): MaybePromise<number | undefined>;
  /** Writes the noted uses now. Never rejects: what could not be written waits on. */
  writeUses(): Promise<void>;
  pulls(repository: string): MaybePromise<PullCount | undefined>;
  /** Of one tag; what was pulled within the last batch may be missing. */
  tagPulls(repository: string, tag: string): MaybePromise<PullCount | undefined>;

  /** Names with their registries, in byte order. */
  repositories(after: string | undefined, limit: number): MaybePromise<readonly string[]>;

  /** Small things an upstream wants remembered across restarts: back-offs, proofs that a repository is public. */
  remembered(upstream: string, key: string): MaybePromise<MemoryRecord | undefined>;
  remember(upstream: string, key: string, record: MemoryRecord): Promise<void>;

  /** The right to do a task that one process does at a time, by the task's name; as the leases of fills. */
  readonly tasks: LeasesOf<string>;

  readonly bookmarks: Bookmarks;

  /** Which store this is; `undefined`: it was never claimed, or is empty. See with-epoch.ts. */
  epoch(): MaybePromise<string | undefined>;
  /** Makes it this one where it has none; yields the one that it has. */
  claimEpoch(epoch: string): Promise<string>;

  /** What routes hold and may hold. */
  readonly quota: QuotaRecords;

  /** What counts against the size of the cache. */
  readonly inventory: Inventory;

  /** What is remembered of an official registry's data. */
  readonly official: OfficialRecords;

  /** What our tokens are signed with; all nodes have the same. */
  readonly signingKeys: SigningKeys;

  /** What clients keep instead of passwords, by its hash. */
  readonly refreshTokens: RefreshTokens;

  /** Tokens that were made by command, for machines. */
  readonly machineTokens: MachineTokenRecords;

  /** What was said of content that asked to be let in, and what was. */
  readonly verdicts: Verdicts;

  /** Events that receivers of notifications are still to be told. */
  readonly outbox: Outbox;

  flushed(): Promise<void>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

export type { Bookmark, Bookmarks } from './records-bookmarks.ts';
export type { MachineTokenRecord, MachineTokenRecords } from './records-machine-tokens.ts';
export type { PinRecord, Pins } from './records-pins.ts';
export type { RefreshTokenRecord, RefreshTokens } from './records-refresh-tokens.ts';
export type { SigningKey, SigningKeys } from './records-signing-keys.ts';
export type { LetIn, LetInRecord, VerdictRecord, Verdicts } from './records-verdicts.ts';
export type { Outbox, OutboxEntry, Waiting } from './records-outbox.ts';

/**
 * What it took to obtain something from an upstream: `nothing`, if anybody could have had it there; our account; or a client's own
 * credentials. `undefined` in a record: not noted, as by older versions.
 */
export type Needed = 'nothing' | 'account' | 'client';

export interface TagRecord {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  /** When that was asked which an upstream last answered so: it may have moved while the answer was on its way. */
  readonly checked: number;
  /** When a check last failed; the next is not tried before `retry` has passed. */
  readonly failed?: number;
  /** When that was asked which an upstream answered with: it is gone (`ondelete: keep`). */
  readonly gone?: number;
  /** The upstream that said it; {@link HOSTED}: it was pushed. */
  readonly upstream: string;
  readonly needed?: Needed;
}

export interface TagMove {
  /** When it was seen. */
  readonly at: number;
  /** When that was asked which was answered so; not noted where that is `at`. */
  readonly asked?: number;
  readonly digest: Digest;
  readonly upstream: string;
  /** The tag was deleted then; `digest` is what it had pointed to. */
  readonly deleted?: boolean;
}

export interface ReleaseRecord {
  readonly digest: Digest;
  readonly at: number;
}

export interface LinkRecord {
  readonly kind: 'manifest' | 'blob';
  readonly size: number;
  /** Of a manifest. */
  readonly mediaType?: string;
  /** How it came: an upstream's 2xx under this repository, or implied by a public manifest (decision 8). */
  readonly by: 'upstream' | 'public' | 'push' | 'mount' | 'import';
  readonly upstream?: string;
  /** That upstream said that it has it, and has not shown it by bringing all of the bytes. */
  readonly claimed?: boolean;
  /** Where it came from an upstream. */
  readonly needed?: Needed;
  /** Of a pushed manifest that is a referrer. */
  readonly subject?: Digest;
  readonly at: number;
}

export interface DescribedRecord {
  readonly size: number;
  readonly mediaType: string;
  /** The describing manifest was obtained without credentials, on a route that anyone may pull. */
  readonly public: boolean;
}

export interface BlobRecord {
  readonly size: number;
  /** Obtained without credentials, on a route that anyone may pull. */
  readonly public: boolean;
  /** On its way out: by a collection, or by an eviction. */
  readonly state: 'held' | 'deleting' | 'evicting';
  readonly at: number;
  /** Who had brought them to an official registry whose data they lay in, though no repository there was seen to hold them. */
  readonly brought?: { readonly registry: string; readonly upstream: string };
}

/**
 * What one fill brings: a digest, from the upstreams of one registry. Fills of the same digest in two registries know nothing of
 * each other.
 */
export interface FillKey {
  readonly registry: string;
  readonly digest: Digest;
}

export interface PartRecord {
  readonly id: string;
  readonly generation: number;
  /** Bytes from the start that were fsynced, and are trusted after any crash (decision 5). */
  readonly synced: number;
  /** As many or more that were written, and are trusted where they hash to this; an older version did not note it. */
  readonly prefix?: { readonly bytes: number; readonly digest: Digest };
  readonly size: number | undefined;
  readonly at: number;
  /** `undefined`: nobody knows, as an older version did not note it. */
  readonly brought?: BroughtRecord;
}

/** How the bytes of an unfinished fill came. */
export interface BroughtRecord {
  /** Under which an upstream was asked for them, with its registry. */
  readonly repository: string;
  /** No credential was needed. */
  readonly anonymous: boolean;
  /** And anyone may pull there. */
  readonly public: boolean;
  /** Where one upstream brought them all. */
  readonly upstream?: string;
}

/** Times out at `until`; `fence` only grows. The frontier is told here, never taken from the file's size. */
export interface LeaseRecord {
  readonly holder: string;
  readonly fence: number;
  readonly until: number;
  readonly part?: string;
  readonly size?: number;
  readonly frontier?: number;
  readonly state?: 'running' | 'done' | 'failed';
  readonly brought?: BroughtRecord;
}

export interface ListingRecord {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly checked: number;
  readonly failed?: number;
  readonly upstream: string;
  readonly needed?: Needed;
}

export interface PullCount {
  readonly pulls: number;
  readonly last: number;
}

export interface MemoryRecord {
  readonly value: string;
  readonly until: number;
}

export interface RecordsOptions {
  readonly clock: Clock;
  /** How long uses are collected before they are written, ms. Default 10 s. */
  readonly batchIntervalMs?: number;
  readonly report?: ReportMetadata;
  /** What a use of a manifest is a use of; see {@link import('./records-uses.ts').UsesOptions}. */
  readonly imageOf?: ImageOf;
}

/**
 * Records over a store, which it closes when it is closed. Every call rejects (or throws, where the store is synchronous)
 * with MetadataUnavailable while the store cannot be asked, and with MetadataRefused while its layout is a newer version's;
 * `ping` tells before the first pull does. What does not decode counts as absent and is reported.
 */
export function createRecords(store: MetadataStore, options: RecordsOptions): Records {
  const { clock, batchIntervalMs = 10_000, report = () => undefined, imageOf } = options;
  const checked = withLayout(store);
  const table = createTable(checked, report);
  const catalogue = createCatalogue(table);
  const holders = createHolders(table, clock);
  const links = createLinks(table, catalogue, holders);
  const owned = createOwned(table);
  const { write, stop, ...uses } = createUses(table, { clock, batchIntervalMs, report, imageOf });
  return {
    ...createTags(table, catalogue),
    ...links,
    ...owned,
    ...createHosted(table, catalogue, holders),
    ...createDeletions(table, catalogue, clock, { ...links, ...owned }),
    ...createCollect(table, clock, holders),
    ...createEvictions(table, clock),
    ...createUploads(table, clock),
    ...createEpoch(table),
    ...createBlobs(table),
    ...createLeases(table, clock),
    ...createListings(table),
    tasks: createLeasesOf<string>(table, clock, taskSlot),
    bookmarks: createBookmarks(table),
    quota: createQuota(table),
    inventory: createInventory(table),
    ...createPins(table, clock),
    official: createOfficial(table),
    signingKeys: createSigningKeys(table),
    refreshTokens: createRefreshTokens(table),
    machineTokens: createMachineTokenRecords(table),
    verdicts: createVerdicts(table),
    outbox: createOutbox(table, clock),
    ...uses,
    writeUses: write,
    repositories: catalogue.repositories,
    flushed: () => checked.flushed(),
    ping: () => checked.ping(),
    async close() {
      await stop();
      await checked.close();
    },
  };
}
