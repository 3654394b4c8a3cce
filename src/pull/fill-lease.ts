import type { LeaseRecord, Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock, Timer } from '../system/clock.ts';
import type { Growing } from './growing.ts';

/**
 * The right to lead a fill, among all processes that share the store (architecture.md, decision 2). A dead leader is an
 * expired lease; the store being down means that everybody fills alone.
 */
export interface Leases {
  /** Never rejects. */
  take(
    digest: Digest,
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
    async take(digest) {
      try {
        const now = clock.now();
        let { taken, lease } = await records.takeLease(digest, holder, now, now + LEASE_MS);
        if (!taken && isDead(lease.holder)) {
          ({ taken, lease } = await records.takeLease(digest, holder, lease.until + 1, now + LEASE_MS));
        }
        return taken ? { kind: 'lead', lease: new RecordedLease(records, clock, digest, lease) } : { kind: 'follow', lease };
      } catch {
        return { kind: 'lead', lease: ALONE }; // The store cannot be asked: fill alone rather than not at all.
      }
    },
  };
}

const ALONE: Lease = { keep: () => ({ end: () => Promise.resolve() }) };

class RecordedLease implements Lease {
  readonly #records: Records;
  readonly #clock: Clock;
  readonly #digest: Digest;
  readonly #lease: LeaseRecord;
  #timer: Timer | undefined;
  #telling: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(records: Records, clock: Clock, digest: Digest, lease: LeaseRecord) {
    this.#records = records;
    this.#clock = clock;
    this.#digest = digest;
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
      if (await this.#records.renewLease(this.#digest, this.#lease, this.#next(growing, 'running'))) return;
      this.#ended = true;
      onLost();
    } catch {
      // The store cannot be asked. The fill goes on; if another process takes over meanwhile, both end with the same bytes.
    }
  }

  async #end(growing: Growing, state: 'done' | 'failed'): Promise<void> {
    this.#ended = true;
    this.#timer?.cancel();
    await this.#telling;
    try {
      await this.#records.renewLease(this.#digest, this.#lease, this.#next(growing, state));
      await this.#records.dropLease(this.#digest, this.#lease);
    } catch {
      // It runs out by itself.
    }
  }

  #next(growing: Growing, state: 'running' | 'done' | 'failed'): Omit<LeaseRecord, 'holder' | 'fence'> {
    const { part, size, frontier } = growing;
    return {
      until: this.#clock.now() + LEASE_MS,
      state,
      frontier,
      ...(part === undefined ? {} : { part: part.id }),
      ...(size === undefined ? {} : { size }),
    };
  }
}
