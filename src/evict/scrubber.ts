import type { BlobStore } from '../blobs/blob-store.ts';
import type { Bookmark } from '../metadata/records.ts';
import { RegistryError } from '../oci/errors.ts';
import { sleep } from '../system/clock.ts';
import { createPace, rateFor } from './pace.ts';
import { ageQuarantine } from './quarantine.ts';
import { scrubRound, type ScrubDeps } from './scrub.ts';
import type { ScrubStep } from './scrub-events.ts';
import { takeTurn, waitForTurn, type Patience } from './turn.ts';

/** All that is held is read through this often. */
export const PERIOD_MS = 30 * 24 * 3_600_000;

/** The turn is kept for so long, then others may have it: an operator's scrub, another process's. */
export const SITTING_MS = 60_000;
const BETWEEN_MS = 5_000;

/** How often it is looked whether a round is due, and after trouble whether it has passed. */
export const LOOK_MS = 3_600_000;

/** A start has more important things to do. */
const FIRST_LOOK_MS = 60_000;

/** An operator waits for the end of a sitting. */
const PATIENCE: Patience = { everyMs: 1000, tries: 90 };

const TASK = 'scrub';

export type ScrubberDeps = ScrubDeps & { readonly blobs: Pick<BlobStore, 'space'> };

/** Reads all that is held through in the background, again and again, and at once when it is asked to. */
export class Scrubber {
  readonly #deps: ScrubberDeps;
  readonly #stop = new AbortController();
  /** Of the sitting that is held now. */
  #sitting = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #asked = 0;
  /** What others began: rounds that were asked for, and tidying. */
  readonly #begun = new Set<Promise<unknown>>();

  constructor(deps: ScrubberDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#running = this.#run().catch(() => undefined); // It ends by `stop` alone, which is no news.
  }

  /** Resolves when nothing of it runs any more: whoever takes a round's steps has to take them to its end. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('scrubbing stops'));
    this.#sitting.abort(this.#stop.signal.reason);
    await this.#running;
    await Promise.all(this.#begun);
  }

  /** Something was quarantined by who read it: what is too much goes. Never rejects. */
  async tidy(): Promise<void> {
    const tidied = ageQuarantine(this.#deps).catch((error: unknown) => this.#deps.report({ kind: 'scrub-failed', error }));
    this.#begun.add(tidied);
    await tidied;
    this.#begun.delete(tidied);
  }

  /**
   * A whole round at once, from the start and as fast as the disk can. Yields what it finds. Throws RegistryError where
   * another process scrubs and does not give way.
   */
  async *scrubNow({ repair }: { readonly repair: boolean }): AsyncGenerator<ScrubStep> {
    const { clock } = this.#deps;
    this.#asked += 1;
    this.#sitting.abort(new Error('an operator scrubs'));
    let ended = (): void => undefined;
    const round = new Promise<void>((resolve) => (ended = resolve));
    this.#begun.add(round);
    try {
      const turn = await waitForTurn(TASK, this.#deps, { ...PATIENCE, signal: this.#stop.signal });
      const bookmark = { started: clock.now() };
      try {
        for await (const step of scrubRound(this.#deps, turn, { bookmark, repair, signal: this.#stop.signal })) {
          if (step.kind === 'scrubbed') this.#deps.report(step);
          yield step;
        }
      } finally {
        await turn.end().catch(() => undefined); // It runs out by itself.
      }
    } finally {
      this.#asked -= 1;
      this.#begun.delete(round);
      ended();
    }
  }

  async #run(): Promise<void> {
    const { clock, report } = this.#deps;
    await this.#tellLast();
    await sleep(clock, FIRST_LOOK_MS, this.#stop.signal);
    for (;;) {
      let rest = LOOK_MS;
      try {
        await ageQuarantine(this.#deps);
        rest = await this.#sit();
      } catch (error) {
        // Another process has the turn, or an operator.
        if (!(error instanceof RegistryError) && !this.#sitting.signal.aborted) report({ kind: 'scrub-failed', error });
      }
      await sleep(clock, rest, this.#stop.signal);
    }
  }

  async #tellLast(): Promise<void> {
    try {
      const bookmark = await this.#deps.records.bookmarks.get(TASK);
      if (bookmark?.ended !== undefined) this.#deps.report({ kind: 'scrubbed-before', at: bookmark.ended });
    } catch (error) {
      this.#deps.report({ kind: 'scrub-failed', error });
    }
  }

  /** Goes on for a while where a round is due; yields when to look again. */
  async #sit(): Promise<number> {
    const { clock, blobs, records, report } = this.#deps;
    if (this.#asked > 0) return BETWEEN_MS;
    const bookmark = dueRound(await records.bookmarks.get(TASK), clock.now());
    if (bookmark === undefined) return LOOK_MS;
    const { totalBytes, freeBytes } = await blobs.space();
    const turn = await takeTurn(TASK, this.#deps);
    const sitting = new AbortController();
    this.#sitting = sitting;
    if (this.#stop.signal.aborted) sitting.abort(this.#stop.signal.reason);
    const until = clock.monotonic() + SITTING_MS;
    const isOver = (): boolean => clock.monotonic() >= until;
    let rest = BETWEEN_MS;
    try {
      const pace = createPace(clock, rateFor(totalBytes - freeBytes, PERIOD_MS), sitting.signal);
      for await (const step of scrubRound(this.#deps, turn, { bookmark, repair: true, signal: sitting.signal, pace, isOver })) {
        if (step.kind !== 'scrubbed') continue;
        report(step);
        rest = LOOK_MS;
      }
    } catch (error) {
      if (!sitting.signal.aborted) throw error;
    } finally {
      await turn.end().catch(() => undefined); // It runs out by itself.
    }
    return rest;
  }
}

/** The round to go on with, or a new one; `undefined`: the last is not long enough ago. */
function dueRound(bookmark: Bookmark | undefined, now: number): Bookmark | undefined {
  if (bookmark === undefined) return { started: now };
  const isDone = bookmark.ended !== undefined && bookmark.at === undefined;
  // A wall clock that was set back says nothing of how long ago anything was.
  if (!isDone) return bookmark.started > now ? { ...bookmark, started: now } : bookmark;
  const isDue = now - bookmark.started >= PERIOD_MS || bookmark.started > now;
  return isDue ? { started: now, ...(bookmark.ended === undefined ? {} : { ended: bookmark.ended }) } : undefined;
}
