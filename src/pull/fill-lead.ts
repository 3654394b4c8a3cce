import type { Hash } from 'node:crypto';
import type { BlobStore, Part } from '../blobs/blob-store.ts';
import type { Records } from '../metadata/records.ts';
import { algorithmOf, finishDigest, startDigest, type Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import {
  UpstreamError,
  type Upstream,
  type UpstreamBody,
  type UpstreamFound,
  type UpstreamRequest,
} from '../upstream/upstream.ts';
import { askOne, CHAIN_DEADLINE_MS, Refusals, type Refusal } from './chain.ts';
import type { ReportPull } from './events.ts';
import { openPart } from './fill-part.ts';
import { Sources, type Blame } from './fill-sources.ts';
import type { Growing } from './growing.ts';
import { discarding } from './through.ts';

export interface FillDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly blobs: BlobStore;
  readonly records: Records;
  readonly report: ReportPull;
  readonly blame: Blame;
}

/** What to get, from where, and for whom: the repository under which an upstream has to say yes. */
export interface FillJob {
  readonly digest: Digest;
  readonly registry: string;
  readonly repository: string;
  readonly chain: readonly Upstream[];
  /** As a verified manifest of that repository describes it. */
  readonly expectedSize: number | undefined;
}

/** How leading ended. `refused`: nobody supplied (the rest of) it. `parked`: told to stop; the part stays for later. */
export type LeadEnd =
  | { readonly kind: 'done'; readonly part: Part; readonly upstream: string; readonly anonymous: boolean }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'parked' }
  | { readonly kind: 'disk'; readonly error: unknown };

/** Bytes after which the prefix is first made durable; then at every doubling up to the largest step. */
const SYNC_FIRST_BYTES = 4 * 1024 * 1024;
const SYNC_STEP_BYTES = 64 * 1024 * 1024;

/** Why a fill is told to stop when another process leads it now: what is recorded is then the other's to record. */
export const LEASE_LOST = new Error('another process took over this fill');

/** Told when an upstream has answered and the size is as known as it will be. */
export type OnAnswer = (upstream: Upstream, anonymous: boolean) => void;

/** Leads one fill: asks, writes, goes on, verifies; begins anew where bytes turned out wrong. */
export class Lead {
  readonly #deps: FillDeps;
  readonly #job: FillJob;
  readonly #growing: Growing;
  readonly #stop: AbortSignal;
  readonly #onAnswer: OnAnswer;
  readonly #refusals = new Refusals();
  #hash: Hash;
  #syncedAt = 0;
  readonly #startedAt: number;
  #upstream = '';
  #anonymous = true;
  /** True while every byte of this generation came in one body of one upstream. */
  #whole = true;
  #bodies = 0;
  #rangeRefused = false;
  /** Until the first byte had to be begun with anew: only then is an older part worth anything. */
  #pristine = true;

  constructor(deps: FillDeps, job: FillJob, growing: Growing, stop: AbortSignal, onAnswer: OnAnswer) {
    this.#deps = deps;
    this.#job = job;
    this.#growing = growing;
    this.#stop = stop;
    this.#onAnswer = onAnswer;
    this.#hash = startDigest(job.digest);
    this.#startedAt = deps.clock.monotonic();
  }

