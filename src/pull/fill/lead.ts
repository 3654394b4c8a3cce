import { UpstreamError, type Upstream } from '../../upstream/upstream.ts';
import { PIECE_BYTES, Pieces, type Piece } from './pieces.ts';
import { FillAsker, type OnAnswer } from './asker.ts';
import type { FillDeps, FillJob, LeadEnd } from './job.ts';
import { pump, type PumpInto } from './pump.ts';
import { Sources } from './sources.ts';
import { upTo } from './up-to.ts';
import { FillWriter } from './writer.ts';
import type { Growing } from './growing.ts';

/** Why a fill is told to stop when another process leads it now: what is recorded is then the other's to record. */
export const LEASE_LOST = new Error('another process took over this fill');

export interface LeadOptions {
  /** Ends it, so that it can go on later. */
  readonly stop: AbortSignal;
  readonly onAnswer: OnAnswer;
  /** Nobody is asked before there is a place for the bytes; otherwise an upstream is asked while a new part is made. */
  readonly isCareful: boolean;
}

/** Leads one fill: asks, writes, goes on, verifies; begins anew where bytes turned out wrong. */
export class Lead {
  readonly #deps: FillDeps;
  readonly #job: FillJob;
  readonly #growing: Growing;
  readonly #stop: AbortSignal;
  readonly #asker: FillAsker;
  readonly #writer: FillWriter;
  /** Until bytes had to be thrown away: only then is an older part worth anything. */
  #pristine = true;
  #begunAgain = false;
  /** Ends what is asked: the fill's own end, and a place that could not be made. */
  readonly #asking = new AbortController();
  readonly #isCareful: boolean;
  /** Whether there is a place for the bytes. Never rejects. */
  #place: Promise<boolean> = Promise.resolve(true);
  /** What kept it from being made. */
  #trouble: LeadEnd | undefined;
  /** Why the last body broke, until it is noted against its upstream. */
  #broken: UpstreamError | undefined;

  constructor(deps: FillDeps, job: FillJob, growing: Growing, { stop, onAnswer, isCareful }: LeadOptions) {
    this.#deps = deps;
    this.#job = job;
    this.#growing = growing;
    this.#stop = stop;
    this.#isCareful = isCareful;
    if (stop.aborted) this.#asking.abort(stop.reason);
    else stop.addEventListener('abort', () => this.#asking.abort(stop.reason), { once: true });
    this.#asker = new FillAsker(deps, job, growing, this.#asking.signal, onAnswer);
    this.#writer = new FillWriter(deps, growing);
  }

  async run(): Promise<LeadEnd> {
    let candidates = this.#candidates();
    while (candidates.length > 0) {
      const end = await this.#generation(candidates, true);
      if (end !== 'mismatch' && this.#mayBeginAgain(end)) {
        await this.#begin();
        candidates = this.#withoutLiarFirst(candidates);
        continue;
      }
      if (end !== 'mismatch') return end;
      if (!(await this.#mismatch())) return this.#eachWhole(candidates);
      candidates = candidates.filter(({ name }) => name !== this.#asker.upstream);
    }
    return this.#refused();
  }

  /**
   * Once, when what is at hand cannot be gone on with: an older part, or a length that a body claimed, may be wrong. What a
   * manifest describes is not given up.
   */
  #mayBeginAgain(end: LeadEnd): boolean {
    const may = end.kind === 'refused' && this.#asker.contradicted && this.#growing.written > 0 && !this.#begunAgain;
    this.#begunAgain ||= may;
    return may;
  }

  /** The size turned out wrong: whoever said it is asked last now, lest the same be believed again. */
  #withoutLiarFirst(candidates: readonly Upstream[]): readonly Upstream[] {
    const isLiar = ({ name }: Upstream): boolean => name === this.#asker.sizeFrom;
    return [...candidates.filter((candidate) => !isLiar(candidate)), ...candidates.filter(isLiar)];
  }

  /** Who is passed over for wrong bytes still counts as a fault: that the others have nothing does not make it absent. */
  #candidates(): readonly Upstream[] {
    const { digest } = this.#job;
    const chain = this.#job.chain();
    const candidates = this.#deps.blame.candidates(this.#job, chain);
    for (const { name } of chain.filter((upstream) => !candidates.includes(upstream))) {
      this.#asker.refusals.addError(
        new UpstreamError(name, 'verify', `${name} sent other bytes than those of ${digest} lately`),
        0,
      );
    }
    return candidates;
  }

