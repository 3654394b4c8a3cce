import { UpstreamError, type Upstream, type UpstreamBody, type UpstreamFound } from '../../upstream/upstream.ts';
import { askOne } from '../ask-one.ts';
import { CHAIN_DEADLINE_MS } from '../chain.ts';
import { finish } from './finish.ts';
import type { Growing } from './growing.ts';
import type { FillDeps, FillJob } from './job.ts';
import { Sources } from './sources.ts';

/** What one question of a fill in several ranges asks for. */
export const PIECE_BYTES = 16 * 1024 * 1024;

/**
 * A range of the blob. `open`: nobody fetches it yet. `own`: the fill itself does, at its frontier. `running` and `done`: its
 * bytes up to `written` stand in the part. `failed`: nothing more comes; the fill fetches the rest itself.
 */
export interface Piece {
  readonly from: number;
  readonly to: number;
  /** Absolute, as `from` and `to`. */
  readonly written: number;
  readonly state: 'open' | 'own' | 'running' | 'done' | 'failed';
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

export interface PiecesOptions {
  readonly deps: Pick<FillDeps, 'clock' | 'blame'>;
  readonly job: FillJob;
  readonly growing: Growing;
  /** What is fetched here at once. */
  readonly count: number;
  readonly stop: AbortSignal;
  /** An upstream has answered for a piece; told before its first byte is taken. */
  readonly onAnswer: (answer: UpstreamFound, upstream: string) => void;
}

/**
 * Fetches what lies ahead of a fill's frontier into its part, in ranges, from whoever the chain offers for each. The fill
 * hashes in order and tells readers nothing of it before its own frontier has come there.
 */
export class Pieces {
  readonly #options: PiecesOptions;
  readonly #begin: number;
  readonly #size: number;
  /** By number, made when somebody takes them: a size is only what somebody says. */
  readonly #pieces = new Map<number, Mutable<Piece>>();
  /** The first that nobody has taken yet; none before it is `open`. */
  #next = 0;
  /** One body brings all that nobody has taken. */
  #isWhole = false;
  readonly #stop = new AbortController();
  readonly #unlink: () => void;
  #working: Promise<unknown> | undefined;
  #waiting: (() => void)[] = [];

  /** From what is written now to the size, which has to be known. */
  constructor(options: PiecesOptions) {
    this.#options = options;
    const { growing, stop } = options;
    this.#begin = growing.written;
    this.#size = growing.size ?? 0;
    const onStop = (): void => this.#stop.abort(stop.reason);
    stop.addEventListener('abort', onStop, { once: true });
    this.#unlink = () => stop.removeEventListener('abort', onStop);
  }

  /** Begins to fetch, if it has not: an upstream has shown by now that it answers ranges. */
  start(): void {
    this.#working ??= Promise.all(Array.from({ length: this.#options.count }, () => this.#work()));
  }

  /** The piece in which this byte is, if it is or was fetched here and has more than that. */
  ahead(position: number): Piece | undefined {
    const piece = this.#pieces.get(this.#indexOf(position));
    return piece?.state === 'running' || (piece !== undefined && piece.written > position) ? piece : undefined;
  }

  /** The fill fetches from here to `to`; `planned`: because it is its turn, and not since a body broke. */
  take(position: number): { readonly to: number; readonly planned: boolean } | undefined {
    const index = this.#indexOf(position);
    const piece = this.#piece(index);
    if (piece === undefined) return undefined;
    const planned = piece.state === 'open' && position === piece.from && position > this.#begin;
    piece.state = 'own';
    // What lies behind has been hashed: whoever wrote there would change what was verified.
    this.#next = this.#isWhole ? index + 1 : Math.max(this.#next, index + 1);
    this.#isWhole = false;
    return { to: piece.to, planned };
  }