  async run(): Promise<LeadEnd> {
    let candidates = this.#deps.blame.candidates(this.#job.digest, this.#job.chain);
    while (candidates.length > 0) {
      const end = await this.#generation(candidates, true);
      if (end !== 'mismatch' && end.kind === 'refused' && this.#rangeRefused && this.#pristine) {
        // The prefix or its size was a lie: with an upstream that has no such range it would be asked for in vain for ever.
        await this.#begin();
        continue;
      }
      if (end !== 'mismatch') return end;
      if (!(await this.#mismatch())) return this.#eachWhole(candidates);
      candidates = candidates.filter(({ name }) => name !== this.#upstream);
    }
    return { kind: 'refused', refusal: this.#refusals.fold() };
  }

  /** After a spliced body that blames nobody: each upstream once, and only what comes in one piece (decision 4). */
  async #eachWhole(candidates: readonly Upstream[]): Promise<LeadEnd> {
    for (const candidate of candidates) {
      const end = await this.#generation([candidate], false);
      if (end !== 'mismatch' && end.kind !== 'refused') return end;
      if (end === 'mismatch') await this.#mismatch();
      else await this.#begin();
    }
    return { kind: 'refused', refusal: this.#refusals.fold() };
  }

  /** One attempt, from the prefix at hand to the end. */
  async #generation(candidates: readonly Upstream[], mayResume: boolean): Promise<LeadEnd | 'mismatch'> {
    try {
      await this.#openPart();
    } catch (error) {
      this.#growing.giveUpDisk(this.#hash.copy(), error);
      return { kind: 'disk', error };
    }
    const sources = new Sources(candidates);
    for (;;) {
      if (this.#stop.aborted) return this.#park();
      if (this.#complete()) return this.#verify();
      const upstream = sources.current();
      if (upstream === undefined || this.#remainingMs() <= 0) return this.#giveUp();
      const body = await this.#ask(upstream);
      if (body === undefined) {
        sources.refused();
        continue;
      }
      const before = this.#growing.written;
      const end = await this.#pump(body);
      if (typeof end === 'object') return end;
      if (end === 'overrun' || end === 'ended') return this.#verify();
      if (!mayResume && !this.#complete()) return this.#giveUp();
      if (!this.#complete()) sources.broke(this.#growing.written - before, end === 'stalled');
    }
  }

  /** Clients wait for a first answer only so long; once bytes have come each question has that time for itself. */
  #remainingMs(): number {
    return this.#bodies > 0 ? CHAIN_DEADLINE_MS : CHAIN_DEADLINE_MS - (this.#deps.clock.monotonic() - this.#startedAt);
  }

  /** One question; `undefined` when the answer cannot be used, noted against the upstream. */
  async #ask(upstream: Upstream): Promise<UpstreamBody | undefined> {
    const { clock } = this.#deps;
    const from = this.#growing.written;
    const askedAt = clock.monotonic();
    try {
      const answer = await askOne(clock, upstream, this.#request('GET', from), this.#stop, this.#remainingMs());
      if (answer.kind === 'found') return await this.#accept(upstream, answer, from);
      this.#refusals.add(upstream.name, answer, clock.monotonic() - askedAt);
    } catch (error) {
      if (!(error instanceof UpstreamError)) {
        if (this.#stop.aborted) return undefined;
        throw error;
      }
      if (error.status === 416) this.#rangeRefused = true;
      this.#refusals.addError(error, clock.monotonic() - askedAt);
    }
    return undefined;
  }

  #request(method: 'GET' | 'HEAD', from: number): UpstreamRequest {
    const { registry, repository, digest } = this.#job;
    return { kind: 'blob', method, registry, repository, reference: digest, ...(from > 0 ? { range: { from } } : {}) };
  }

  async #accept(upstream: Upstream, answer: UpstreamFound, from: number): Promise<UpstreamBody> {
    const body = answer.body;
    if (body === undefined) throw new UpstreamError(upstream.name, 'status', `${upstream.name} answered a GET without a body`);
    const size = answer.size ?? (this.#growing.size === undefined ? await this.#sizeByHead(upstream) : undefined);
    const known = this.#growing.size;
    if (answer.from > from || (known !== undefined && size !== undefined && size !== known)) {
      body.close();
      const message = `${upstream.name} offers ${size ?? 'unknown'} bytes from ${answer.from} where ${known ?? 'unknown'} from ${from} are wanted`;
      throw new UpstreamError(upstream.name, 'verify', message);
    }
    this.#growing.size ??= size;
    this.#whole = from === 0;
    this.#bodies += 1;
    if (from > 0) this.#deps.report({ kind: 'resumed', upstream: upstream.name, digest: this.#job.digest, from });
    this.#upstream = upstream.name;
    this.#anonymous &&= answer.anonymous;
    this.#onAnswer(upstream, answer.anonymous);
    return answer.from < from ? discarding(body, from - answer.from) : body;
  }

  /** Decision 7: a body that does not say its length may still be asked for it. */
  async #sizeByHead(upstream: Upstream): Promise<number | undefined> {
    try {
      const answer = await upstream.ask(this.#request('HEAD', 0), this.#stop);
      if (answer.kind !== 'found') return undefined;
      answer.body?.close();
      return answer.size;
    } catch (error) {
      if (error instanceof UpstreamError) return undefined; // The body is here; only its length stays unknown.
      throw error;
    }
  }

  async #pump(body: UpstreamBody): Promise<'ended' | 'broken' | 'stalled' | 'overrun' | LeadEnd> {
    try {
      for (;;) {
        const chunk = await body.read();
        if (chunk === undefined) return this.#growing.size === undefined ? 'ended' : 'broken';
        const { size, written } = this.#growing;
        if (size !== undefined && written + chunk.byteLength > size) return 'overrun';
        const disk = await this.#write(chunk);
        if (disk !== undefined) return disk;
        if (this.#complete()) return 'broken';
      }
    } catch (error) {
      if (error instanceof UpstreamError) return error.reason === 'stall' ? 'stalled' : 'broken';
      if (this.#stop.aborted) return 'broken';
      throw error;
    } finally {
      if (this.#complete()) finish(body);
      else body.close();
    }
  }

  async #write(chunk: Uint8Array): Promise<LeadEnd | undefined> {
    const growing = this.#growing;
    try {
      await growing.part?.write(chunk, growing.written);
      this.#hash.update(chunk);
      growing.advance(growing.written + chunk.byteLength);
      const due = this.#syncedAt === 0 ? SYNC_FIRST_BYTES : Math.min(this.#syncedAt * 2, this.#syncedAt + SYNC_STEP_BYTES);
      if (growing.written >= due) await this.#syncPrefix();
      return undefined;
    } catch (error) {
      growing.giveUpDisk(this.#hash.copy(), error);
      return { kind: 'disk', error };
    }
  }

  /** What is durable and recorded is what a restart may trust (decision 5). */
  async #syncPrefix(): Promise<void> {
    const { part, generation, written, size, digest } = this.#growing;
    if (part === undefined || written === 0) return;
    await part.sync();
    this.#syncedAt = written;
    try {
      await this.#deps.records.putPart(digest, { id: part.id, generation, synced: written, size, at: this.#deps.clock.now() });
    } catch (error) {
      this.#deps.report({ kind: 'bypass', reason: 'metadata', error }); // Only a later resume is lost.
    }
  }

  #complete(): boolean {
    return this.#growing.size !== undefined && this.#growing.written === this.#growing.size;
  }

  #verify(): LeadEnd | 'mismatch' {
    const { digest, part, size, written } = this.#growing;
    const right = size === undefined || written === size;
    if (!right || part === undefined || finishDigest(this.#hash, algorithmOf(digest)) !== digest) return 'mismatch';
    this.#growing.verified();
    return { kind: 'done', part, upstream: this.#upstream, anonymous: this.#anonymous };
  }

  /** True when the upstream is to blame: one body came whole from it. The generation is over either way. */
  async #mismatch(): Promise<boolean> {
    const { digest } = this.#job;
    const whole = this.#whole && this.#growing.size !== undefined; // Without a length nobody knows that it came whole.
    this.#deps.report({ kind: 'verify-failed', upstream: this.#upstream, digest, whole });
    const message = `${this.#upstream} sent other bytes than those of ${digest}`;
    this.#refusals.addError(new UpstreamError(this.#upstream, 'verify', message), 0);
    if (whole) this.#deps.blame.add(digest, this.#upstream);
    await this.#begin();
    return whole;
  }

  /** Ends the generation: its readers are cut, its part is gone, the next begins at the first byte of a new one. */
  async #begin(): Promise<void> {
    const { part, digest } = this.#growing;
    this.#hash = startDigest(digest);
    this.#syncedAt = 0;
    this.#pristine = false;
    this.#growing.restart();
    this.#growing.size = this.#job.expectedSize;
    await part?.discard().catch(() => undefined); // A leftover is swept later; the bytes are wrong either way.
    part?.release();
    await this.#deps.records.dropPart(digest).catch(() => undefined); // Its part is gone: a resume would find nothing.
  }

  async #park(): Promise<LeadEnd> {
    if (this.#stop.reason !== LEASE_LOST) await this.#syncPrefix().catch(() => undefined); // Parking saves a transfer; where it cannot, the next fill starts anew.
    return { kind: 'parked' };
  }

  async #giveUp(): Promise<LeadEnd> {
    await this.#park();
    return { kind: 'refused', refusal: this.#refusals.fold() };
  }

  async #openPart(): Promise<void> {
    const opened = await openPart(this.#deps, this.#growing.digest, this.#pristine, this.#growing.size);
    this.#hash = opened.hash;
    this.#syncedAt = opened.prefix;
    this.#growing.part = opened.part;
    this.#growing.size ??= opened.size;
    if (opened.prefix > 0) this.#growing.advance(opened.prefix);
  }
}

/** All bytes are here: lets the body end by itself, so that its connection can be used again. */
function finish(body: UpstreamBody): void {
  body.read().then(
    (surplus) => {
      if (surplus !== undefined) body.close();
    },
    () => undefined, // The content is complete and verified; how its connection ended does not matter.
  );
}
