import type { Take } from '../blobs/take.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';
import { randomId, type Random } from '../system/random.ts';
import { inBatches } from './batches.ts';
import { isMetadataName, metadataName, type BackupLayout, type PathOf } from './layout.ts';
import { readLines, writeLines } from './lines.ts';
import { BACKUP, writeMarker } from './marker.ts';

export interface BackupDeps {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly random: Random;
  readonly layout: BackupLayout;
  /** The metadata, a line each: one moment, or what refers before what it refers to. */
  readonly lines: (cached: boolean) => AsyncIterable<string>;
  /** The layout of those lines. */
  readonly linesLayout: number;
  readonly linkOf: (line: string) => BackupLink | undefined;
  /** Where the content that is to be backed up stands. */
  readonly pathOf: PathOf;
  /** Takes content into the backup, verified. */
  readonly take: Take;
  /** Rejects where hosted content may be removed by now. */
  readonly check: () => Promise<void>;
  /** `entrepot 0.1.0`. */
  readonly writtenBy: string;
}

export interface BackupLink {
  readonly repository: string;
  readonly digest: Digest;
  readonly size: number;
  readonly hosted: boolean;
}

export interface BackupCounts {
  /** Entries of the metadata. */
  readonly lines: number;
  /** Of those, looked at for the content that they name. */
  readonly done: number;
  readonly linked: number;
  readonly copied: number;
  /** Of both. */
  readonly bytes: number;
  /** Here since an earlier backup, or under another name. */
  readonly known: number;
  /** Cached, and evicted since. */
  readonly evicted: number;
  /** Hosted, and lost or damaged before it could be backed up. */
  readonly lost: number;
}

export type BackupStep =
  | ({ readonly kind: 'progress' } & BackupCounts)
  | { readonly kind: 'lost'; readonly repository: string; readonly digest: Digest; readonly why: string }
  | ({ readonly kind: 'backed-up'; readonly cached: boolean } & BackupCounts);

type Counts = { -readonly [Key in keyof BackupCounts]: number };

const PROGRESS_MS = 500;
const AT_ONCE = 8;

/**
 * A copy that can be restored, while pushes and pulls go on: first the metadata as they stand, then the content that they
 * name. Content is there before what refers to it, and what is hosted is not collected meanwhile, so that all of it is found;
 * cached content may be evicted meanwhile, and is fetched again where it is restored. What an earlier backup brought stays
 * and is not taken again. Until the last step the earlier backup is the one that would be restored.
 */
export async function* backUp(deps: BackupDeps, cached: boolean): AsyncGenerator<BackupStep> {
  const { clock, disk, layout, random } = deps;
  const at = new Date(clock.now()).toISOString();
  const metadata = metadataName(randomId(random));
  const written = await writeLines(disk, layout.metadata(metadata), deps.lines(cached));
  await disk.syncDirectory(layout.directory);
  const counts: Counts = { lines: written.lines, done: 0, linked: 0, copied: 0, bytes: 0, known: 0, evicted: 0, lost: 0 };
  let told = clock.monotonic();
  for await (const lines of inBatches(readLines(disk, layout.metadata(metadata)), AT_ONCE)) {
    await deps.check();
    counts.done += lines.length;
    const links = lines.flatMap((line) => deps.linkOf(line) ?? []).filter(({ hosted }) => cached || hosted);
    for (const step of await Promise.all(links.map((link) => takeLink(deps, counts, link)))) if (step !== undefined) yield step;
    if (clock.monotonic() - told < PROGRESS_MS) continue;
    told = clock.monotonic();
    yield { kind: 'progress', ...counts };
  }
  const { lines, sha256 } = written;
  await writeMarker(disk, layout, {
    backup: BACKUP,
    layout: deps.linesLayout,
    writtenBy: deps.writtenBy,
    at,
    metadata,
    lines,
    sha256,
    cached,
  });
  await dropOthers(deps, metadata);
  yield { kind: 'backed-up', cached, ...counts };
}

async function takeLink(deps: BackupDeps, counts: Counts, link: BackupLink): Promise<BackupStep | undefined> {
  const { repository, digest } = link;
  const taken = await deps.take(digest, deps.pathOf(digest));
  switch (taken.kind) {
    case 'held':
      counts.known += 1;
      return undefined;
    case 'linked':
    case 'copied':
      counts[taken.kind] += 1;
      counts.bytes += taken.size;
      return undefined;
    case 'absent':
    case 'wrong':
      if (!link.hosted) {
        counts.evicted += 1;
        return undefined;
      }
      counts.lost += 1;
      return { kind: 'lost', repository, digest, why: taken.kind === 'wrong' ? 'its bytes are damaged' : 'its bytes are lost' };
  }
}

/** Of earlier backups, and of those that were not finished. */
async function dropOthers({ disk, layout }: BackupDeps, kept: string): Promise<void> {
  for (const name of await disk.list(layout.directory)) {
    if (isMetadataName(name) && name !== kept) await disk.unlink(layout.metadata(name));
  }
}