  /** After a spliced body that blames nobody: each upstream once, and nothing from anybody else (decision 4). */
  async #eachWhole(candidates: readonly Upstream[]): Promise<LeadEnd> {
    for (const candidate of candidates) {
      const end = await this.#generation([candidate], false);
      if (end !== 'mismatch' && end.kind !== 'refused') return end;
      if (end === 'mismatch') await this.#mismatch();
      else await this.#begin();
    }
    return this.#refused();
  }

  /** One attempt, from the prefix at hand to the end, in as many bodies as it takes. `mayPart`: in ranges side by side too. */
  async #generation(candidates: readonly Upstream[], mayPart: boolean): Promise<LeadEnd | 'mismatch'> {
    const trouble = await this.#open();
    if (trouble !== undefined) return trouble;
    this.#asker.bodies = 0;
    const pieces = mayPart ? this.#inPieces() : undefined;
    try {
      return await this.#fetch(new Sources(candidates), pieces);
    } finally {
      await pieces?.end();
      await this.#place; // What is made until then is the fill's to give back.
    }
  }

  async #fetch(sources: Sources, pieces: Pieces | undefined): Promise<LeadEnd | 'mismatch'> {
    for (;;) {
      if (this.#stop.aborted) return this.#park();
      // An upstream has to have said yes, whatever is at hand: an empty blob is complete before anybody was asked.
      if (this.#complete() && this.#asker.bodies > 0) return this.#verify();
      const piece = pieces?.ahead(this.#growing.written);
      if (pieces !== undefined && piece !== undefined) {
        const trouble = await this.#absorb(pieces, piece);
        if (trouble !== undefined) return trouble;
        continue;
      }
      const upstream = sources.current();
      if (upstream === undefined || !this.#asker.hasTimeFor(upstream)) return this.#giveUp();
      const own = pieces?.take(this.#growing.written);
      const second = this.#job.hedge ? sources.following() : undefined;
      const { supplied, refused } = await this.#asker.ask(upstream, second, own, this.#place);
      if (this.#trouble !== undefined) return this.#trouble;
      // In the order of their turns, whoever was the first to say so: else it is the second's turn again, and not the third's.
      for (const each of [upstream, second]) if (each !== undefined && refused.includes(each)) sources.refused(each);
      if (supplied === undefined) continue;
      sources.supplied(supplied.upstream);
      const before = this.#growing.written;
      // Whoever ignores ranges sends everything: then that is how it comes, up to what is fetched ahead already.
      if (supplied.isRange) pieces?.start();
      const to = supplied.isRange ? own?.to : pieces?.takeOn(before);
      const body = supplied.isRange || to === undefined ? supplied.body : upTo(supplied.body, to - before);
      const { end, broken } = await pump(body, this.#into(to, sources.following() !== undefined));
      this.#broken = broken ?? this.#broken;
      if (typeof end === 'object') return end;
      if (end === 'overrun' || end === 'ended') return this.#verify();
      if (this.#complete() || this.#stop.aborted || this.#growing.written === to) continue;
      if (sources.broke(this.#growing.written - before, end === 'stalled')) this.#noteBreak();
    }
  }

  /** Goes on with what is there; else a new part is made, while an upstream is asked already. */
  async #open(): Promise<LeadEnd | undefined> {
    try {
      if (await this.#writer.takeUp(this.#pristine)) return undefined;
    } catch (error) {
      this.#growing.fail(error); // What was taken over cannot be read any more, so nobody could verify the rest.
      return { kind: 'disk', error };
    }
    this.#place = this.#makePlace();
    if (this.#isCareful) await this.#place;
    return this.#trouble;
  }

  async #makePlace(): Promise<boolean> {
    this.#trouble = await this.#onDisk(() => this.#writer.begin());
    if (this.#trouble !== undefined) this.#asking.abort(new Error('there is no place for the bytes'));
    return this.#trouble === undefined;
  }

  /** `parallel`: where the route wants it, and the blob is of a size that is known and worth it. */
  #inPieces(): Pieces | undefined {
    const { size, written } = this.#growing;
    const { parallel } = this.#job;
    if (parallel < 2 || size === undefined || size - written < 2 * PIECE_BYTES) return undefined;
    return new Pieces({
      deps: this.#deps,
      job: this.#job,
      growing: this.#growing,
      count: parallel - 1,
      stop: this.#stop,
      onAnswer: ({ anonymous }, upstream) => this.#asker.alsoFrom(upstream, anonymous),
    });
  }

  /** Moves on over what was fetched ahead, as far as it goes; waits for more of it while there may be. */
  async #absorb(pieces: Pieces, piece: Piece): Promise<LeadEnd | undefined> {
    while (!this.#stop.aborted && this.#growing.written < piece.to) {
      const available = piece.written - this.#growing.written;
      if (available === 0 && piece.state !== 'running') return undefined;
      if (available === 0) await pieces.changed();
      else {
        const trouble = await this.#onDisk(() => this.#writer.adopt(available));
        if (trouble !== undefined) return trouble;
      }
    }
    return undefined;
  }

  /** `to` and `hasNext` as {@link PumpInto} has them. */
  #into(to: number | undefined, hasNext: boolean): PumpInto {
    return {
      clock: this.#deps.clock,
      growing: this.#growing,
      stop: this.#stop,
      upstream: this.#asker.upstream,
      write: (bytes) => this.#onDisk(() => this.#writer.write(bytes)),
      to,
      hasNext,
    };
  }

  async #onDisk(write: () => Promise<void>): Promise<LeadEnd | undefined> {
    try {
      await write();
      return undefined;
    } catch (error) {
      this.#growing.giveUpDisk(this.#writer.hashSoFar(), error);
      return { kind: 'disk', error };
    }
  }

  #complete(): boolean {
    return this.#growing.size !== undefined && this.#growing.written === this.#growing.size;
  }

  /** Whoever reads has the rest at once; what is kept of it has to be sure. */
  async #verify(): Promise<LeadEnd | 'mismatch'> {
    const { part, size, written } = this.#growing;
    const right = size === undefined || written === size;
    if (!right || part === undefined || !this.#writer.matches()) return 'mismatch';
    this.#growing.verified();
    try {
      await this.#writer.settled();
      return { kind: 'done', part, upstream: this.#asker.upstream };
    } catch (error) {
      return { kind: 'disk', error };
    }
  }

  /** True when the upstream is to blame: one body came whole from it. The generation is over either way. */
  async #mismatch(): Promise<boolean> {
    const { digest } = this.#job;
    const { upstream, refusals } = this.#asker;
    const whole = this.#asker.whole && this.#growing.size !== undefined; // Without a length nobody knows that it came whole.
    this.#deps.report({ kind: 'verify-failed', upstream, digest, whole });
    refusals.addError(new UpstreamError(upstream, 'verify', `${upstream} sent other bytes than those of ${digest}`), 0);
    if (whole) this.#deps.blame.add(this.#job, upstream);
    await this.#begin();
    return whole;
  }

  /** From the first byte again, in a new part. */
  async #begin(): Promise<void> {
    this.#pristine = false;
    await this.#writer.discard(this.#job.expectedSize);
  }

  async #park(): Promise<LeadEnd> {
    const settle = this.#stop.reason === LEASE_LOST ? this.#writer.settled() : this.#writer.sync();
    await settle.catch(() => undefined); // Parking saves a transfer; where it cannot, the next fill starts anew.
    return { kind: 'parked' };
  }

  /** Nobody is left to ask. Unless a manifest says the size, the end may have been reached all the same. */
  async #giveUp(): Promise<LeadEnd> {
    const { written } = this.#growing;
    if (this.#job.expectedSize === undefined && written > 0 && this.#asker.bodies > 0 && this.#writer.matches()) {
      this.#growing.size = undefined; // Whatever an upstream said of it: the digest says that this is all.
      const end = await this.#verify();
      if (end !== 'mismatch') return end;
    }
    await this.#park();
    return this.#refused();
  }

  #refused(): LeadEnd {
    this.#noteBreak();
    return { kind: 'refused', refusal: this.#asker.refusals.fold() };
  }

  /** A body that broke is a fault like any other, lest a chain that only breaks seem to have nothing. */
  #noteBreak(): void {
    if (this.#broken !== undefined) this.#asker.refusals.addError(this.#broken, 0);
    this.#broken = undefined;
  }
}
