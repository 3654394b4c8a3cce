import type { FillKey, LeaseRecord, Records } from '../../metadata/records.ts';
import type { Clock, Timer } from '../../system/clock.ts';
import type { Growing } from './growing.ts';

/**
 * The right to lead a fill, among all processes that share the store (architecture.md, decision 2). A dead leader is an
 * expired lease; the store being down means that everybody fills alone.
 */
export interface Leases {
  /** `silent`: a lease that was watched and found dead; it is taken over if it still stands as it was. Never rejects. */
  take(
    fill: FillKey,
    silent?: LeaseRecord,
  ): Promise<{ readonly kind: 'lead'; readonly lease: Lease } | { readonly kind: 'follow'; readonly lease: LeaseRecord }>;
}

export interface Lease {
  /** Tells the frontier and renews, until `end`. `onLost` is called once if another process took the lease over. */
  keep(growing: Growing, onLost: () => void): { end(state: 'done' | 'failed'): Promise<void> };
}

/** How long a leader may be silent before it counts as dead. */
export const LEASE_MS = 5_000;
/** How often the frontier is told; also how late a follower in another process may be. */
export const TELL_MS = 200;

/**
 * Leases in the metadata, by conditional commits. `holder` names this process and no other; `isDead` is true for a holder
 * that is known to run no more, so that a restart need not wait for its own ghost.
 */
export function createLeases(records: Records, clock: Clock, holder: string, isDead: (holder: string) => boolean): Leases {
  return {
    async take({ registry, digest }, silent) {
      const fill = { registry, digest };
      const until = clock.now() + LEASE_MS;
      // A dead leader's wall clock may have been ahead of ours: what it last wrote is what runs out (reliability.md, R34).
      const over = ({ until: theirs }: LeaseRecord) => records.takeLease(fill, holder, theirs, until);
      try {
        let { taken, lease } = await (silent === undefined
          ? records.takeLease(fill, holder, clock.now(), until)
          : over(silent));
        // One of our own was left by a fill that has ended here, while the store could not be told.
        if (!taken && (lease.holder === holder || isDead(lease.holder))) ({ taken, lease } = await over(lease));
        return taken ? { kind: 'lead', lease: new RecordedLease(records, clock, fill, lease) } : { kind: 'follow', lease };
      } catch {
        return { kind: 'lead', lease: ALONE }; // The store cannot be asked: fill alone rather than not at all.
      }
    },
  };
}

const ALONE: Lease = { keep: () => ({ end: () => Promise.resolve() }) };

/** Nobody else is asked: for fills while the store is down. */
export const ALONE_LEASES: Leases = { take: () => Promise.resolve({ kind: 'lead', lease: ALONE }) };

class RecordedLease implements Lease {
  readonly #records: Records;
  readonly #clock: Clock;
  readonly #fill: FillKey;
  readonly #lease: LeaseRecord;
  #timer: Timer | undefined;
  #telling: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(records: Records, clock: Clock, fill: FillKey, lease: LeaseRecord) {
    this.#records = records;
    this.#clock = clock;
    this.#fill = fill;
    this.#lease = lease;
  }

  keep(growing: Growing, onLost: () => void): { end(state: 'done' | 'failed'): Promise<void> } {
    const schedule = (): void => {
      if (this.#ended) return;
      this.#timer = this.#clock.after(TELL_MS, () => {
        this.#telling = this.#tell(growing, onLost).then(schedule);
      });
    };
    schedule();
    return { end: (state) => this.#end(growing, state) };
  }

  async #tell(growing: Growing, onLost: () => void): Promise<void> {
    try {
      if (await this.#records.renewLease(this.#fill, this.#lease, this.#next(growing, 'running'))) return;
      this.#ended = true;
      onLost();
    } catch {
      // The store cannot be asked. The fill goes on; if another process takes over meanwhile, both end with the same bytes.
    }
  }

  /** The lease stays, run out, to say how it ended and in which part: who followed it can then tell its bytes from others. */
  async #end(growing: Growing, state: 'done' | 'failed'): Promise<void> {
    this.#ended = true;
    this.#timer?.cancel();
    await this.#telling;
    try {
      await this.#records.renewLease(this.#fill, this.#lease, { ...this.#next(growing, state), until: this.#clock.now() });
    } catch {
      // It runs out by itself.
    }
  }

  #next(growing: Growing, state: 'running' | 'done' | 'failed'): Omit<LeaseRecord, 'holder' | 'fence'> {
    const { part, size, frontier, brought } = growing;
    return {
      until: this.#clock.now() + LEASE_MS,
      state,
      frontier,
      brought: brought.record,
      ...(part === undefined ? {} : { part: part.id }),
      ...(size === undefined ? {} : { size }),
    };
  }
}
