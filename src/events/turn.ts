import type { LeaseRecord, Outbox } from '../metadata/records.ts';
import type { Clock } from '../system/clock.ts';

/** How long whoever delivers may be silent, beyond the time that one delivery takes, before it counts as dead. */
export const TURN_MS = 15_000;

export interface TurnOptions {
  readonly endpoint: string;
  readonly outbox: Outbox;
  readonly clock: Clock;
  /** Names this process and no other. */
  readonly holder: string;
  /** True for a holder that is known to run no more, so that a restart need not wait for its own ghost. */
  readonly isDead: (holder: string) => boolean;
  /** The longest that is done between two calls of {@link Turn.hold}. */
  readonly stepMs: number;
}

/** The right to deliver to one endpoint, among all processes that share the store. */
export class Turn {
  readonly #options: TurnOptions;
  readonly #spanMs: number;
  #lease: LeaseRecord | undefined;
  /** Monotonic; a wall clock that jumps must neither end nor lengthen it. */
  #until = 0;
  #watched: { readonly lease: LeaseRecord; readonly since: number } | undefined;

  constructor(options: TurnOptions) {
    this.#options = options;
    this.#spanMs = options.stepMs + TURN_MS;
  }

  /** True: ours for at least one step more. False: another process delivers. Rejects when the store cannot be asked. */
  async hold(): Promise<boolean> {
    const { clock, outbox, endpoint } = this.#options;
    if (this.#lease === undefined) return this.#take();
    if (this.#until - clock.monotonic() >= this.#spanMs - TURN_MS / 2) return true;
    const until = clock.monotonic() + this.#spanMs;
    if (await outbox.renewLease(endpoint, this.#lease, { until: clock.now() + this.#spanMs })) {
      this.#until = until;
      return true;
    }
    this.#lease = undefined;
    return this.#take();
  }

  /** So that another process need not wait. Where the store cannot be told, it runs out. */
  async drop(): Promise<void> {
    const lease = this.#lease;
    this.#lease = undefined;
    if (lease !== undefined) await this.#options.outbox.dropLease(this.#options.endpoint, lease).catch(() => false);
  }

  async #take(): Promise<boolean> {
    const { clock, outbox, endpoint, holder, isDead } = this.#options;
    const until = clock.monotonic() + this.#spanMs;
    const take = (now: number) => outbox.takeLease(endpoint, holder, now, clock.now() + this.#spanMs);
    let { taken, lease } = await take(clock.now());
    // A dead holder's wall clock may have been ahead of ours: what it last wrote is what runs out (reliability.md, R34).
    if (!taken && (lease.holder === holder || isDead(lease.holder) || this.#isSilent(lease))) {
      ({ taken, lease } = await take(lease.until));
    }
    if (!taken) return false;
    this.#lease = lease;
    this.#until = until;
    this.#watched = undefined;
    return true;
  }

  /** A lease that stood as it is for longer than its holder would have let it. */
  #isSilent(lease: LeaseRecord): boolean {
    const now = this.#options.clock.monotonic();
    const { fence, until } = this.#watched?.lease ?? {};
    if (fence !== lease.fence || until !== lease.until) this.#watched = { lease, since: now };
    return now - (this.#watched?.since ?? now) >= this.#spanMs;
  }
}
