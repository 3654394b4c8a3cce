import type { Verified } from '../blobs/blob-store.ts';
import type { Bookmark, Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { parseDigest } from '../oci/digest.ts';
import { enterMissing, isOrphan, leaveGone, removeOrphan, type ReconcileDeps } from './reconcile.ts';
import { mend, type Damage, type RepairDeps } from './repair.ts';
import type { ScrubStep, ScrubTotals } from './scrub-events.ts';
import type { Turn, TurnDeps } from './turn.ts';

export type ScrubDeps = TurnDeps &
  RepairDeps &
  ReconcileDeps & {
    readonly records: Pick<Records, 'tasks' | 'bookmarks'>;
  };

export interface ScrubRound {
  /** Where it goes on, or begins. */
  readonly bookmark: Bookmark;
  /** Without it nothing is changed: only told. */
  readonly repair: boolean;
  readonly signal: AbortSignal;
  /** Waited for after each slice that was read. */
  readonly pace?: (bytes: number) => Promise<void>;
  /** Asked before each blob but the first: true ends it there, to be gone on with later. */
  readonly isOver?: () => boolean;
}

/** So many files in a row that cannot be read are no damage of theirs. */
const UNREADABLE_MAX = 3;

/** How often the place is noted. */
const NOTE_MS = 30_000;

const TASK = 'scrub';

/**
 * Reads all that is held through, from the bookmark on, and compares it with its digest (reliability.md, R39); mends what is
 * damaged, and brings disk and records into line on the way (R43). Yields what it finds, and how far it is after each
 * directory; the whole at the end. Ends early by its signal, with a rejection, or by its reader: the bookmark then says where
 * to go on. Throws the disk's error where several files in a row cannot be read.
 */
export async function* scrubRound(deps: ScrubDeps, turn: Turn, round: ScrubRound): AsyncGenerator<ScrubStep> {
  const { clock, records } = deps;
  const { started } = round.bookmark;
  const totals: Counts = { blobs: 0, bytes: 0, damaged: 0, repaired: 0, orphans: 0 };
  const place = { at: round.bookmark.at, ended: false };
  try {
    yield* walk(deps, turn, round, { totals, place });
    if (!place.ended) return;
    if (round.repair) await leaveGone(deps, turn, round.signal);
  } finally {
    // Whoever only looks leaves nothing for others to go on with.
    if (round.repair) await note(deps, round, place).catch(() => undefined); // It goes on from an earlier place then.
  }
  const ended = clock.now();
  if (round.repair) await records.bookmarks.put(TASK, { started, ended });
  yield { kind: 'scrubbed', repair: round.repair, at: ended, ms: Math.max(0, ended - started), ...totals };
}

/** `at`: as the bookmark has it. */
interface Place {
  at: string | undefined;
  ended: boolean;
}

interface Walked {
  readonly totals: Counts;
  readonly place: Place;
}

async function* walk(deps: ScrubDeps, turn: Turn, round: ScrubRound, { totals, place }: Walked): AsyncGenerator<ScrubStep> {
  const { blobs, clock } = deps;
  const counts = { unreadable: 0, first: true, noted: clock.monotonic() };
  let { shelf: after, digest: last } = placeOf(place.at);
  for (let shelf = await blobs.shelf(after); shelf !== undefined; shelf = await blobs.shelf(after)) {
    for (const digest of shelf.digests) {
      if (last !== undefined && digest <= last) continue;
      round.signal.throwIfAborted();
      if (!counts.first && round.isOver?.() === true) return;
      counts.first = false;
      await turn.check();
      yield* one(deps, round, digest, totals, counts);
      place.at = `${after ?? ''} ${digest}`;
      if (round.repair && clock.monotonic() - counts.noted >= NOTE_MS) {
        await note(deps, round, place);
        counts.noted = clock.monotonic();
      }
    }
    [after, last] = [shelf.name, undefined];
    place.at = `${after} `;
    yield { kind: 'progress', blobs: totals.blobs, bytes: totals.bytes, share: shareOf(after) };
  }
  place.ended = true;
}

async function note({ records }: ScrubDeps, { bookmark }: ScrubRound, { at, ended }: Place): Promise<void> {
  if (at !== undefined && !ended) await records.bookmarks.put(TASK, { ...bookmark, at });
}

type Counts = { -readonly [Key in keyof ScrubTotals]: number };

async function* one(
  deps: ScrubDeps,
  { repair, signal, pace }: ScrubRound,
  digest: Digest,
  totals: Counts,
  walked: { unreadable: number },
): AsyncGenerator<ScrubStep> {
  const file = await deps.blobs.look(digest);
  if (file === undefined) return;
  if (await isOrphan(deps, digest, file)) {
    if (repair && !(await removeOrphan(deps, digest))) return;
    totals.orphans += 1;
    return yield { kind: 'orphan', digest, bytes: file.size };
  }
  const found = await read(deps, digest, file.version, { signal, ...(pace === undefined ? {} : { pace }) });
  if (found === undefined) return;
  totals.blobs += 1;
  totals.bytes += found.size;
  walked.unreadable = found.kind === 'unreadable' ? walked.unreadable + 1 : 0;
  if (found.kind === 'unreadable' && walked.unreadable === UNREADABLE_MAX) throw found.error;
  if (found.kind === 'right') return repair ? await enterMissing(deps, digest, file) : undefined;
  const step = await mend(deps, { ...found, digest, size: file.size }, repair, signal);
  totals.damaged += 1;
  totals.repaired += step.repaired ? 1 : 0;
  yield step;
}

type Found =
  | { readonly kind: 'right'; readonly size: number }
  | (Omit<Damage, 'digest'> & { readonly kind: 'wrong' })
  | (Omit<Damage, 'digest'> & { readonly kind: 'unreadable'; readonly error: unknown });

async function read(
  { blobs }: ScrubDeps,
  digest: Digest,
  version: string,
  options: NonNullable<Parameters<ScrubDeps['blobs']['verify']>[1]>,
): Promise<Found | undefined> {
  let found: Verified | undefined;
  try {
    found = await blobs.verify(digest, options);
  } catch (error) {
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
    if (code !== 'EIO') throw error;
    return { kind: 'unreadable', size: 0, version, why: `the disk cannot read it (${code})`, passing: true, error };
  }
  if (found === undefined) return undefined;
  const { size, right } = found;
  if (right) return { kind: 'right', size };
  return { kind: 'wrong', size, version: found.version, why: 'the bytes on disk are not those of the digest' };
}

/** `sha256/4d sha256:4e07…`: the last directory that is done, and the last blob of the next. */
function placeOf(at = ''): { shelf: string | undefined; digest: Digest | undefined } {
  const [shelf = '', digest = ''] = at.split(' ');
  return { shelf: shelf === '' ? undefined : shelf, digest: parseDigest(digest) };
}

/** Nearly all blobs are of sha256. */
function shareOf(shelf: string): number {
  const [algorithm, byte = ''] = shelf.split('/');
  return algorithm === 'sha256' ? (Number.parseInt(byte, 16) + 1) / 256 : 1;
}
