import type { Digest } from '../oci/digest.ts';
import { UpstreamError } from '../upstream/upstream.ts';
import type { Refusal } from './chain.ts';
import { etagOf, type Content, type Reader } from './content.ts';
import { followFill } from './fill-follow.ts';
import { Lead, LEASE_LOST, type FillDeps, type FillJob, type LeadEnd } from './fill-lead.ts';
import type { Lease, Leases } from './fill-lease.ts';
import { Growing, SMALL_BYTES, TAIL_BYTES } from './growing.ts';
import { GrowingReader } from './growing-reader.ts';
import type { Provenance } from './store.ts';
import { openThrough, throughContent, type ThroughSource } from './through.ts';

export interface FillsDeps extends FillDeps {
  readonly leases: Leases;
  /** Publishes a verified part and links it; rejects when disk or metadata fail. */
  readonly keep: (
    end: Extract<LeadEnd, { kind: 'done' }>,
    digest: Digest,
    size: number,
    provenance: Provenance,
  ) => Promise<void>;
}

/** A fill, and under which repository it is to be kept. */
export interface FillOrder extends FillJob {
  /** The repository with its registry. */
  readonly holder: string;
  /** Anyone may pull on this route: what comes without credentials is public. */
  readonly open: boolean;
}

/** What is known before the first byte leaves. `proven`: the repository under which an upstream said yes. */
export type FirstAnswer =
  | { readonly kind: 'content'; readonly proven: string | undefined; readonly upstream: string }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'bypass'; readonly error: unknown };

export interface FillStatus {
  readonly digest: Digest;
  readonly repository: string;
  readonly size: number | undefined;
  readonly written: number;
  /** Up to where it may be read. */
  readonly frontier: number;
  readonly readers: number;
  /** Of the part file. */
  readonly part: string | undefined;
  readonly upstream: string;
}

/** Fills without a reader that may go on at once; more are parked (architecture.md, decision 14). */
const ORPHANS_MAX = 8;

/** Who is filling what: the port through which every miss goes, so that one fill runs per digest (promise 2). */
export class Fills {
  readonly #deps: FillsDeps;
  readonly #running = new Map<Digest, Fill>();

  constructor(deps: FillsDeps) {
    this.#deps = deps;
  }

  get(digest: Digest): Fill | undefined {
    return this.#running.get(digest);
  }

