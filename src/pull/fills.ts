import type { FillKey } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import { DiskTrouble } from './fill/disk-trouble.ts';
import { keyText } from './fill/fill-key.ts';
import type { FillOrder, FillsDeps, FillStatus } from './fill/types.ts';
import { Fill } from './fill/running-fill.ts';

/** Fills without a reader that may go on at once; more are parked (architecture.md, decision 14). */
const ORPHANS_MAX = 8;

/**
 * Registries that one digest is filled for at once. Each has a part of its own on the disk, and a client may name any number of them
 * where a route takes any; content is seldom in more than two or three that somebody pulls from at the same time.
 */
const REGISTRIES_MAX = 4;

/**
 * An upstream is asked while the part is made, so that its first bytes do not wait for that. Where there turned out to be no place, that
 * was a question in vain: so many that come next have theirs first.
 */
const CAREFUL_FILLS = 100;

export interface Claim {
  readonly fill: Fill;
  readonly joined: boolean;
  readonly leave: () => void;
}

/**
 * Who is filling what: the port through which every miss goes, so that one fill runs per digest and registry (promise 2). What anybody
 * answers for a registry that a client has named, or does not answer, is no business of who pulls the same digest from another:
 * two such fills share no bytes, hash, part, record, lease or blame. Whichever ends first is kept, and the other goes on.
 */
export class Fills {
  readonly #deps: FillsDeps;
  readonly #running = new Map<string, Fill>();
  readonly #trouble: DiskTrouble;
  #isParked = false;
  /** So many fills more have their part before they ask. */
  #careful = 0;

  constructor(deps: FillsDeps) {
    this.#deps = deps;
    this.#trouble = new DiskTrouble(deps.clock, deps.isDiskUp ?? (() => true));
  }

  /** The disk failed a moment ago: nothing is to be filled now, or not this one. */
  inTrouble(fill?: FillKey): boolean {
    return fill === undefined ? this.#trouble.lasts() : this.#trouble.lastsFor(fill);
  }

  /**
   * Joins the registry's fill of the digest, or starts it; `joined` says which. A fill that is ending without having finished is
   * waited for first, since nobody can join it any more. The client counts as wanting it until it calls `leave`, or goes.
   * `undefined`: so many other registries have one that it has to do without. Rejects with RegistryError once all are parked:
   * what begins then would find its files closed.
   */
  async claim(order: FillOrder, signal: AbortSignal): Promise<Claim | undefined> {
    const key = keyText(order);
    for (let running = this.#running.get(key); running !== undefined; running = this.#running.get(key)) {
      if (running.canBeJoined()) return { fill: running, joined: true, leave: running.hold(signal) };
      await running.ended;
    }
    if (this.#isParked) throw new RegistryError('UNAVAILABLE', 'the server ends', { status: 503 });
    if (this.#countOf(order.digest) >= REGISTRIES_MAX) return undefined;
    const fill = this.#start(order);
    return { fill, joined: false, leave: fill.hold(signal) };
  }

  /** Somebody could not keep something else, for the disk's sake. */
  noteTrouble(fill: FillKey, error: unknown): void {
    this.#trouble.failed(fill, error, 0);
  }

  /** Nothing is in trouble, and one more fill without a reader may go on. */
  mayOrphan(): boolean {
    const orphans = [...this.#running.values()].filter((running) => running.isOrphan()).length;
    return !this.inTrouble() && orphans < ORPHANS_MAX;
  }

  /** Parks those of such repositories that nobody reads. */
  parkOrphans(isConcerned: (holder: string) => boolean): void {
    for (const fill of this.#running.values()) if (fill.isOrphan() && isConcerned(fill.holder)) fill.park();
  }

  isRunning(fill: FillKey): boolean {
    return this.#running.has(keyText(fill));
  }

  /** One runs to which nobody has answered yet. */
  isWaiting(fill: FillKey): boolean {
    const status = this.#running.get(keyText(fill))?.status();
    return status !== undefined && status.upstream === '' && status.frontier === 0;
  }

  running(): readonly FillStatus[] {
    return [...this.#running.values()].map((fill) => fill.status());
  }

  /** Stops every fill so that it can go on after a restart; resolves when what they have is durable. */
  async park(): Promise<void> {
    this.#isParked = true;
    const fills = [...this.#running.values()];
    for (const fill of fills) fill.park();
    await Promise.all(fills.map((fill) => fill.ended));
  }

  #countOf(digest: Digest): number {
    return [...this.#running.values()].filter((fill) => fill.digest === digest).length;
  }

  #start(order: FillOrder): Fill {
    const { clock, report } = this.#deps;
    const startedAt = clock.monotonic();
    const isCareful = this.#careful > 0;
    if (isCareful) this.#careful -= 1;
    const fill = new Fill(this.#deps, order, {
      readers: () => this.#onReaders(fill),
      diskFailed: (error) => this.#trouble.failed(order, error, fill.status().written),
      isCareful,
    });
    const key = keyText(order);
    const { registry, digest } = order;
    this.#running.set(key, fill);
    report({ kind: 'fill-started', registry, digest });
    void fill
      .run(() => this.#running.delete(key))
      .then((outcome) => {
        if (outcome === 'done') this.#trouble.kept();
        if (outcome === 'bypass') this.#careful = CAREFUL_FILLS;
        const bytes = fill.status().written;
        report({ kind: 'fill-ended', registry, digest, outcome, bytes, ms: clock.monotonic() - startedAt });
      });
    return fill;
  }

  /** The fill's readers have become more or fewer. */
  #onReaders(fill: Fill): void {
    const fills = [...this.#running.values()];
    const count = fills.reduce((sum, running) => sum + Math.max(0, running.status().readers - 1), 0);
    this.#deps.report({ kind: 'fill-followers', count });
    const orphans = fills.filter((running) => running.isOrphan()).length;
    if (fill.isOrphan() && orphans > ORPHANS_MAX) fill.park();
  }
}
