import type { Digest } from '../oci/digest.ts';
import type { Clock, Timer } from '../system/clock.ts';
import { nextTurn } from '../system/turn.ts';
import type { ReportMetadata } from './events.ts';
import { pullsForm, useForm } from './forms.ts';
import { ALL_PULLS_KEY, USE_KEY, digestSlot, pullsKey, repositorySlot } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { Key } from './metadata-store.ts';
import type { PullCount, Records } from './records.ts';
import { untilMade, type Table } from './table.ts';

/** Digests, and repositories, whose uses wait in memory; more are not noted until these are written. */
export const USES_WAITING_MAX = 20_000;

/** Commits under way at once. */
const COMMITS_AT_ONCE = 32;

/** Images that are looked up before hits get their turn: of an embedded store each is a dozen reads, and nothing that is waited for. */
const IMAGES_A_TURN = 16;

/** A use so soon after the one that is written is not, lest each read be a write (reliability.md, R33). */
export const USE_STEP_MS = 10_000;

interface Use {
  readonly at: number;
  readonly bytes?: number;
  /** Where it was used last. */
  readonly repository?: string;
}

/**
 * All that an image is made of, by its manifest, as far as it is held: whoever asks for the manifest is about to ask for the
 * rest, and a layer that every image shares must not look unused because clients have it already. The manifest itself may be
 * among it; of what is no manifest, nothing else.
 */
export type ImageOf = (repository: string, digest: Digest) => Promise<Iterable<Digest>>;

type Uses = Pick<Records, 'used' | 'lastUse' | 'pulls' | 'tagPulls'> & {
  /** Writes what waits; never rejects: what could not be written waits on, and is reported. */
  write(): Promise<void>;
  /** Writes for the last time. */
  stop(): Promise<void>;
};

export interface UsesOptions {
  readonly clock: Clock;
  readonly batchIntervalMs: number;
  readonly report: ReportMetadata;
  /** Default: a use is of what was asked for alone. */
  readonly imageOf: ImageOf | undefined;
}

