import type { Take } from '../blobs/take.ts';
import { allHostedTags, allLinks, allRepositories, isHosted, type LinkRecord, type Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';
import type { BackupLink } from './backup.ts';
import { inBatches } from './batches.ts';
import type { BackupLayout, PathOf } from './layout.ts';
import { readLines } from './lines.ts';
import type { Marker } from './marker.ts';

export interface RestoreDeps {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly layout: BackupLayout;
  readonly marker: Marker;
  readonly linkOf: (line: string) => BackupLink | undefined;
  /** Where the content stands in the backup. */
  readonly pathOf: PathOf;
  /** Takes content into the new store, verified. */
  readonly take: Take;
  /** Takes the metadata into the new store, whose content is there. */
  readonly load: (lines: AsyncIterable<string>) => Promise<number>;
  /** Of the new store. */
  readonly records: Pick<Records, 'repositories' | 'links' | 'hostedTags' | 'dropHosted' | 'dropHostedTag' | 'link'>;
  readonly size: (digest: Digest) => Promise<number | undefined>;
  /** What a held manifest needs; `undefined` where that cannot be told. */
  readonly needsOf: (digest: Digest, link: LinkRecord) => Promise<readonly Digest[] | undefined>;
}

export interface RestoreCounts {
  /** Entries of the metadata in the backup. */
  readonly lines: number;
  readonly done: number;
  /** Files that got a second name, or were copied, and their bytes. Each was verified. */
  readonly linked: number;
  readonly copied: number;
  readonly bytes: number;
}

export type RestoreStep =
  | ({ readonly kind: 'progress' } & RestoreCounts)
  /** Hosted, and not whole in the backup. */
  | { readonly kind: 'not-restored'; readonly repository: string; readonly what: string; readonly why: string }
  | ({
      readonly kind: 'restored';
      /** When the backup was made, ISO 8601. */
      readonly at: string;
      /** Of what is hosted: tags, manifests and blobs of repositories, every one of which is here and was verified. */
      readonly repositories: number;
      readonly tags: number;
      readonly manifests: number;
      readonly blobs: number;
      readonly entries: number;
      readonly notRestored: number;
    } & RestoreCounts);

type Counts = { -readonly [Key in keyof RestoreCounts]: number };

const PROGRESS_MS = 500;
const AT_ONCE = 8;

/**
 * Makes a store of a backup, and proves it: every byte is hashed on its way, and then every hosted tag, manifest and blob is
 * looked for, with what each manifest needs. What is missing is named, and all else is restored.
 */
export async function* restore(deps: RestoreDeps): AsyncGenerator<RestoreStep> {
  const { clock, disk, layout, marker } = deps;
  const metadata = layout.metadata(marker.metadata);
  const counts: Counts = { lines: marker.lines, done: 0, linked: 0, copied: 0, bytes: 0 };
  let told = clock.monotonic();
  for await (const lines of inBatches(readLines(disk, metadata), AT_ONCE)) {
    counts.done += lines.length;
    const links = lines.flatMap((line) => deps.linkOf(line) ?? []);
    await Promise.all(links.map((link) => takeLink(deps, counts, link)));
    if (clock.monotonic() - told < PROGRESS_MS) continue;
    told = clock.monotonic();
    yield { kind: 'progress', ...counts };
  }
  const entries = await deps.load(readLines(disk, metadata));
  const proven = { repositories: 0, tags: 0, manifests: 0, blobs: 0, notRestored: 0 };
  for await (const repository of allRepositories(deps.records)) {
    const before = proven.tags + proven.manifests + proven.blobs;
    for await (const wrong of prove(deps, repository, proven)) {
      proven.notRestored += 1;
      yield { kind: 'not-restored', repository, ...wrong };
    }
    if (proven.tags + proven.manifests + proven.blobs > before) proven.repositories += 1;
  }
  yield { kind: 'restored', at: marker.at, entries, ...proven, ...counts };
}

/** What is wrong with it is found when everything is looked for. */
async function takeLink(deps: RestoreDeps, counts: Counts, { digest }: BackupLink): Promise<void> {
  const taken = await deps.take(digest, deps.pathOf(digest));
  if (taken.kind !== 'linked' && taken.kind !== 'copied') return;
  counts[taken.kind] += 1;
  counts.bytes += taken.size;
}

interface Wrong {
  readonly what: string;
  readonly why: string;
}

interface Proven {
  tags: number;
  manifests: number;
  blobs: number;
}

async function* prove(deps: RestoreDeps, repository: string, proven: Proven): AsyncGenerator<Wrong> {
  const { records, marker } = deps;
  for await (const { digest, record } of allLinks(records, repository)) {
    if (!isHosted(record)) continue;
    const wrong = await wrongWith(deps, digest, record);
    if (wrong !== undefined) yield { what: `${record.kind} ${digest}`, why: wrong };
    else if (record.at >= Date.parse(marker.at) && (await isTorn(deps, repository, digest, record)))
      await records.dropHosted(repository, digest, record);
    else proven[record.kind === 'manifest' ? 'manifests' : 'blobs'] += 1;
  }
  for await (const { tag, record } of allHostedTags(records, repository)) {
    if ((await records.link(repository, record.digest)) !== undefined) proven.tags += 1;
    // Deleted with its manifest while the metadata were read, which only Redis tells bit by bit.
    else await records.dropHostedTag(repository, tag, record);
  }
}

async function wrongWith({ size: sizeOf }: RestoreDeps, digest: Digest, { size }: LinkRecord): Promise<string | undefined> {
  const found = await sizeOf(digest);
  if (found === undefined) return 'its bytes are not in the backup, or damaged there';
  return found === size ? undefined : `it has ${found} bytes instead of ${size}`;
}

/** Pushed while the metadata were read bit by bit: it was seen, and something that it needs was not. */
async function isTorn(deps: RestoreDeps, repository: string, digest: Digest, link: LinkRecord): Promise<boolean> {
  if (link.kind !== 'manifest') return false;
  for (const need of (await deps.needsOf(digest, link)) ?? [])
    if ((await deps.records.link(repository, need)) === undefined) return true;
  return false;
}
