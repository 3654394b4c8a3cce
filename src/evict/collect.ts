import type { BlobStore } from '../blobs/blob-store.ts';
import { allRepositories, type Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import { takeTurn, type Turn, type TurnDeps } from './turn.ts';
import type { CollectStep, CollectTotals, QuotaStep, ReportCollect } from './events.ts';
import { foresee } from './foresee.ts';
import { markRepository, type HeldLink } from './mark.ts';
import { expiredTags, type RetentionLine } from './retention.ts';
import { sweep } from './sweep.ts';

export type { CollectStep, CollectTotals } from './events.ts';

/** How long what nothing needs is kept: a push may take so long from its first blob to its manifest. */
export const GRACE_MS = 3_600_000;

export interface CollectDeps extends TurnDeps {
  readonly clock: Clock;
  readonly blobs: BlobStore;
  readonly records: Records;
  readonly report: ReportCollect;
  /** The lines of a repository's route, in order; none: every tag stays. */
  readonly retention: (repository: string) => readonly RetentionLine[];
  /** Drops uploads that nobody goes on with, or only counts them. */
  readonly purge: (dryRun: boolean) => Promise<{ readonly uploads: number }>;
  /** What the routes with a quota hold then; counted again, so that what went is given back. */
  readonly quotas: () => Promise<readonly Omit<QuotaStep, 'kind'>[]>;
}

export interface CollectOptions {
  /** Only tells what would go. */
  readonly dryRun: boolean;
  /** Manifests without tag go too, unless an index that is kept lists them, or they refer to one that is kept. */
  readonly deleteUntagged: boolean;
}

type Counts = { -readonly [Key in keyof CollectTotals]: number };

/**
 * Removes what was pushed and nothing needs any more, while pushes go on: tags by retention, then what no manifest of a
 * repository needs, then bytes that no repository holds; and uploads that were left alone. Yields each step, and the totals
 * last; ends early, with nothing half done, when its reader does. Throws RegistryError where another collects.
 */
export async function* collect(deps: CollectDeps, options: CollectOptions): AsyncGenerator<CollectStep> {
  const turn = await takeTurn('collect', deps);
  let failed = false;
  try {
    yield* run(deps, options, turn);
  } catch (error) {
    failed = true;
    throw error;
  } finally {
    if (failed) turn.leave();
    else await turn.end().catch(() => undefined); // It runs out by itself.
  }
}

async function* run(deps: CollectDeps, options: CollectOptions, turn: Turn): AsyncGenerator<CollectStep> {
  const { clock, report } = deps;
  const { dryRun } = options;
  const [started, before] = [clock.monotonic(), clock.now() - GRACE_MS];
  const totals: Counts = { repositories: 0, unreadable: 0, tags: 0, manifests: 0, links: 0, blobs: 0, bytes: 0, uploads: 0 };
  totals.uploads = (await deps.purge(dryRun)).uploads;
  const foreseen = { unlinked: new Map<Digest, Set<string>>(), unreadable: new Set<string>() };
  for await (const repository of allRepositories(deps.records)) {
    totals.repositories += 1;
    for await (const step of clearRepository(deps, options, { repository, before, turn, unlinked: foreseen.unlinked })) {
      if (step.kind === 'unreadable') foreseen.unreadable.add(repository);
      count(totals, step);
      yield step;
    }
  }
  for await (const { digest, bytes } of dryRun ? foresee(deps, { before }, foreseen) : sweep(deps, { before }, turn)) {
    const step = { kind: 'blob', digest, bytes } as const;
    count(totals, step);
    yield step;
  }
  for (const quota of await deps.quotas()) yield { kind: 'quota', ...quota };
  const done = { kind: 'collected', dryRun, at: clock.now(), ms: Math.round(clock.monotonic() - started), ...totals } as const;
  report(done);
  yield done;
}

interface Clearing {
  readonly repository: string;
  readonly before: number;
  readonly turn: Turn;
  /** Of a dry run: filled with what would go. */
  readonly unlinked: Map<Digest, Set<string>>;
}

async function* clearRepository(deps: CollectDeps, options: CollectOptions, clearing: Clearing): AsyncGenerator<CollectStep> {
  const { records, clock } = deps;
  const { dryRun, deleteUntagged } = options;
  const { repository, before, turn } = clearing;
  const lost = await records.unreadable(repository);
  if (lost !== undefined) return yield { kind: 'unreadable', repository, digest: lost };
  const withoutTags = new Set<string>();
  for (const { tag, record, why } of await expiredTags(records, repository, deps.retention(repository), clock.now())) {
    await turn.check();
    if (dryRun) withoutTags.add(tag);
    else if ((await records.dropHostedTag(repository, tag, record)) === undefined) continue;
    yield { kind: 'tag', repository, tag, why };
  }
  const marked = await markRepository(deps, repository, { deleteUntagged, before, withoutTags });
  if (marked.kind === 'unreadable') return yield { kind: 'unreadable', repository, digest: marked.digest };
  // Manifests first: after a crash no manifest is there without what it needs.
  for (const link of [...marked.manifests, ...marked.blobs]) {
    await turn.check();
    if (dryRun) noteUnlinked(clearing, link);
    else if (!(await drop(records, repository, link))) continue;
    yield { kind: link.record.kind === 'manifest' ? 'manifest' : 'link', repository, digest: link.digest };
  }
}

/** False where it was needed after all since it was read: every push that needs it changes it. */
async function drop(records: Records, repository: string, { digest, record }: HeldLink): Promise<boolean> {
  if (record.kind === 'blob') return records.dropLink(repository, digest, record);
  return (await records.dropHosted(repository, digest, record)) !== undefined;
}

function noteUnlinked({ unlinked, repository }: Clearing, { digest }: HeldLink): void {
  unlinked.set(digest, (unlinked.get(digest) ?? new Set()).add(repository));
}

function count(totals: Counts, step: CollectStep): void {
  switch (step.kind) {
    case 'tag':
      totals.tags += 1;
      return;
    case 'manifest':
      totals.manifests += 1;
      return;
    case 'link':
      totals.links += 1;
      return;
    case 'unreadable':
      totals.unreadable += 1;
      return;
    case 'blob':
      totals.blobs += 1;
      totals.bytes += step.bytes;
      return;
    case 'quota':
    case 'collected':
  }
}
