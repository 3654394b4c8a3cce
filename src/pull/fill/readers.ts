import { sleep } from '../../system/clock.ts';
import type { Content, Reader } from '../content.ts';
import { etagOf } from '../content.ts';
import { AheadReader, AHEAD_MAX, AHEAD_WAIT_MS, RateMeter } from './ahead.ts';
import type { Follower } from './brought.ts';
import type { FillOrder, FillsDeps } from './types.ts';
import { SMALL_BYTES, TAIL_BYTES, type Growing } from './growing.ts';
import { GrowingReader } from './growing-reader.ts';
import { heldContent } from '../held.ts';
import { openThrough, throughContent } from '../through.ts';
import type { ThroughSource } from '../through-reader.ts';

/** A client at a fill: what does not come from there, comes from the chain of its own repository. */
export interface Seat {
  readonly beside: () => ThroughSource;
  /** Left out: whoever the fill was begun for. */
  readonly follower?: Follower;
}

/** Who reads a fill: opens readers of its growing file, or beside it, and counts those who want it. */
export class FillReaders {
  readonly #deps: FillsDeps;
  readonly #order: FillOrder;
  readonly #growing: Growing;
  readonly #onChange: () => void;
  readonly #rate: RateMeter;
  #open = 0;
  #waiting = 0;
  #ahead = 0;
  /** Nothing of the fill runs any more; `kept`: the blob is held. */
  #over: { readonly kept: boolean } | undefined;

  /** `onChange`: those who want it have become more or fewer. */
  constructor(deps: FillsDeps, order: FillOrder, growing: Growing, onChange: () => void) {
    this.#deps = deps;
    this.#order = order;
    this.#growing = growing;
    this.#onChange = onChange;
    this.#rate = new RateMeter(deps.clock);
  }

  get count(): number {
    return this.#open;
  }

  /** Nobody reads it, and nobody is about to. */
  get none(): boolean {
    return this.#open + this.#waiting === 0;
  }

  /** An upstream has answered: from here on there is a rate. */
  answered(): void {
    this.#rate.begin(this.#growing.written);
  }

  /** The growing file is given back: who opens now gets what is held, or an upstream's bytes. */
  over(kept: boolean): void {
    this.#over = { kept };
  }

  /** Counts a client that is about to read, until it calls what is returned, or goes. */
  hold(signal: AbortSignal): () => void {
    let held = true;
    const leave = (): void => {
      if (!held) return;
      held = false;
      signal.removeEventListener('abort', leave);
      this.#waiting -= 1;
      this.#onChange();
    };
    this.#waiting += 1;
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
    return leave;
  }

  /** Resolves when the first byte is there. A byte that is not reached in time comes from an upstream, if one is free for it. */
  async open(from: number, to: number | undefined, signal: AbortSignal, seat: Seat = this.#own): Promise<Reader> {
    if (this.#over !== undefined) return this.#openLate(this.#over.kept, from, to, signal, seat);
    const reader = this.#growingReader(from, to, signal, seat);
    try {
      if (await this.#readyInTime(reader, from)) return reader;
    } catch (error) {
      reader.close();
      throw error;
    }
    reader.close();
    return this.#openAhead(from, to, signal, seat);
  }

  /** A range too far ahead, straight from an upstream; `undefined` where waiting is the better way. */
  ahead(from: number, seat: Seat = this.#own): Content | undefined {
    const { size, written, digest } = this.#growing;
    if (!this.#mayPass(from) || this.#rate.etaMs(from, written) <= AHEAD_WAIT_MS) return undefined;
    return { digest, size, etag: etagOf(digest), open: (start, to, signal) => this.#openAhead(start, to, signal, seat) };
  }

  /** Never in the tail: nobody gets that before the digest matches, by whatever way (promise 1). */
  #mayPass(from: number): boolean {
    const { size, frontier, phase } = this.#growing;
    if (size === undefined || size <= SMALL_BYTES || phase !== 'running') return false;
    return from > frontier && from < size - TAIL_BYTES && this.#ahead < AHEAD_MAX;
  }

  /** False when the reader's first byte did not come in time, and an upstream may be asked for it. */
  async #readyInTime(reader: GrowingReader, from: number): Promise<boolean> {
    if (!this.#mayPass(from)) {
      await reader.ready();
      return true;
    }
    const timer = new AbortController();
    const ready = reader.ready().then(() => true);
    const late = sleep(this.#deps.clock, AHEAD_WAIT_MS, timer.signal).then(
      () => false,
      () => true, // Cancelled: the reader was ready first.
    );
    try {
      if (await Promise.race([ready, late])) return await ready;
      if (!this.#mayPass(from)) return await ready;
    } finally {
      timer.abort(new Error('no need to wait any more'));
    }
    ready.catch(() => undefined); // The reader is closed now, and nobody waits for it.
    return false;
  }

  #growingReader(from: number, to: number | undefined, signal: AbortSignal, seat: Seat): GrowingReader {
    const following = seat.follower === undefined ? undefined : this.#growing.brought.follow(seat.follower);
    const reader = new GrowingReader(
      this.#growing,
      from,
      to,
      signal,
      (start, end, back) => openThrough(seat.beside(), start, end, back, signal),
      () => {
        following?.leave();
        this.#counted(-1);
      },
      following?.signal,
    );
    this.#counted(1);
    return reader;
  }

  #counted(by: 1 | -1): void {
    this.#open += by;
    this.#onChange();
  }

  async #openAhead(from: number, to: number | undefined, signal: AbortSignal, seat: Seat): Promise<Reader> {
    const { size } = this.#growing;
    if (size === undefined || this.#ahead >= AHEAD_MAX || this.#over !== undefined) {
      const reader = this.#growingReader(from, to, signal, seat);
      await reader.ready();
      return reader;
    }
    const tail = size - TAIL_BYTES;
    const end = to ?? size;
    this.#ahead += 1;
    this.#counted(1);
    const close = (): void => {
      this.#ahead -= 1;
      this.#counted(-1);
    };
    try {
      const through = await openThrough(seat.beside(), from, Math.min(end, tail), undefined, signal);
      return new AheadReader(through, end > tail ? () => this.open(tail, to, signal, seat) : undefined, close);
    } catch (error) {
      close();
      throw error;
    }
  }

  async #openLate(kept: boolean, from: number, to: number | undefined, signal: AbortSignal, seat: Seat): Promise<Reader> {
    const { digest, written, brought } = this.#growing;
    const mayFollow = seat.follower === undefined || brought.permits(seat.follower);
    const held = kept && mayFollow ? await this.#deps.blobs.open(digest).catch(() => undefined) : undefined;
    held?.close();
    const content =
      held === undefined ? throughContent(seat.beside()) : heldContent(this.#deps.blobs, digest, written, seat.beside);
    return content.open(from, to, signal);
  }

  /** The chain of the repository for which the fill was begun. */
  readonly #own: Seat = {
    beside: () => {
      const { chain, registry, repository, digest } = this.#order;
      const { clock, report, blame } = this.#deps;
      return { clock, report, blame, chain: chain(), registry, repository, digest, size: this.#growing.size };
    },
  };
}