/** Last uses and pull counts, collected in memory and written in batches: else each read would be a write. */
export function createUses(table: Table, { clock, batchIntervalMs, report, imageOf }: UsesOptions): Uses {
  const { store } = table;
  let uses = new Map<Digest, Use>();
  let pulls = new Map<string, Map<string, PullCount>>();
  let lost = 0;
  let timer: Timer | undefined;
  let writing: Promise<void> = Promise.resolve();

  function noteUse(digest: Digest, use: Use): void {
    const before = uses.get(digest);
    if (before === undefined && uses.size >= USES_WAITING_MAX) lost++;
    else uses.set(digest, later(before, use));
  }

  function notePulls(repository: string, tag: string, count: PullCount): void {
    let counts = pulls.get(repository);
    if (counts === undefined) {
      if (pulls.size >= USES_WAITING_MAX) return void lost++;
      pulls.set(repository, (counts = new Map<string, PullCount>()));
    }
    const before = counts.get(tag);
    if (before === undefined && counts.size >= USES_WAITING_MAX) return void lost++;
    counts.set(tag, sum(before, count));
  }

  async function writeUse(digest: Digest, use: Use): Promise<void> {
    const before = await table.get(digestSlot(digest), USE_KEY, useForm);
    if (isWritten(before, use)) return;
    const { at, bytes } = later(before, use);
    const value = useForm.encode(bytes === undefined ? { at } : { at, bytes });
    await store.commit(digestSlot(digest), [{ key: USE_KEY, value }]);
  }

  /** Of everything that the images need whose manifests were used. What cannot be read now is noted with the next use. */
  async function spread(noted: ReadonlyMap<Digest, Use>): Promise<Map<Digest, Use>> {
    const all = new Map(noted);
    if (imageOf === undefined) return all;
    let images = 0;
    for (const [digest, { at, repository }] of noted) {
      if (repository === undefined) continue;
      if ((images += 1) % IMAGES_A_TURN === 0) await nextTurn();
      const image = await imageOf(repository, digest).catch(() => []);
      for (const part of image) if (part !== digest) all.set(part, later(all.get(part), { at }));
    }
    return all;
  }

  /** Conditional, since other processes count the same tags. */
  async function writePulls(repository: string, counts: ReadonlyMap<string, PullCount>): Promise<void> {
    const slot = repositorySlot(repository);
    const all = Array.from(counts.values()).reduce(sum);
    const added: readonly [Key, PullCount][] = [
      ...Array.from(counts, ([tag, count]): [Key, PullCount] => [pullsKey(tag), count]),
      [ALL_PULLS_KEY, all],
    ];
    await untilMade(async () => {
      const before = await Promise.all(added.map(async ([key]) => table.getStored(slot, key, pullsForm)));
      const changes = added.map(([key, count], at) => ({ key, value: pullsForm.encode(sum(before[at]?.record, count)) }));
      const conditions = added.map(([key], at) => ({ key, value: before[at]?.bytes }));
      return (await store.commit(slot, changes, conditions)) || undefined;
    });
  }

  async function writeAll(): Promise<void> {
    const [usesNow, pullsNow, lostNow] = [uses, pulls, lost];
    [uses, pulls, lost] = [new Map(), new Map(), 0];
    const usesAll = await spread(usesNow);
    let failure: { kept: number; error: unknown } | undefined;
    const keep = (error: unknown, again: () => void): void => {
      failure = { kept: (failure?.kept ?? 0) + 1, error };
      again();
    };
    const works = [
      ...Array.from(
        usesAll,
        ([digest, use]) =>
          () =>
            writeUse(digest, use).catch((error: unknown) => keep(error, () => noteUse(digest, use))),
      ),
      ...Array.from(
        pullsNow,
        ([repository, counts]) =>
          () =>
            writePulls(repository, counts).catch((error: unknown) =>
              keep(error, () => counts.forEach((count, tag) => notePulls(repository, tag, count))),
            ),
      ),
    ];
    for (let at = 0; at < works.length; at += COMMITS_AT_ONCE) {
      if (at > 0) await nextTurn(); // What need not be written is not waited for.
      await Promise.all(works.slice(at, at + COMMITS_AT_ONCE).map((work) => work()));
    }
    if (failure !== undefined || lostNow > 0) {
      report({ kind: 'uses-unwritten', kept: failure?.kept ?? 0, lost: lostNow, error: failure?.error });
    }
    if (failure !== undefined) arm();
  }

  function arm(): void {
    timer ??= clock.after(batchIntervalMs, () => void write());
  }

  /** One at a time: two would read the same counts. */
  function write(): Promise<void> {
    timer?.cancel();
    timer = undefined;
    writing = writing.then(writeAll);
    return writing;
  }

  return {
    used(repository, { tag, digest, bytes }) {
      const at = clock.now();
      noteUse(digest, bytes ? { at, bytes: at, repository } : { at, repository });
      if (tag !== undefined) notePulls(repository, tag, { pulls: 1, last: at });
      arm();
    },
    lastUse: (digest) =>
      andThen(table.get(digestSlot(digest), USE_KEY, useForm), (use) => {
        const waiting = uses.get(digest);
        return waiting === undefined ? use?.at : later(use, waiting).at;
      }),
    tagPulls: (repository, tag) => table.get(repositorySlot(repository), pullsKey(tag), pullsForm),
    pulls: (repository) => table.get(repositorySlot(repository), ALL_PULLS_KEY, pullsForm),
    write,
    async stop() {
      await write();
      timer?.cancel();
    },
  };
}

function later(before: Use | undefined, use: Use): Use {
  const bytes = Math.max(before?.bytes ?? -Infinity, use.bytes ?? -Infinity);
  const repository = use.repository ?? before?.repository;
  return {
    at: Math.max(before?.at ?? -Infinity, use.at),
    ...(Number.isFinite(bytes) ? { bytes } : {}),
    ...(repository === undefined ? {} : { repository }),
  };
}

/** Close enough to what stands there. A record of the future, from before a clock was set right, is none. */
function isWritten(before: Use | undefined, use: Use): boolean {
  if (before === undefined || before.at > use.at) return false;
  return use.at - before.at < USE_STEP_MS && (use.bytes === undefined || before.bytes !== undefined);
}

function sum(a: PullCount | undefined, b: PullCount): PullCount {
  return a === undefined ? b : { pulls: a.pulls + b.pulls, last: Math.max(a.last, b.last) };
}
