import { RegistryError } from '../oci/errors.ts';
import type { Timer } from '../system/clock.ts';
import { endEvictions, evict, type EvictDeps } from './evict.ts';
import type { Evicted, ReportEviction } from './events.ts';
import { expire } from './expire.ts';
import type { Keep } from './keep.ts';
import { isNone, NO_EXCESS, type Excess } from './limits.ts';
import { giveUpParts, settleReservations, type ReservationsDeps } from './reservations.ts';
import type { Room } from './room.ts';
import { withTurn, type Patience, type Turn, type TurnDeps } from './turn.ts';

/** How often the limits are looked at where nobody asks: others write to the disk too. */
export const LOOK_MS = 10_000;

/** How often what is past its route's `maxage` is looked for. */
export const EXPIRE_MS = 10 * 60_000;

/** Where another process evicts just now: what it frees is room for all. */
const PATIENCE: Patience = { everyMs: 250, tries: 20 };

export type EvictorDeps = EvictDeps &
  ReservationsDeps &
  TurnDeps & {
    readonly room: Room;
    /** As it stands now; asked for each round. */
    readonly keep: () => Promise<Keep>;
    /** The shortest `maxage` of any route, ms; undefined: nothing expires. */
    readonly maxAgeMin: () => number | undefined;
    readonly report: ReportEviction;
  };

/** Holds the cache to its limits, off the path of any request: on demand, and by a look now and then. */
export class Evictor {
  readonly #deps: EvictorDeps;
  #running: Promise<Excess> | undefined;
  /** Everything that has the turn, or waits for it. */
  readonly #turns = new Set<Promise<void>>();
  /** The most that was asked for and is not decided yet; undefined: nobody has asked. */
  #wanted: number | undefined;
  #timer: Timer | undefined;
  #expireAt = 0;
  readonly #stop = new AbortController();
  #stuck = false;

  constructor(deps: EvictorDeps) {
    this.#deps = deps;
    deps.room.onWanted = (wanted) => this.makeRoom(wanted);
  }

  /** Ends first what a process that died had begun. */
  start(): void {
    this.#expireAt = this.#deps.clock.monotonic() + EXPIRE_MS;
    void this.#withTurn(async (turn) => {
      await endEvictions(this.#deps, turn);
      await settleReservations(this.#deps);
    }).then(() => this.#look());
  }

  /** Resolves when nothing of it runs any more: the store may then be closed. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('eviction stops'));
    this.#timer?.cancel();
    await Promise.all(this.#turns);
  }

  /** Evicts until the limits hold with `wanted` more bytes, or nothing may go any more; yields what is too much still. */
  async makeRoom(wanted: number): Promise<Excess> {
    if (this.#isStopped()) return NO_EXCESS;
    this.#wanted = Math.max(this.#wanted ?? 0, wanted);
    this.#running ??= this.#run();
    return this.#running;
  }

  async #look(): Promise<void> {
    if (this.#isStopped()) return;
    await this.makeRoom(0);
    if (this.#deps.clock.monotonic() >= this.#expireAt) {
      this.#expireAt = this.#deps.clock.monotonic() + EXPIRE_MS;
      await this.#withTurn(async (turn) => {
        await settleReservations(this.#deps);
        await this.#expire(turn);
      });
    }
    if (!this.#isStopped()) this.#timer = this.#deps.clock.after(LOOK_MS, () => void this.#look());
  }

  /** One round more for who asks when one is decided, and its turn about to be given back. */
  async #run(): Promise<Excess> {
    let excess = NO_EXCESS;
    try {
      for (let decided = true; decided && this.#wanted !== undefined && !this.#isStopped();) {
        decided = false;
        await this.#withTurn(async (turn) => {
          excess = await this.#round(turn);
          decided = true;
        });
      }
      return excess;
    } finally {
      this.#running = undefined;
    }
  }

  async #round(turn: Turn): Promise<Excess> {
    for (;;) {
      const wanted = this.#wanted ?? 0;
      const excess = await this.#deps.room.excess(wanted);
      if (isNone(excess)) {
        if ((this.#wanted ?? 0) > wanted) continue; // Somebody has asked for more meanwhile.
        this.#wanted = undefined;
        this.#stuck = false;
        return excess;
      }
      const keep = await this.#deps.keep();
      const gone = await this.#count('limit', evict(this.#deps, { excess, keep, turn }));
      if (gone > 0 && !this.#isStopped()) continue;
      if (!this.#isStopped() && (await giveUpParts(this.#deps, excess.bytes)) > 0) continue;
      this.#wanted = undefined;
      if (!this.#stuck) this.#deps.report({ kind: 'evict-stuck', ...excess });
      this.#stuck = true;
      return excess;
    }
  }

  async #expire(turn: Turn): Promise<void> {
    const maxAgeMin = this.#deps.maxAgeMin();
    if (maxAgeMin === undefined) return;
    const keep = await this.#deps.keep();
    await this.#count('maxage', expire(this.#deps, { maxAgeMin, keep, turn }));
  }

  async #count(why: 'limit' | 'maxage', evicting: AsyncGenerator<Evicted>): Promise<number> {
    const { clock, report } = this.#deps;
    const started = clock.monotonic();
    const sums = { blobs: 0, bytes: 0, idleMs: 0 };
    for await (const { bytes, idleMs } of evicting) {
      sums.blobs += 1;
      sums.bytes += bytes;
      sums.idleMs = idleMs;
    }
    if (sums.blobs > 0) report({ kind: 'evicted', why, at: clock.now(), ...sums, ms: Math.round(clock.monotonic() - started) });
    return sums.blobs;
  }

  #withTurn(act: (turn: Turn) => Promise<void>): Promise<void> {
    const done = this.#tryWithTurn(act).finally(() => this.#turns.delete(done));
    this.#turns.add(done);
    return done;
  }

  /** Nobody waits for the outcome but who asked for room, and he looks himself: what fails is tried with the next look. */
  async #tryWithTurn(act: (turn: Turn) => Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    try {
      await withTurn('evict', this.#deps, act, { ...PATIENCE, signal });
    } catch (error) {
      if (!(error instanceof RegistryError) && error !== signal.reason) this.#deps.report({ kind: 'evict-failed', error });
    }
  }

  #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }
}
