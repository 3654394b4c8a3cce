import type { Hash } from 'node:crypto';
import { algorithmOf, finishDigest, type Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import {
  UpstreamError,
  type Upstream,
  type UpstreamBody,
  type UpstreamFound,
  type UpstreamRequest,
} from '../upstream/upstream.ts';
import { missStatus } from './cache-status.ts';
import { askOne } from './ask-one.ts';
import { CHAIN_DEADLINE_MS } from './chain.ts';
import type { Reader } from './content.ts';
import { discarding } from './fill/discarding.ts';
import type { ReportPull } from './events.ts';
import { Sources, type Blame } from './fill/sources.ts';
import type { HeldBack } from './fill/growing-reader.ts';
import { SMALL_BYTES, TAIL_BYTES } from './fill/growing.ts';
import { refusalError } from './refusal-error.ts';
import { Refusals } from './refusal.ts';

/** Where bytes that cannot be kept come from. */
export interface ThroughSource {
  readonly clock: Clock;
  readonly report: ReportPull;
  readonly blame: Blame;
  readonly chain: readonly Upstream[];
  readonly registry: string;
  readonly repository: string;
  readonly digest: Digest;
  readonly size: number | undefined;
}

/** One client's own transfer: nothing of it is kept, and what it holds in memory is at most a small blob or the tail. */
export class ThroughReader implements Reader {
  readonly #source: ThroughSource;
  readonly #to: number | undefined;
  readonly #hash: Hash | undefined;
  readonly #abort = new AbortController();
  readonly #forgetSignal: () => void;
  /** Whom to ask for the next byte, as a fill does. */
  readonly #sources: Sources;
  readonly #refusals = new Refusals();
  #body: UpstreamBody | undefined;
  /** Where it began. */
  #bodyFrom = 0;
  /** Of whom the body is. */
  #upstream = '';
  /** All came in one body of one upstream. */
  #whole = true;
  /** The next byte wanted from the upstream. */
  #position: number;
  #size: number | undefined;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #ended = false;

  /** `back`: bytes from `from` on that are here already, and their hash; without it nothing is verified or held back. */
  constructor(source: ThroughSource, from: number, to: number | undefined, back: HeldBack | undefined, signal: AbortSignal) {
    this.#source = source;
    this.#sources = new Sources(source.blame.candidates(source, source.chain));
    this.#position = from + (back?.held.byteLength ?? 0);
    this.#to = to;
    this.#hash = back?.hash;
    if (back !== undefined && back.held.byteLength > 0) this.#hold(back.held);
    this.#whole = this.#position === 0;
    this.#size = source.size;
    const onAbort = (): void => this.#abort.abort(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    this.#forgetSignal = () => signal.removeEventListener('abort', onAbort);
  }

  /** Rejects with RegistryError where no upstream supplies the next byte. */
  async connect(): Promise<void> {
    const { clock, registry, repository, digest } = this.#source;
    const endsAt = clock.monotonic() + CHAIN_DEADLINE_MS;
    for (let upstream = this.#sources.current(); upstream !== undefined; upstream = this.#sources.current()) {
      if (await this.#ask(upstream, endsAt - clock.monotonic())) return;
      this.#sources.refused(upstream);
    }
    const refusal = this.#refusals.fold();
    const status = missStatus(refusal.tried.at(-1)?.upstream);
    throw refusalError(refusal, { kind: 'blob', registry, repository, reference: digest }, status);
  }

  /** True when it has a body now. */
  async #ask(upstream: Upstream, limitMs: number): Promise<boolean> {
    const { clock } = this.#source;
    const { signal } = this.#abort;
    const askedAt = clock.monotonic();
    const accept = (answer: UpstreamFound): Promise<UpstreamBody> => this.#accept(answer, upstream);
    try {
      const said = await askOne(clock, upstream, this.#request(), signal, limitMs, accept);
      if (said.kind === 'found') {
        // It was answered as the reader was closed, which had nothing to close then.
        if (signal.aborted) said.value.close();
        signal.throwIfAborted();
        this.#body = said.value;
        this.#bodyFrom = this.#position;
        this.#upstream = upstream.name;
        return true;
      }
      this.#refusals.add(upstream.name, said, clock.monotonic() - askedAt);
    } catch (error) {
      if (signal.aborted || !(error instanceof UpstreamError)) throw error;
      this.#refusals.addError(error, clock.monotonic() - askedAt);
    }
    return false;
  }

  async read(into: Uint8Array): Promise<number> {
    for (;;) {
      const count = this.#give(into);
      if (count > 0) return count;
      if (this.#ended) return 0;
      await this.#receive();
    }
  }

  close(): void {
    this.#forgetSignal();
    this.#body?.close();
    this.#abort.abort(new Error('the reader is closed'));
    this.#held = [];
  }

  #request(): UpstreamRequest {
    const { registry, repository, digest } = this.#source;
    const wanted = this.#position > 0 || this.#to !== undefined;
    const range = { from: this.#position, ...(this.#to === undefined ? {} : { to: this.#to }) };
    return { kind: 'blob', method: 'GET', registry, repository, reference: digest, ...(wanted ? { range } : {}) };
  }

  async #accept(answer: UpstreamFound, upstream: Upstream): Promise<UpstreamBody> {
    const { body } = answer;
    if (body === undefined) throw new UpstreamError(upstream.name, 'status', `${upstream.name} answered a GET without a body`);
    const contradicts = this.#size !== undefined && answer.size !== undefined && answer.size !== this.#size;
    if (contradicts || answer.from > this.#position) {
      throw new UpstreamError(upstream.name, 'verify', `${upstream.name} sends another length or range than was asked for`);
    }
    this.#size ??= answer.size;
    return answer.from === this.#position ? body : discarding(body, this.#position - answer.from);
  }

  /** What may leave now: everything but the tail, or everything once verified. */
  #give(into: Uint8Array): number {
    let free = this.#ended || this.#hash === undefined ? this.#heldBytes : this.#heldBytes - this.#holdBack();
    let count = 0;
    while (free > 0 && count < into.byteLength) {
      const chunk = this.#held[0];
      if (chunk === undefined) break;
      const take = Math.min(chunk.byteLength, into.byteLength - count, free);
      into.set(chunk.subarray(0, take), count);
      count += take;
      free -= take;
      this.#heldBytes -= take;
      if (take === chunk.byteLength) this.#held.shift();
      else this.#held[0] = chunk.subarray(take);
    }
    return count;
  }

  #holdBack(): number {
    if (this.#size === undefined) return TAIL_BYTES;
    if (this.#size <= SMALL_BYTES) return this.#heldBytes;
    return Math.max(0, this.#position - (this.#size - TAIL_BYTES));
  }

  async #receive(): Promise<void> {
    const broken = await this.#receiveOne();
    if (broken === undefined) return;
    this.#body?.close();
    this.#whole &&= this.#position === 0;
    if (this.#sources.broke(this.#position - this.#bodyFrom, broken.reason === 'stall')) this.#refusals.addError(broken, 0);
    await this.connect();
  }

  /** Why the body goes on no longer, where it is not at its end. */
  async #receiveOne(): Promise<UpstreamError | undefined> {
    try {
      const chunk = await this.#body?.read();
      if (chunk !== undefined) this.#take(chunk);
      else if (this.#complete()) this.#verify();
      else return new UpstreamError(this.#upstream, 'cut', `${this.#upstream} ended its body at byte ${this.#position}`);
    } catch (error) {
      if (error instanceof UpstreamError) return error;
      throw error;
    }
    return undefined;
  }

  #take(chunk: Uint8Array): void {
    const end = this.#to ?? this.#size;
    const fitting = end === undefined ? chunk : chunk.subarray(0, end - this.#position);
    if (fitting.byteLength < chunk.byteLength && this.#to === undefined) throw this.#wrong();
    this.#hash?.update(fitting);
    this.#hold(new Uint8Array(fitting));
    this.#position += fitting.byteLength;
    if (end !== undefined && this.#position >= end) this.#verify();
  }

  #hold(bytes: Uint8Array): void {
    this.#held.push(bytes);
    this.#heldBytes += bytes.byteLength;
  }

  #complete(): boolean {
    const end = this.#to ?? this.#size;
    return end === undefined || this.#position >= end;
  }

  #verify(): void {
    if (this.#ended) return;
    const { digest } = this.#source;
    if (this.#hash !== undefined && finishDigest(this.#hash, algorithmOf(digest)) !== digest) throw this.#wrong();
    this.#ended = true;
    this.#body?.close();
  }

  /** Counted and blamed as a fill's bytes are (architecture.md, decision 4). */
  #wrong(): Error {
    const { digest, report, blame } = this.#source;
    const whole = this.#whole && this.#size !== undefined;
    report({ kind: 'verify-failed', upstream: this.#upstream, digest, whole });
    if (whole) blame.add(this.#source, this.#upstream);
    return new Error(`the bytes passed through are not those of ${digest}`);
  }
}
