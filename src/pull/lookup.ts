import type { BlobStore } from '../blobs/blob-store.ts';
import { HOSTED, isHosted, type LinkRecord, type Records, type TagRecord } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import type { ReportPull } from './events.ts';
import { judge, mayBeStale, type Freshness } from './freshness.ts';
import { isNobody, type Given, type Givers } from './givers.ts';
import { linkShows, note, shows, type Terms } from './granting.ts';
import type { Route } from './route.ts';
import { unlessTrouble } from './trouble.ts';

export interface LookupDeps {
  readonly givers: Givers;
  readonly blobs: BlobStore;
  readonly records: Records;
  readonly clock: Clock;
  readonly report: ReportPull;
}

/**
 * `held`: here, and this repository may show it; `pushed`: on a route that takes pushes, the link of what was. `unlinked`: the bytes
 * are here, but nothing says that this repository holds them; one of those who have given them has to (promise 9). `missing`: to be
 * fetched, since it is not here or nobody could say so; `expectedSize` as a verified manifest described it.
 */
export type BlobLookup =
  | { readonly kind: 'held'; readonly size: number; readonly pushed?: LinkRecord }
  | { readonly kind: 'unlinked'; readonly size: number; readonly given: Given; readonly expectedSize: number | undefined }
  | { readonly kind: 'missing'; readonly expectedSize: number | undefined };

/**
 * A hit costs one metadata read (architecture.md, decision 10). On a route that takes pushes, throws RegistryError where it cannot
 * be told whether this was pushed, or what was pushed cannot be read: though its repository may still be anybody's, nobody else has
 * it for sure, and the chain's 404 would be a lie.
 */
export async function lookupBlob(
  deps: LookupDeps,
  { holder: repository, route }: { readonly holder: string; readonly route: Terms & Pick<Route, 'hosted'> },
  digest: Digest,
): Promise<BlobLookup> {
  const readLink = async (): Promise<LinkRecord | undefined> => deps.records.link(repository, digest);
  const link = route.hosted ? await unlessTrouble(deps.report, readLink) : await readLink();
  const grants = link !== undefined && (await linkShows(deps, route, repository, digest, link));
  if (grants) {
    const look = (): Promise<boolean> => isHeld(deps, digest, link.size);
    const pushed = route.hosted && isHosted(link);
    const isHere = pushed ? await unlessTrouble(deps.report, look) : await look();
    if (!isHere) return { kind: 'missing', expectedSize: link.size };
    return { kind: 'held', size: link.size, ...(pushed ? { pushed: link } : {}) };
  }
  const described = await deps.records.described(repository, digest);
  const expectedSize = link?.size ?? described?.size;
  const blob = await deps.records.blob(digest);
  if (blob === undefined || blob.state !== 'held' || !(await isHeld(deps, digest, blob.size)))
    return { kind: 'missing', expectedSize };
  // Public on both sides: the manifest that names it and the bytes themselves (decision 8).
  if (described?.public !== true || !blob.public) {
    const given = await deps.givers.of(repository, digest, blob);
    if (isNobody(given)) return { kind: 'missing', expectedSize };
    return { kind: 'unlinked', size: blob.size, given, expectedSize };
  }
  await notePublic(deps, repository, digest, { kind: 'blob', size: blob.size });
  return { kind: 'held', size: blob.size };
}

async function notePublic(
  deps: LookupDeps,
  repository: string,
  digest: Digest,
  link: Pick<LinkRecord, 'kind' | 'size' | 'mediaType'>,
): Promise<void> {
  await note(deps, repository, digest, { ...link, by: 'public', at: deps.clock.now() });
}

/** A file that vanished or was cut short is a miss, and heals by being fetched again (reliability.md, R23). */
export async function isHeld(deps: LookupDeps, digest: Digest, size: number): Promise<boolean> {
  const file = await deps.blobs.open(digest);
  if (file === undefined) return false;
  const { size: actual, version } = file;
  file.close();
  if (actual === size) return true;
  if (await deps.blobs.quarantine(digest, version, deps.clock.now()))
    deps.report({ kind: 'quarantined', digest, why: `${actual} bytes on disk instead of ${size}` });
  return false;
}

export interface ManifestLink {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
}

/** What grants the manifest under this repository; a blob's link does not. */
export async function lookupManifest(
  deps: LookupDeps,
  { holder: repository, route }: { readonly holder: string; readonly route: Terms },
  digest: Digest,
): Promise<ManifestLink | undefined> {
  const link = await deps.records.link(repository, digest);
  if (link !== undefined && (await linkShows(deps, route, repository, digest, link)))
    return link.kind === 'manifest' && link.mediaType !== undefined
      ? { digest, mediaType: link.mediaType, size: link.size }
      : undefined;
  const described = await deps.records.described(repository, digest);
  if (described?.public !== true) return undefined;
  const blob = await deps.records.blob(digest);
  if (blob?.public !== true || blob.state !== 'held' || blob.size !== described.size) return undefined;
  const { mediaType, size } = described;
  await notePublic(deps, repository, digest, { kind: 'manifest', size, mediaType });
  return { digest, mediaType, size };
}

export interface TagLookup {
  readonly record: TagRecord;
  readonly freshness: Freshness;
  /** May be served when the chain fails. */
  readonly stale: boolean;
}

export async function lookupTag(
  deps: LookupDeps,
  { holder, route }: { readonly holder: string; readonly route: Terms },
  tag: string,
): Promise<TagLookup | undefined> {
  const { policy } = route;
  const record = await deps.records.tag(holder, tag);
  // A tag that was pushed is no upstream's word: who asks the chain does not ask for it.
  if (record === undefined || record.upstream === HOSTED) return undefined;
  if (!(await shows(deps, route, record.digest, record))) return undefined;
  const now = deps.clock.now();
  // An upstream that said "gone" was asked: for the ttl that is an answer like any other.
  const asked = { ...record, checked: Math.max(record.checked, record.gone ?? 0) };
  return {
    record,
    freshness: judge(asked, policy, policy.immutable(tag), now),
    stale: record.gone !== undefined || mayBeStale(record, policy, now),
  };
}
