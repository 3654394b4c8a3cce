import type { FillKey } from '../../metadata/records.ts';
import type { Digest } from '../../oci/digest.ts';
import { sleep } from '../../system/clock.ts';
import { UpstreamError } from '../../upstream/upstream.ts';
import type { Content, Reader } from '../content.ts';
import type { FillOutcome } from '../events.ts';
import { neededFor, type Decider } from '../granting.ts';
import { Brought, type Follower } from './brought.ts';
import { followFill } from './follow.ts';
import type { LeadEnd } from './job.ts';
import { Lead, LEASE_LOST } from './lead.ts';
import type { Lease } from './lease.ts';
import { FillReaders, type Seat } from './readers.ts';
import type { FillOrder, FillsDeps, FillStatus, FirstAnswer } from './types.ts';
import { Growing, SMALL_BYTES } from './growing.ts';
import type { Refusal, Tried } from '../refusal.ts';
import { troubleOf } from '../trouble.ts';

const PARKED = new Error('the fill is parked');

/** Other repositories that are linked when it is held. Beyond that an upstream is asked again, at the next pull. */
const LINKS_MAX = 1_000;

export interface FillTells {
  /** Its readers have become more or fewer. */
  readonly readers: () => void;
  /** It gave the disk up; told before anything waits for that disk again. */
  readonly diskFailed: (error: unknown) => void;
  /** As `LeadOptions` has it. */
  readonly isCareful: boolean;
}

/** One running download: its growing file, its readers, and what becomes of both. */
export class Fill implements FillKey {
  readonly registry: string;
  readonly digest: Digest;
  /** With its registry: for whom the chain is asked. */
  readonly holder: string;
  /** Who decided as it began who may read. */
  readonly decider: Decider;
  /** Resolves once: what a client may be told. Never rejects. */
  readonly first: Promise<FirstAnswer>;
  /** Resolves when it is over: the size of what is held now, `undefined` where nothing is. */
  readonly ended: Promise<number | undefined>;
  readonly #deps: FillsDeps;
  readonly #order: FillOrder;
  readonly #growing: Growing;
  readonly #readers: FillReaders;
  readonly #tell: FillTells;
  #abort = new AbortController();
  readonly #linked = new Set<string>();
  #parked = false;
  #upstream = '';
  /** Asked in vain before it. */
  #tried: readonly Tried[] = [];
  #settle: (answer: FirstAnswer) => void = () => undefined;
  #finish: (held: number | undefined) => void = () => undefined;