  /** Joins the digest's fill, or starts it; `joined` says which. */
  claim(order: FillOrder): { readonly fill: Fill; readonly joined: boolean } {
    const running = this.#running.get(order.digest);
    if (running !== undefined) return { fill: running, joined: true };
    const fill = new Fill(this.#deps, order, () => this.#onReaders(fill));
    this.#running.set(order.digest, fill);
    this.#deps.report({ kind: 'fill-started', digest: order.digest });
    void fill.run().finally(() => this.#running.delete(order.digest));
    return { fill, joined: false };
  }

  running(): readonly FillStatus[] {
    return [...this.#running.values()].map((fill) => fill.status());
  }

  /** Stops every fill so that it can go on after a restart; resolves when what they have is durable. */
  async park(): Promise<void> {
    const fills = [...this.#running.values()];
    for (const fill of fills) fill.stop(PARKED);
    await Promise.all(fills.map((fill) => fill.ended));
  }

  /** The fill's readers have become more or fewer. */
  #onReaders(fill: Fill): void {
    const readers = [...this.#running.values()].map((running) => running.status().readers);
    this.#deps.report({ kind: 'fill-followers', count: readers.reduce((sum, count) => sum + Math.max(0, count - 1), 0) });
    const orphans = readers.filter((count) => count === 0).length;
    if (fill.status().readers === 0 && orphans > ORPHANS_MAX) fill.stop(PARKED);
  }
}

const PARKED = new Error('the fill is parked');

/** A range this far ahead waits if it will be reached within this time (decision 6). */
const AHEAD_WAIT_MS = 2_000;
/** Before a rate is known, what is nearer than this is waited for. */
const AHEAD_NEAR_BYTES = 1024 * 1024;
/** Ranges of one blob that pass through beside its fill. */
const AHEAD_MAX = 4;

/** One running download: its growing file, its readers, and what becomes of both. */
export class Fill {
  readonly digest: Digest;
  /** Resolves once: what a client may be told. Never rejects. */
  readonly first: Promise<FirstAnswer>;
  /** Resolves when nothing of it runs any more. */
  readonly ended: Promise<void>;
  readonly #deps: FillsDeps;
  readonly #order: FillOrder;
  readonly #growing: Growing;
  #abort = new AbortController();
  readonly #onReaders: () => void;
  readonly #startedAt: number;
  #readers = 0;
  #ahead = 0;
  #upstream = '';
  #settle: (answer: FirstAnswer) => void = () => undefined;
  #finish: () => void = () => undefined;

  constructor(deps: FillsDeps, order: FillOrder, onReaders: () => void) {
    this.digest = order.digest;
    this.#deps = deps;
    this.#order = order;
    this.#onReaders = onReaders;
    this.#growing = new Growing(order.digest, order.expectedSize);
    this.#startedAt = deps.clock.monotonic();
    this.first = new Promise((resolve) => (this.#settle = resolve));
    this.ended = new Promise((resolve) => (this.#finish = resolve));
  }

  /** Bytes that are still arriving. */
  content(): Content {
    const growing = this.#growing;
    return {
      digest: this.digest,
      get size() {
        return growing.size;
      },
      etag: etagOf(this.digest),
      open: (from, to, signal) => this.#open(from, to, signal),
    };
  }

  /** A range too far ahead, straight from an upstream; `undefined` when the fill has it, or has it within 2 s. */
  async ahead(from: number, signal: AbortSignal): Promise<Content | undefined> {
    if (await this.#reaches(from, signal)) return undefined;
    if (this.#growing.phase !== 'running' || this.#ahead >= AHEAD_MAX) return undefined;
    const through = throughContent(this.#source());
    return { ...through, open: (start, to, ending) => this.#openAhead(through, start, to, ending) };
  }

  /** Waits only where the rate so far promises that it is worth it, and then no longer than promised. */
  async #reaches(from: number, signal: AbortSignal): Promise<boolean> {
    const growing = this.#growing;
    const reached = (): boolean => growing.phase !== 'running' || from < growing.frontier;
    if (reached()) return true;
    if (this.#etaMs(from) > AHEAD_WAIT_MS) return false;
    const { clock } = this.#deps;
    const until = clock.monotonic() + AHEAD_WAIT_MS;
    while (!reached() && !signal.aborted && clock.monotonic() < until) {
      await new Promise<void>((resolve) => {
        const forget = growing.onChange(done);
        const timer = clock.after(Math.max(0, until - clock.monotonic()), done);
        function done(): void {
          forget();
          timer.cancel();
          resolve();
        }
      });
    }
    return reached();
  }

  /** Resolves when the size is known, or will never be. */
  async sized(signal: AbortSignal): Promise<number | undefined> {
    while (this.#growing.size === undefined && this.#growing.phase === 'running' && !signal.aborted) {
      await new Promise<void>((resolve) => this.#growing.onChange(resolve));
    }
    return this.#growing.size;
  }

  /** Nothing more comes, and what came is void: who comes now had better begin anew. */
  hasFailed(): boolean {
    return this.#growing.phase === 'failed';
  }

  status(): FillStatus {
    const { size, written, frontier, part } = this.#growing;
    const { holder } = this.#order;
    return {
      digest: this.digest,
      repository: holder,
      size,
      written,
      frontier,
      readers: this.#readers,
      part: part?.id,
      upstream: this.#upstream,
    };
  }

  stop(reason: Error): void {
    this.#abort.abort(reason);
  }

  /** Leads, or follows the process that does; takes over when that one is gone. Never rejects. */
  async run(): Promise<void> {
    try {
      for (;;) {
        const claim = await this.#deps.leases.take(this.digest);
        const over = claim.kind === 'lead' ? await this.#lead(claim.lease) : await this.#follow();
        if (over || (this.#abort.signal.aborted && this.#abort.signal.reason !== LEASE_LOST)) return;
        if (this.#abort.signal.aborted) this.#abort = new AbortController();
      }
    } catch (error) {
      this.#growing.fail(error);
      this.#settle({ kind: 'bypass', error });
    } finally {
      this.#growing.part?.release();
      this.#settle({ kind: 'refused', refusal: { kind: 'unreachable', timeout: false, tried: [] } });
      this.#finish();
    }
  }

  /** True when it is over; false when another process leads now. */
  async #lead(lease: Lease): Promise<boolean> {
    const keeping = lease.keep(this.#growing, () => this.stop(LEASE_LOST));
    const lead = new Lead(this.#deps, this.#order, this.#growing, this.#abort.signal, (upstream) =>
      this.#answered(upstream.name),
    );
    let end: LeadEnd;
    try {
      end = await lead.run();
    } catch (error) {
      end = { kind: 'disk', error };
      this.#growing.fail(error);
    }
    if (end.kind === 'parked' && this.#abort.signal.reason === LEASE_LOST) return false;
    const outcome = await this.#conclude(end);
    await keeping.end(outcome === 'done' ? 'done' : 'failed');
    const ms = this.#deps.clock.monotonic() - this.#startedAt;
    this.#deps.report({ kind: 'fill-ended', digest: this.digest, outcome, bytes: this.#growing.written, ms });
    return true;
  }

  async #conclude(end: LeadEnd): Promise<'done' | 'failed' | 'bypass' | 'parked'> {
    switch (end.kind) {
      case 'done':
        this.#settleContent(this.#order.holder);
        return this.#keep(end);
      case 'disk':
        this.#deps.report({ kind: 'bypass', reason: 'storage', error: end.error });
        this.#settle({ kind: 'bypass', error: end.error });
        return 'bypass';
      case 'refused':
        this.#settle({ kind: 'refused', refusal: end.refusal });
        this.#growing.fail(refusalCause(end.refusal));
        return 'failed';
      case 'parked':
        this.#growing.fail(this.#abort.signal.reason);
        return 'parked';
    }
  }

  /** The readers have everything already; failing to keep it costs only the next pull. */
  async #keep(end: Extract<LeadEnd, { kind: 'done' }>): Promise<'done' | 'bypass'> {
    const { holder, open } = this.#order;
    const provenance = { repository: holder, upstream: end.upstream, public: open && end.anonymous };
    try {
      await this.#deps.keep(end, this.digest, this.#growing.written, provenance);
      return 'done';
    } catch (error) {
      this.#deps.report({ kind: 'bypass', reason: 'storage', error });
      return 'bypass';
    }
  }

  /** True when the other process finished it. */
  async #follow(): Promise<boolean> {
    const done = await followFill(this.#deps, this.#growing, this.#abort.signal, () => this.#settleContent(undefined));
    if (done) this.#settleContent(undefined);
    return done;
  }

  #answered(upstream: string): void {
    this.#upstream = upstream;
    const { size } = this.#growing;
    if (size === undefined || size > SMALL_BYTES) this.#settleContent(this.#order.holder);
    this.#growing.wake();
  }

  #settleContent(proven: string | undefined): void {
    this.#settle({ kind: 'content', proven, upstream: this.#upstream });
  }

  async #open(from: number, to: number | undefined, signal: AbortSignal): Promise<Reader> {
    const source = this.#source();
    this.#readers += 1;
    this.#onReaders();
    const reader = new GrowingReader(
      this.#growing,
      from,
      to,
      signal,
      (start, end, hash) => openThrough(source, start, end, hash, signal),
      () => this.#readerClosed(),
    );
    try {
      await reader.ready();
      return reader;
    } catch (error) {
      reader.close();
      throw error;
    }
  }

  #readerClosed(): void {
    this.#readers -= 1;
    this.#onReaders();
  }

  async #openAhead(through: Content, from: number, to: number | undefined, signal: AbortSignal): Promise<Reader> {
    this.#ahead += 1;
    try {
      const reader = await through.open(from, to, signal);
      let open = true;
      const close = (): void => {
        if (open) this.#ahead -= 1;
        open = false;
        reader.close();
      };
      return { read: (into) => reader.read(into), close };
    } catch (error) {
      this.#ahead -= 1;
      throw error;
    }
  }

  #source(): ThroughSource {
    const { chain, registry, repository, digest } = this.#order;
    return { clock: this.#deps.clock, chain, registry, repository, digest, size: this.#growing.size };
  }

  /** Milliseconds until the byte at `from` may be read, at the rate so far. */
  #etaMs(from: number): number {
    const { size, written } = this.#growing;
    const target = size !== undefined && (size <= SMALL_BYTES || from >= size - TAIL_BYTES) ? size : from;
    const distance = target - written;
    const elapsedMs = this.#deps.clock.monotonic() - this.#startedAt;
    if (written === 0 || elapsedMs <= 0) return distance <= AHEAD_NEAR_BYTES ? 0 : Infinity;
    return distance / (written / elapsedMs);
  }
}

function refusalCause(refusal: Refusal): Error {
  const last = refusal.tried.at(-1);
  return new UpstreamError(last?.upstream ?? '', 'cut', last?.error ?? 'no upstream supplied the rest');
}
