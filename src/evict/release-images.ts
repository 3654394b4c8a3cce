import type { BlobStore } from '../blobs/blob-store.ts';
import { allLinks, allTags, HOSTED, isHosted, type Records, type TagRecord } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { EvictStep } from './events.ts';
import { imageOf } from './image.ts';

/** What of a repository somebody wants gone. */
export interface Doomed {
  /** With its registry. */
  readonly repository: string;
  readonly tags: readonly { readonly tag: string; readonly record: TagRecord }[];
  /** Manifests that were named themselves. */
  readonly digests: readonly Digest[];
  /** All of it: also what no tag leads to. */
  readonly whole: boolean;
}

export interface ReleaseDeps {
  readonly blobs: Pick<BlobStore, 'open'>;
  readonly records: Records;
  /** Why an image stays whatever is asked for; without tag: why all of the repository does. */
  readonly whyKept: (repository: string, tag: string | undefined) => Promise<string | undefined>;
}

type ImageStep = Extract<EvictStep, { kind: 'image' }>;

/** Lets go of tags and links; `going` is filled with the digests that the repository then holds no more. */
export async function* releaseImages(
  deps: ReleaseDeps,
  { repository, tags, digests, whole }: Doomed,
  going: Set<Digest>,
  dryRun: boolean,
): AsyncGenerator<ImageStep> {
  const { records } = deps;
  const gone = new Set<string>();
  const roots = new Set<Digest>();
  let stays = false;
  for (const { tag, record } of tags) {
    const step = { kind: 'image', repository, tag, digest: record.digest } as const;
    const why = await whyStays(deps, repository, tag, record);
    const goes = why === undefined && (dryRun || (await records.dropTag(repository, tag)));
    if (goes) gone.add(tag);
    if (goes) roots.add(record.digest);
    else stays = true;
    yield goes ? { ...step, goes } : { ...step, goes, why: why ?? 'it changed just now' };
  }
  for (const digest of tags.length === 0 && whole ? [undefined] : digests) {
    const why = await whyStays(deps, repository, undefined, undefined);
    const step = { kind: 'image', repository, tag: undefined, digest } as const;
    if (why === undefined && digest !== undefined) roots.add(digest);
    yield why === undefined ? { ...step, goes: true } : { ...step, goes: false, why };
  }
  const all = whole && !stays && (await whyStays(deps, repository, undefined, undefined)) === undefined;
  for await (const digest of all ? linksOf(records, repository) : imagesOf(deps, repository, roots)) going.add(digest);
  if (!all) for await (const digest of neededBy(deps, repository, gone)) going.delete(digest);
  for (const digest of going) {
    const link = await records.link(repository, digest);
    // Of pushes: it goes by a collection. Whoever changed it meanwhile needs it.
    const letGo = link !== undefined && !isHosted(link) && (dryRun || (await records.dropLink(repository, digest, link)));
    if (!letGo) going.delete(digest);
  }
}

async function whyStays(
  { records, whyKept }: ReleaseDeps,
  repository: string,
  tag: string | undefined,
  record: TagRecord | undefined,
): Promise<string | undefined> {
  if (record?.upstream === HOSTED || (await records.owner(repository)) !== undefined) return 'it was pushed here';
  return whyKept(repository, tag);
}

async function* linksOf(records: Records, repository: string): AsyncGenerator<Digest> {
  for await (const { digest } of allLinks(records, repository)) yield digest;
}

async function* imagesOf(deps: ReleaseDeps, repository: string, roots: Iterable<Digest>): AsyncGenerator<Digest> {
  for (const root of roots) yield* await imageOf(deps, repository, root);
}

/** What the tags of the repository need but those. */
async function* neededBy(deps: ReleaseDeps, repository: string, without: ReadonlySet<string>): AsyncGenerator<Digest> {
  for await (const { tag, record } of allTags(deps.records, repository))
    if (!without.has(tag)) yield* await imageOf(deps, repository, record.digest);
}