  constructor(deps: FillsDeps, order: FillOrder, tell: FillTells) {
    this.registry = order.registry;
    this.digest = order.digest;
    this.holder = order.holder;
    this.decider = order.decider;
    this.#deps = deps;
    this.#order = order;
    this.#growing = new Growing(order, order.expectedSize, new Brought(order.holder, order.decider === 'nobody'));
    this.#tell = tell;
    this.#readers = new FillReaders(deps, order, this.#growing, tell.readers);
    this.first = new Promise((resolve) => (this.#settle = resolve));
    this.ended = new Promise((resolve) => (this.#finish = resolve));
  }

  get size(): number | undefined {
    return this.#growing.size;
  }

  /** False when it is ending without having finished: who comes now begins anew. */
  canBeJoined(): boolean {
    const { phase } = this.#growing;
    return !this.#parked && (phase === 'running' || phase === 'done');
  }

  isOrphan(): boolean {
    return !this.#parked && this.#growing.phase === 'running' && this.#readers.none;
  }

  /** Counts a client that is about to read, until it calls what is returned, or goes. */
  hold(signal: AbortSignal): () => void {
    return this.#readers.hold(signal);
  }

  /** As {@link Brought.permits}. */
  permits(follower: Follower): boolean {
    return this.#growing.brought.permits(follower);
  }

  /** As {@link Brought.sole}. */
  get broughtBy(): string | undefined {
    return this.#growing.brought.sole;
  }

  /** True once for each: how those are told apart who are linked when it is held. False beyond as many as are remembered. */
  isFirst(follower: Follower): boolean {
    const key = `${follower.holder} ${follower.upstream ?? ''}`;
    if (this.#linked.has(key) || this.#linked.size >= LINKS_MAX) return false;
    this.#linked.add(key);
    return true;
  }

  /** As `Content.open`, before and after its end; what does not come from here, comes from beside it. */
  open(from: number, to: number | undefined, signal: AbortSignal, seat?: Seat): Promise<Reader> {
    return this.#readers.open(from, to, signal, seat);
  }

  /** A range too far ahead, straight from an upstream; `undefined` where waiting is the better way. */
  ahead(from: number, seat?: Seat): Content | undefined {
    return this.#readers.ahead(from, seat);
  }

  /**
   * Waits until the size is as known as it will be while bytes arrive: at once but for a fill that begins anew. `known`: even
   * until somebody knows it for sure. Ends too when the client has gone, or `waitMs` have passed.
   */
  async sized(known: boolean, signal: AbortSignal, waitMs: number): Promise<void> {
    const growing = this.#growing;
    const isOpen = (): boolean => growing.phase === 'running' && (known ? growing.size === undefined : !growing.answered);
    if (!isOpen()) return;
    const end = new AbortController();
    const onAbort = (): void => end.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const late = sleep(this.#deps.clock, waitMs, end.signal).catch(() => undefined); // Either way the waiting is over.
    let waiting = !signal.aborted;
    void late.then(() => (waiting = false));
    while (waiting && isOpen()) {
      let forget = (): void => undefined;
      const changed = new Promise<void>((resolve) => (forget = growing.onChange(resolve)));
      await Promise.race([changed, late]);
      forget();
    }
    signal.removeEventListener('abort', onAbort);
    end.abort(new Error('no need to wait any more'));
  }

  status(): FillStatus {
    const { size, written, frontier, part } = this.#growing;
    const readers = this.#readers.count;
    const { registry, digest, holder } = this;
    return { registry, digest, repository: holder, size, written, frontier, readers, part: part?.id, upstream: this.#upstream };
  }

  /** Stops it so that it can go on later. */
  park(): void {
    this.#parked = true;
    this.#abort.abort(PARKED);
  }

  /** Leads, or follows the process that does; takes over when that one is gone. `onOver` is called last. Never rejects. */
  async run(onOver: () => void): Promise<FillOutcome> {
    const outcome = await this.#work().catch((error: unknown) => this.#failed(error));
    if (this.#growing.phase === 'running') this.#growing.fail(PARKED);
    this.#readers.over(outcome === 'done');
    this.#growing.part?.release();
    this.#settle({ kind: 'refused', refusal: { kind: 'unreachable', timeout: false, tried: [] } });
    onOver();
    this.#finish(outcome === 'done' ? this.#growing.written : undefined);
    return outcome;
  }

  async #work(): Promise<FillOutcome> {
    let claim = await this.#deps.leases.take(this);
    while (!this.#parked) {
      if (claim.kind === 'lead') {
        const outcome = await this.#lead(claim.lease);
        if (outcome !== undefined) return outcome;
        claim = await this.#deps.leases.take(this);
      } else {
        const followed = await followFill(this.#deps, this.#growing, this.#abort.signal, () => this.#settleContent(undefined));
        if (followed.kind === 'done') {
          this.#settleContent(undefined);
          return 'done';
        }
        if (!this.#parked) claim = await this.#deps.leases.take(this, followed.silent);
      }
    }
    return 'parked';
  }

  /** `undefined` when another process leads now. */
  async #lead(lease: Lease): Promise<FillOutcome | undefined> {
    if (!this.#growing.brought.lead(this.holder)) await this.#giveBack();
    const keeping = lease.keep(this.#growing, () => this.#abort.abort(LEASE_LOST));
    const lead = new Lead(this.#deps, this.#order, this.#growing, {
      stop: this.#abort.signal,
      onAnswer: ({ name }, tried) => this.#answered(name, tried),
      isCareful: this.#tell.isCareful,
    });
    const end = await lead.run().catch((error: unknown): LeadEnd => {
      this.#growing.fail(error);
      return { kind: 'disk', error };
    });
    if (end.kind === 'parked' && !this.#parked) {
      // The other leader copied what it was told; our own file goes with its last reader.
      await this.#growing.part?.discard().catch(() => undefined); // A leftover is swept later.
      this.#abort = new AbortController();
      return undefined;
    }
    const outcome = await this.#conclude(end);
    await keeping.end(outcome === 'done' ? 'done' : 'failed');
    return outcome;
  }

  /** What another process has brought so far is not to be shown here. */
  async #giveBack(): Promise<void> {
    const { part } = this.#growing;
    this.#growing.restart(this.#order.expectedSize);
    await part?.discard().catch(() => undefined); // A leftover is swept later.
    part?.release();
  }

  async #conclude(end: LeadEnd): Promise<FillOutcome> {
    switch (end.kind) {
      case 'done':
        this.#settleContent(this.holder);
        return this.#keep(end);
      case 'disk':
        return this.#failed(end.error);
      case 'refused':
        this.#settle({ kind: 'refused', refusal: end.refusal });
        this.#growing.fail(refusalCause(end.refusal));
        return 'failed';
      case 'parked':
        this.#growing.fail(PARKED);
        return 'parked';
    }
  }

  /** The readers have everything already; failing to keep it costs only the next pull. */
  async #keep(end: Extract<LeadEnd, { kind: 'done' }>): Promise<'done' | 'bypass'> {
    const { upstream } = end;
    const { anonymous, isPublic, sole } = this.#growing.brought;
    const needed = neededFor(this.#order, anonymous);
    const provenance = { repository: this.holder, upstream, claimed: sole !== upstream, public: isPublic, needed };
    try {
      await this.#deps.keep(end, this.digest, this.#growing.written, provenance);
      return 'done';
    } catch (error) {
      const trouble = troubleOf(error);
      if (trouble === 'storage') this.#tell.diskFailed(error);
      this.#deps.report({ kind: 'bypass', reason: trouble, error });
      return 'bypass';
    }
  }

  /** The disk failed: its readers go on by themselves, and what it holds of the blob makes room. */
  async #failed(error: unknown): Promise<'bypass'> {
    const reason = troubleOf(error);
    if (reason !== 'room') this.#tell.diskFailed(error);
    this.#deps.report({ kind: 'bypass', reason, error });
    if (this.#growing.phase === 'running') this.#growing.fail(error);
    this.#settle({ kind: 'bypass' });
    await this.#growing.part?.discard().catch(() => undefined); // A leftover is swept later.
    return 'bypass';
  }

  #answered(upstream: string, tried: readonly Tried[]): void {
    this.#upstream = upstream;
    this.#tried = tried;
    this.#readers.answered();
    const { size } = this.#growing;
    if (size === undefined || size > SMALL_BYTES) this.#settleContent(this.holder);
    this.#growing.wake();
  }

  #settleContent(proven: string | undefined): void {
    this.#readers.answered();
    this.#settle({ kind: 'content', proven, upstream: this.#upstream, tried: this.#tried });
  }
}

function refusalCause(refusal: Refusal): Error {
  const last = refusal.tried.at(-1);
  return new UpstreamError(last?.upstream ?? '', 'cut', last?.error ?? 'no upstream supplied the rest');
}
