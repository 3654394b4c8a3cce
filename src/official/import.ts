import type { BlobStore } from '../blobs/blob-store.ts';
import { isHosted, type LinkRecord, type Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import { nextTurn } from '../system/turn.ts';
import type { LinkKind, OfficialDirectory } from './directory.ts';
import type { Fate, OfficialNames, Takeover } from './takeover.ts';

export interface ImportDeps {
  readonly clock: Clock;
  readonly blobs: Pick<BlobStore, 'open'>;
  readonly records: Records;
  readonly directory: OfficialDirectory;
  readonly takeover: Takeover;
  readonly names: OfficialNames;
  /** Why a repository may not be taken: no route leads to it. */
  readonly whyNot: (holder: string) => string | undefined;
  /** Rejects where somebody else may change what is taken, and nothing more may be. */
  readonly check: () => Promise<void>;
}

export interface ImportOptions {
  /** Only tells what would be taken: nothing is hashed. */
  readonly dryRun: boolean;
  /** It is the data below our own root directory: once all of it was taken, nothing is looked up there any more. */
  readonly own: boolean;
}

/** What a tag, manifest, blob or repository is called when something is said of it. */
export interface ImportItem {
  readonly repository: string;
  readonly what: 'repository' | 'tag' | LinkKind;
  readonly reference: string;
}

export type ImportStep =
  | ({ readonly kind: 'progress'; readonly repository: string } & ImportCounts)
  /** It was not taken, and why. */
  | ({ readonly kind: 'not-taken'; readonly why: string } & ImportItem)
  /** The end. `finished`: nothing is left that could be taken another time. */
  | ({ readonly kind: 'imported'; readonly dryRun: boolean; readonly finished: boolean } & ImportCounts);

export interface ImportCounts {
  /** Tags, manifests and blobs of repositories, as many as there are. */
  readonly all: number;
  /** Of those, looked at. */
  readonly done: number;
  readonly repositories: number;
  readonly tags: number;
  readonly manifests: number;
  readonly blobs: number;
  /** Files that got a second name, or were copied. What was here before is neither. */
  readonly linked: number;
  readonly copied: number;
  /** Of both. */
  readonly bytes: number;
  /** Taken before. */
  readonly known: number;
  /** What cannot be taken, or could not be read now. */
  readonly notTaken: number;
}

type Counts = { -readonly [Key in keyof ImportCounts]: number };

/** Between two words of progress, ms. */
const PROGRESS_MS = 500;

/**
 * Takes over all of an official registry's data, repository by repository: blobs, manifests, tags, in this order, so that no
 * tag is here before what it needs. What was taken before is passed over without being hashed again; so it goes on where it
 * stopped, whatever stopped it. What stands here already is never replaced.
 */
export async function* importAll(deps: ImportDeps, options: ImportOptions): AsyncGenerator<ImportStep> {
  const { clock, directory, records, names, whyNot } = deps;
  const counts: Counts = {
    all: 0,
    done: 0,
    repositories: 0,
    tags: 0,
    manifests: 0,
    blobs: 0,
    linked: 0,
    copied: 0,
    bytes: 0,
    known: 0,
    notTaken: 0,
  };
  const unread: ImportStep[] = [];
  const repositories: string[] = [];
  for await (const repository of directory.repositories(undefined, noteUnread)) {
    repositories.push(repository);
    counts.all += await directory.count(repository).catch(() => 0); // What cannot be read is told of below.
  }
  let [told, left] = [clock.monotonic(), unread.length];
  yield* unread;
  for (const repository of repositories) {
    const refused = whyNot(`${names.registry}/${repository}`);
    if (refused !== undefined) {
      counts.notTaken += 1;
      yield { kind: 'not-taken', repository, what: 'repository', reference: repository, why: refused };
      continue;
    }
    counts.repositories += 1;
    for await (const step of importRepository(deps, options, repository, counts)) {
      if (step !== undefined) {
        counts.notTaken += 1;
        if (step.passing) left += 1;
        const { passing: _, ...said } = step;
        yield { kind: 'not-taken', ...said };
      }
      if (clock.monotonic() - told < PROGRESS_MS) continue;
      told = clock.monotonic();
      yield { kind: 'progress', repository, ...counts };
    }
  }
  counts.notTaken += unread.length;
  if (!options.dryRun) await records.flushed();
  if (!options.dryRun && options.own && left === 0) await records.official.noteImported(clock.now());
  yield { kind: 'imported', dryRun: options.dryRun, finished: left === 0, ...counts };

  function noteUnread(path: string, error: unknown): void {
    unread.push({ kind: 'not-taken', repository: path, what: 'repository', reference: path, why: messageOf(error) });
  }
}

/** `passing`: another time it may be taken. */
type NotTaken = ImportItem & { readonly why: string; readonly passing: boolean };

const NO_DIGEST = 'it is no link to a digest of a known algorithm';

/** One value for each thing that was looked at. */
async function* importRepository(
  deps: ImportDeps,
  options: ImportOptions,
  repository: string,
  counts: Counts,
): AsyncGenerator<NotTaken | undefined> {
  for (const kind of ['blob', 'manifest'] as const) {
    const all = { repository, what: 'repository', reference: repository } as const;
    const found = await orNotTaken(all, () => deps.directory.linked(kind, repository));
    if ('why' in found) {
      yield found;
      continue;
    }
    for (const odd of found.odd) {
      yield { repository, what: kind, reference: odd, why: NO_DIGEST, passing: false };
    }
    const take = (digest: Digest): Promise<Fate> => takeDigest(deps, options, repository, kind, digest);
    yield* importSome(deps, counts, { repository, what: kind }, found.digests, take);
  }
  const tags = await deps.directory.tags(repository);
  yield* importSome(deps, counts, { repository, what: 'tag' }, tags, (tag) => takeTag(deps, options, repository, tag));
}

/** Things that are taken at once: each waits for the disk most of the time. */
const AT_ONCE = 8;

async function* importSome<T extends string>(
  deps: ImportDeps,
  counts: Counts,
  of: Omit<ImportItem, 'reference'>,
  references: readonly T[],
  take: (reference: T) => Promise<Fate>,
): AsyncGenerator<NotTaken | undefined> {
  for (let at = 0; at < references.length; at += AT_ONCE) {
    await deps.check();
    await nextTurn();
    const taking = references.slice(at, at + AT_ONCE).map(async (reference) => {
      const item = { ...of, reference };
      return { item, fate: await orNotTaken(item, () => take(reference)) };
    });
    for (const { item, fate } of await Promise.all(taking)) {
      counts.done += 1;
      if ('passing' in fate) yield fate;
      else yield noteFate(counts, item, fate);
    }
  }
}

/** What there is to tell of it beside the counts. */
function noteFate(counts: Counts, item: ImportItem, fate: Fate): NotTaken | undefined {
  switch (fate.kind) {
    case 'taken':
      count(counts, item, fate);
      return undefined;
    case 'dangling':
      return { ...item, why: 'it points to a manifest that its repository does not hold', passing: false };
    case 'refused':
      return { ...item, why: fate.why, passing: false };
    case 'gone':
      return undefined;
  }
}

function count(counts: Counts, { what }: ImportItem, fate: Extract<Fate, { kind: 'taken' }>): void {
  if (what === 'tag') counts.tags += 1;
  if (what === 'manifest') counts.manifests += 1;
  if (what === 'blob') counts.blobs += 1;
  if (fate.how === 'known') {
    counts.known += 1;
    return;
  }
  counts[fate.how] += 1;
  counts.bytes += fate.bytes;
}

async function takeDigest(
  { blobs, records, directory, takeover }: ImportDeps,
  { dryRun }: ImportOptions,
  repository: string,
  what: LinkKind,
  digest: Digest,
): Promise<Fate> {
  const link = await records.link(takeover.holder(repository), digest);
  if (link !== undefined && isOurs(takeover, link) && link.kind === what) {
    const held = await blobs.open(digest);
    held?.close();
    if (held?.size === link.size) return { kind: 'taken', how: 'known', bytes: link.size };
  }
  if (!dryRun) return takeover[what](repository, digest);
  const size = await directory.size(digest);
  return size === undefined
    ? { kind: 'refused', why: 'its bytes are not there' }
    : { kind: 'taken', how: 'linked', bytes: size };
}

/** What came from an upstream grants nothing of what is to be hosted. */
function isOurs({ hosted }: Takeover, link: LinkRecord): boolean {
  return !hosted || isHosted(link);
}

/** A tag that stands here stays: it moved on since, or was taken before. */
async function takeTag(
  { records, directory, takeover }: ImportDeps,
  { dryRun }: ImportOptions,
  repository: string,
  tag: string,
): Promise<Fate> {
  const holder = takeover.holder(repository);
  const stands = takeover.hosted ? await records.hostedTag(holder, tag) : await records.tag(holder, tag);
  if (stands !== undefined) return { kind: 'taken', how: 'known', bytes: 0 };
  const found = await directory.tag(repository, tag);
  if (found === undefined) return { kind: 'refused', why: NO_DIGEST };
  if (!dryRun) {
    const fate = await takeover.tag(repository, tag);
    // Its manifest was counted by itself.
    return fate.kind === 'taken' ? { kind: 'taken', how: 'known', bytes: 0 } : fate;
  }
  return (await directory.links('manifest', repository, found.digest))
    ? { kind: 'taken', how: 'known', bytes: 0 }
    : { kind: 'dangling' };
}

/** Codes of what is wrong with one file, and not with the disk. */
const ONE_FILE: ReadonlySet<unknown> = new Set(['EACCES', 'EPERM', 'EIO', 'ELOOP', 'ENAMETOOLONG', 'EISDIR', 'ENOTDIR']);

/** What one file's trouble is, is told of that file; everything else ends the import, which can be begun again. */
async function orNotTaken<T extends object>(item: ImportItem, work: () => Promise<T>): Promise<T | NotTaken> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || !ONE_FILE.has(error.code)) throw error;
    return { ...item, why: messageOf(error), passing: true };
  }
}

function messageOf(error: unknown): string {
  return `it cannot be read: ${error instanceof Error ? error.message : String(error)}`;
}
