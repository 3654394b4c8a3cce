import {
  UpstreamError,
  type Upstream,
  type UpstreamBody,
  type UpstreamFound,
  type UpstreamRequest,
} from '../../upstream/upstream.ts';
import { askOne, lateError } from '../ask-one.ts';
import { CHAIN_DEADLINE_MS } from '../chain.ts';
import { askHedged } from '../hedge.ts';
import type { FillDeps, FillJob } from './job.ts';
import type { Growing } from './growing.ts';
import { Refusals, type Tried } from '../refusal.ts';
import { discarding } from './discarding.ts';

/** Told when an upstream has answered and the size is as known as it will be; `tried`: those asked in vain before. */
export type OnAnswer = (upstream: Upstream, tried: readonly Tried[]) => void;

/** What came of one question. */
interface Asked {
  readonly supplied: { readonly upstream: Upstream; readonly body: UpstreamBody; readonly isRange: boolean } | undefined;
  /** In vain; none where the fill is told to stop. */
  readonly refused: readonly Upstream[];
}

/** Asks upstreams for a fill's next bytes, and judges their answers. */
export class FillAsker {
  readonly refusals = new Refusals();
  /** Who answered last; empty before the first. */
  upstream = '';
  /** True while every byte of this generation came in one body of one upstream. */
  whole = true;
  /** An upstream says that the blob has another size than what we go by, which may be what is wrong. */
  contradicted = false;
  /** Whose word the size is; empty where it is an older part's or a manifest's. */
  sizeFrom = '';
  /** Accepted in this generation. */
  bodies = 0;
  readonly #deps: FillDeps;
  readonly #job: FillJob;
  readonly #growing: Growing;
  readonly #stop: AbortSignal;
  readonly #onAnswer: OnAnswer;
  readonly #startedAt: number;
  #answered = false;

  constructor(deps: FillDeps, job: FillJob, growing: Growing, stop: AbortSignal, onAnswer: OnAnswer) {
    this.#deps = deps;
    this.#job = job;
    this.#growing = growing;
    this.#stop = stop;
    this.#onAnswer = onAnswer;
    this.#startedAt = deps.clock.monotonic();
  }

  /**
   * One question, with `second` beside `first` where that is slow: for all that is missing, or for one piece of it. What
   * cannot be used is noted against its upstream. Nothing that is answered counts before `place` resolves, to whether there is
   * one for the bytes; where there is none, the signal has to end the question.
   */
  async ask(
    first: Upstream,
    second: Upstream | undefined,
    piece: { readonly to: number; readonly planned: boolean } | undefined,
    place: Promise<boolean>,
  ): Promise<Asked> {
    const from = this.#growing.written;
    const refused: Upstream[] = [];
    const remainingMs = (): number => this.#remainingMs();
    const hedged = { first, second, request: this.#request('GET', from, piece?.to), signal: this.#stop, remainingMs };
    const accept = async (answer: UpstreamFound, upstream: Upstream) => {
      if (!(await place)) throw new Error('there is no place for the bytes');
      const body = await this.#accept(upstream, answer, from);
      if (from > 0 && piece?.planned !== true)
        this.#deps.report({ kind: 'resumed', upstream: upstream.name, digest: this.#job.digest, from });
      return { upstream, body, isRange: answer.status === 206 };
    };
    try {
      for (const { upstream, said, ms } of (await askHedged(this.#deps.clock, hedged, accept)).outcomes) {
        if (said.kind === 'found') return { refused, supplied: said.value };
        refused.push(upstream);
        if (said.kind === 'failed') this.#noteFailure(said.error, ms);
        else this.refusals.add(upstream.name, said, ms);
      }
    } catch (error) {
      if (!this.#stop.aborted) throw error;
    }
    return { refused, supplied: undefined };
  }

  /** Another body brings bytes of this generation too. */
  alsoFrom(upstream: string, anonymous: boolean): void {
    this.whole = false;
    this.#growing.brought.add(upstream, anonymous);
  }

  #noteFailure(error: UpstreamError, ms: number): void {
    this.contradicted ||= error.status === 416 || error.reason === 'verify';
    this.refusals.addError(error, ms);
  }

  /** False when clients have waited long enough for a first answer; this upstream then counts as timed out. */
  hasTimeFor(upstream: Upstream): boolean {
    if (this.#remainingMs() > 0) return true;
    this.refusals.addError(lateError(upstream.name), 0);
    return false;
  }

  /** Once bytes have come each question has that time for itself. */
  #remainingMs(): number {
    return this.#answered ? CHAIN_DEADLINE_MS : CHAIN_DEADLINE_MS - (this.#deps.clock.monotonic() - this.#startedAt);
  }

  #request(method: 'GET' | 'HEAD', from: number, to?: number): UpstreamRequest {
    const { registry, repository, digest } = this.#job;
    const range = to !== undefined ? { range: { from, to } } : from > 0 ? { range: { from } } : {};
    return { kind: 'blob', method, registry, repository, reference: digest, ...range };
  }

  async #accept(upstream: Upstream, answer: UpstreamFound, from: number): Promise<UpstreamBody> {
    const { body } = answer;
    if (body === undefined) throw new UpstreamError(upstream.name, 'status', `${upstream.name} answered a GET without a body`);
    const size = answer.size ?? (this.#growing.size === undefined ? await this.#sizeByHead(upstream) : undefined);
    const known = this.#growing.size;
    if (answer.from > from || (known !== undefined && size !== undefined && size !== known)) {
      const message = `${upstream.name} offers ${size ?? 'unknown'} bytes from ${answer.from} where ${known ?? 'unknown'} from ${from} are wanted`;
      throw new UpstreamError(upstream.name, 'verify', message);
    }
    if (known === undefined && size !== undefined) {
      // Where there is no room for it, nobody is to be told that it is kept.
      await this.#growing.part?.expect(size).catch((error: unknown) => {
        body.close();
        throw error;
      });
      this.#growing.size = size;
      this.sizeFrom = upstream.name;
    }
    this.#growing.answered = true;
    this.whole = from === 0;
    this.bodies += 1;
    this.#answered = true;
    this.upstream = upstream.name;
    this.#growing.brought.add(upstream.name, answer.anonymous);
    this.#onAnswer(upstream, this.refusals.tried());
    return answer.from < from ? discarding(body, from - answer.from) : body;
  }

  /** Decision 7: a body that does not say its length may still be asked for it. */
  async #sizeByHead(upstream: Upstream): Promise<number | undefined> {
    const { clock } = this.#deps;
    try {
      const answer = await askOne(clock, upstream, this.#request('HEAD', 0), this.#stop, this.#remainingMs(), async (found) => {
        found.body?.close();
        return found.size;
      });
      return answer.kind === 'found' ? answer.value : undefined;
    } catch (error) {
      if (error instanceof UpstreamError) return undefined; // The body is here; only its length stays unknown.
      throw error;
    }
  }
}
