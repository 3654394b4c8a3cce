import type { Hash } from 'node:crypto';
import { algorithmOf, finishDigest, startDigest, type Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import { UpstreamError, type Upstream, type UpstreamBody, type UpstreamFound } from '../upstream/upstream.ts';
import { askChain, CHAIN_DEADLINE_MS } from './chain.ts';
import { etagOf, type Content, type Reader } from './content.ts';
import { SMALL_BYTES, TAIL_BYTES } from './growing.ts';

/** Where bytes that cannot be kept come from. */
export interface ThroughSource {
  readonly clock: Clock;
  readonly chain: readonly Upstream[];
  readonly registry: string;
  readonly repository: string;
  readonly digest: Digest;
  readonly size: number | undefined;
}

/** A broken body is gone on with this often for each reader; every time from where it broke. */
const RESUMES_MAX = 50;

/** Content that nobody keeps: each reader has an upstream transfer of its own. */
export function throughContent(source: ThroughSource): Content {
  return {
    digest: source.digest,
    size: source.size,
    etag: etagOf(source.digest),
    open: (from, to, signal) => openThrough(source, from, to, from === 0 ? startDigest(source.digest) : undefined, signal),
  };
}

/**
 * Reads `from` up to `to` straight from the chain. With a `hash` of what came before `from`, and `to` at the end of the
 * blob, the tail is held back until the digest matches; a part of a blob cannot be verified by anybody.
 */
export async function openThrough(
  source: ThroughSource,
  from: number,
  to: number | undefined,
  hash: Hash | undefined,
  signal: AbortSignal,
): Promise<Reader> {
  const whole = to === undefined || to === source.size;
  const reader = new ThroughReader(source, from, to, whole ? hash : undefined, signal);
  await reader.connect();
  return reader;
}

class ThroughReader implements Reader {
  readonly #source: ThroughSource;
  readonly #to: number | undefined;
  readonly #hash: Hash | undefined;
  readonly #abort = new AbortController();
  readonly #forgetSignal: () => void;
  #body: UpstreamBody | undefined;
  /** The next byte wanted from the upstream. */
  #position: number;
  #size: number | undefined;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #ended = false;
  #resumes = 0;

  constructor(source: ThroughSource, from: number, to: number | undefined, hash: Hash | undefined, signal: AbortSignal) {
    this.#source = source;
    this.#position = from;
    this.#to = to;
    this.#hash = hash;
    this.#size = source.size;
    const onAbort = (): void => this.#abort.abort(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    this.#forgetSignal = () => signal.removeEventListener('abort', onAbort);
  }

  async connect(): Promise<void> {
    const { clock, chain, registry, repository, digest } = this.#source;
    const wanted = this.#position > 0 || this.#to !== undefined;
    const range = { from: this.#position, ...(this.#to === undefined ? {} : { to: this.#to }) };
    const request = {
      kind: 'blob',
      method: 'GET',
      registry,
      repository,
      reference: digest,
      ...(wanted ? { range } : {}),
    } as const;
    const result = await askChain(
      clock,
      { chain, request, signal: this.#abort.signal, deadlineMs: CHAIN_DEADLINE_MS },
      async (answer, upstream) => this.#accept(answer, upstream),
    );
    if (result.kind !== 'found') throw new Error(`no upstream supplied ${digest}: ${result.kind}`);
    this.#body = result.value;
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

  async #accept(answer: UpstreamFound, upstream: Upstream): Promise<UpstreamBody> {
    const body = answer.body;
    if (body === undefined) throw new UpstreamError(upstream.name, 'status', `${upstream.name} answered a GET without a body`);
    const contradicts = this.#size !== undefined && answer.size !== undefined && answer.size !== this.#size;
    if (contradicts || answer.from > this.#position) {
      body.close();
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
    try {
      const chunk = await this.#body?.read();
      if (chunk !== undefined) return this.#take(chunk);
      if (this.#complete()) return this.#verify();
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
    }
    this.#resumes += 1;
    if (this.#resumes > RESUMES_MAX) throw new Error(`${this.#source.digest} broke ${RESUMES_MAX} times`);
    await this.connect();
  }

  #take(chunk: Uint8Array): void {
    const end = this.#to ?? this.#size;
    const fitting = end === undefined ? chunk : chunk.subarray(0, end - this.#position);
    if (fitting.byteLength < chunk.byteLength && this.#to === undefined) throw new Error('more bytes came than were promised');
    this.#hash?.update(fitting);
    this.#held.push(fitting.slice());
    this.#heldBytes += fitting.byteLength;
    this.#position += fitting.byteLength;
    if (end !== undefined && this.#position >= end) this.#verify();
  }

  #complete(): boolean {
    const end = this.#to ?? this.#size;
    return end === undefined || this.#position >= end;
  }

  #verify(): void {
    if (this.#ended) return;
    const { digest } = this.#source;
    if (this.#hash !== undefined && finishDigest(this.#hash, algorithmOf(digest)) !== digest) {
      throw new Error(`the bytes passed through are not those of ${digest}`);
    }
    this.#ended = true;
    this.#body?.close();
  }
}

/** A 200 in answer to a range: what was not wanted is read and dropped. */
export function discarding(body: UpstreamBody, surplus: number): UpstreamBody {
  let left = surplus;
  return {
    async read() {
      for (;;) {
        const chunk = await body.read();
        if (chunk === undefined || left === 0) return chunk;
        const skip = Math.min(left, chunk.byteLength);
        left -= skip;
        if (skip < chunk.byteLength) return chunk.subarray(skip);
      }
    },
    close: () => body.close(),
  };
}
