import type { BlobStore } from '../blobs/blob-store.ts';
import { allHostedTags, allLinks, isHosted, type LinkRecord, type Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { needsOf } from './read-manifest.ts';

export interface MarkDeps {
  readonly blobs: BlobStore;
  readonly records: Pick<Records, 'links' | 'hostedTags'>;
}

export interface MarkOptions {
  readonly deleteUntagged: boolean;
  /** Links that were written or renewed after it are kept: whoever did so may be about to push what needs them. */
  readonly before: number;
  /** Counts as not there: what retention would take in a dry run. */
  readonly withoutTags: ReadonlySet<string>;
}

export interface HeldLink {
  readonly digest: Digest;
  readonly record: LinkRecord;
}

/** `unreadable`: what this manifest needs cannot be told, so that nothing of its repository may go. */
export type Marked =
  | { readonly kind: 'marked'; readonly manifests: readonly HeldLink[]; readonly blobs: readonly HeldLink[] }
  | { readonly kind: 'unreadable'; readonly digest: Digest };

/**
 * What was pushed to a repository and nothing there needs: roots are its tags and, unless `deleteUntagged`, all its
 * manifests; then what they list, and the referrers of what is kept. Takes nothing: each is dropped only if it still stands
 * as it was read here, since every push that needs it changes it. Memory follows the number of the repository's links.
 */
export async function markRepository(deps: MarkDeps, repository: string, options: MarkOptions): Promise<Marked> {
  const links = await linksOf(deps, repository);
  const roots = await rootsOf(deps, repository, links, options);
  const kept = await keptOf(deps, links, roots);
  if (kept.kind === 'unreadable') return kept;
  const unneeded = [...links]
    .filter(([digest, record]) => isHosted(record) && record.at <= options.before && !kept.digests.has(digest))
    .map(([digest, record]) => ({ digest, record }));
  return {
    kind: 'marked',
    manifests: unneeded.filter(({ record }) => record.kind === 'manifest'),
    blobs: unneeded.filter(({ record }) => record.kind === 'blob'),
  };
}

type Links = ReadonlyMap<Digest, LinkRecord>;

async function linksOf({ records }: MarkDeps, repository: string): Promise<Links> {
  const links = new Map<Digest, LinkRecord>();
  for await (const { digest, record } of allLinks(records, repository)) links.set(digest, record);
  return links;
}

async function rootsOf(
  { records }: MarkDeps,
  repository: string,
  links: Links,
  { deleteUntagged, before, withoutTags }: MarkOptions,
): Promise<Digest[]> {
  const roots: Digest[] = [];
  for await (const { tag, record } of allHostedTags(records, repository)) if (!withoutTags.has(tag)) roots.push(record.digest);
  for (const [digest, record] of links) {
    // What an upstream granted is not collected, and what it needs stays for it.
    if (record.kind === 'manifest' && (!deleteUntagged || record.at > before || !isHosted(record))) roots.push(digest);
  }
  return roots;
}

async function keptOf(
  { blobs }: MarkDeps,
  links: Links,
  roots: readonly Digest[],
): Promise<{ readonly kind: 'kept'; readonly digests: ReadonlySet<Digest> } | Extract<Marked, { kind: 'unreadable' }>> {
  const referrers = referrersOf(links);
  const digests = new Set<Digest>();
  const next = [...roots];
  for (let digest = next.pop(); digest !== undefined; digest = next.pop()) {
    if (digests.has(digest)) continue;
    digests.add(digest);
    next.push(...(referrers.get(digest) ?? []));
    const link = links.get(digest);
    if (link?.kind !== 'manifest') continue;
    const needs = await needsOf(blobs, digest, link);
    if (needs !== undefined) next.push(...needs);
    else if (isHosted(link)) return { kind: 'unreadable', digest };
  }
  return { kind: 'kept', digests };
}

function referrersOf(links: Links): ReadonlyMap<Digest, readonly Digest[]> {
  const referrers = new Map<Digest, Digest[]>();
  for (const [digest, { subject }] of links) {
    if (subject !== undefined) referrers.set(subject, [...(referrers.get(subject) ?? []), digest]);
  }
  return referrers;
}