  /**
   * What the fill has taken at `position` comes in a body that does not end there. Where that is to stop all the same, since
   * what follows is fetched here; `undefined`: nobody else has taken any of the rest, or will.
   */
  takeOn(position: number): number | undefined {
    const index = this.#indexOf(position);
    if (index + 1 < this.#next) return this.#pieces.get(index)?.to;
    this.#isWhole = true;
    return undefined;
  }

  /** Resolves when a piece has more bytes, or another state. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Resolves when nothing is written any more. */
  async end(): Promise<void> {
    this.#stop.abort(new Error('the fill has ended'));
    this.#unlink();
    await this.#working;
  }

  #indexOf(position: number): number {
    return Math.floor((position - this.#begin) / PIECE_BYTES);
  }

  #piece(index: number): Mutable<Piece> | undefined {
    const from = this.#begin + index * PIECE_BYTES;
    if (from >= this.#size) return undefined;
    const piece = this.#pieces.get(index) ?? {
      from,
      to: Math.min(from + PIECE_BYTES, this.#size),
      written: from,
      state: 'open',
    };
    this.#pieces.set(index, piece);
    return piece;
  }

  async #work(): Promise<void> {
    for (;;) {
      const piece = this.#isWhole || this.#stop.signal.aborted ? undefined : this.#piece(this.#next);
      if (piece === undefined) return;
      this.#next += 1;
      piece.state = 'running';
      piece.state = (await this.#fetch(piece).catch(() => false)) ? 'done' : 'failed';
      this.#wake();
      // Who cannot supply this piece is asked for the rest by the fill itself, which can say why.
      if (piece.state === 'failed') return;
    }
  }

  async #fetch(piece: Mutable<Piece>): Promise<boolean> {
    const { deps, job } = this.#options;
    const sources = new Sources(deps.blame.candidates(job, job.chain()));
    for (let upstream = sources.current(); upstream !== undefined; upstream = sources.current()) {
      const body = await this.#ask(upstream, piece);
      if (this.#stop.signal.aborted) {
        body?.close();
        return false;
      }
      if (body === undefined) {
        sources.refused(upstream);
        continue;
      }
      const before = piece.written;
      const stalled = await this.#pump(body, piece);
      if (piece.written === piece.to) return true;
      sources.broke(piece.written - before, stalled);
    }
    return false;
  }

  /** `undefined` where nothing that fits was answered; the fill meets the same upstream, and notes it. */
  async #ask(upstream: Upstream, { written, to }: Piece): Promise<UpstreamBody | undefined> {
    const { deps, job, growing, onAnswer } = this.#options;
    const { registry, repository, digest } = job;
    const range = { from: written, to };
    const request = { kind: 'blob', method: 'GET', registry, repository, reference: digest, range } as const;
    try {
      const answer = await askOne(deps.clock, upstream, request, this.#stop.signal, CHAIN_DEADLINE_MS, async (found) => {
        const { body, status, from, size } = found;
        const fits = status === 206 && from === written && size === growing.size;
        if (body === undefined || !fits)
          throw new UpstreamError(upstream.name, 'verify', `${upstream.name} sent another range`);
        onAnswer(found, upstream.name);
        return body;
      });
      return answer.kind === 'found' ? answer.value : undefined;
    } catch (error) {
      if (error instanceof UpstreamError || this.#stop.signal.aborted) return undefined;
      throw error;
    }
  }

  /** True when the body stalled. What the disk says against it ends the piece. */
  async #pump(body: UpstreamBody, piece: Mutable<Piece>): Promise<boolean> {
    const { part } = this.#options.growing;
    try {
      for (let chunk = await body.read(); chunk !== undefined; chunk = await body.read()) {
        const wanted = chunk.subarray(0, piece.to - piece.written);
        await part?.write(wanted, piece.written);
        piece.written += wanted.byteLength;
        this.#wake();
        if (piece.written === piece.to) break;
      }
      return false;
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      return error.reason === 'stall';
    } finally {
      if (piece.written === piece.to) finish(body);
      else body.close();
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
