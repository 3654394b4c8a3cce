import { RegistryError } from '../oci/errors.ts';
import { sleep, type Timer } from '../system/clock.ts';
import { endEvictions, evict, type EvictDeps } from './evict.ts';
import type { Evicted, ReportEviction } from './events.ts';
import { expire } from './expire.ts';
import type { Keep } from './keep.ts';
import type { Excess } from './limits.ts';
import { giveUpParts, settleReservations, type ReservationsDeps } from './reservations.ts';
import type { Room } from './room.ts';
import { takeTurn, type Turn, type TurnDeps } from './turn.ts';

/** How often the limits are looked at where nobody asks: others write to the disk too. */
export const LOOK_MS = 10_000;

/** How often what is past its route's `maxage` is looked for. */
export const EXPIRE_MS = 10 * 60_000;

/** How long to wait where another process evicts just now, and how often. */
const OTHERS_MS = 250;
const OTHERS_MAX = 20;

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
  #wanted = 0;
  #timer: Timer | undefined;
  #expireAt = 0;
  #stopped = false;
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
    this.#stopped = true;
    this.#timer?.cancel();
    await Promise.all(this.#turns);
  }

  /** Evicts until the limits hold with `wanted` more bytes, or nothing may go any more; yields what is too much still. */
  async makeRoom(wanted: number): Promise<Excess> {
    if (this.#stopped) return NOTHING;
    this.#wanted = Math.max(this.#wanted, wanted);
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
    return this.#running;
  }

  async #look(): Promise<void> {
    if (this.#stopped) return;
    await this.makeRoom(0);
    if (this.#deps.clock.monotonic() >= this.#expireAt) {
      this.#expireAt = this.#deps.clock.monotonic() + EXPIRE_MS;
      await this.#withTurn(async (turn) => {
        await settleReservations(this.#deps);
        await this.#expire(turn);
      });
    }
    if (!this.#stopped) this.#timer = this.#deps.clock.after(LOOK_MS, () => void this.#look());
  }

  async #run(): Promise<Excess> {
    let excess: Excess = NOTHING;
    await this.#withTurn(async (turn) => {
      excess = await this.#round(turn);
    });
    return excess;
  }

  async #round(turn: Turn): Promise<Excess> {
    for (;;) {
      const wanted = this.#wanted;
      const excess = await this.#deps.room.excess(wanted);
      if (isNothing(excess)) {
        this.#wanted = 0;
        this.#stuck = false;
        return excess;
      }
      const keep = await this.#deps.keep();
      const gone = await this.#count('limit', evict(this.#deps, { excess, keep, turn }));
      if (gone > 0 && !this.#stopped) continue;
      if (!this.#stopped && (await giveUpParts(this.#deps, excess.bytes)) > 0) continue;
      this.#wanted = 0;
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
    const { clock, report } = this.#deps;
    for (let tries = 0; tries < OTHERS_MAX && !this.#stopped; tries += 1) {
      try {
        const turn = await takeTurn('evict', this.#deps);
        try {
          await act(turn);
        } finally {
          await turn.end().catch(() => turn.leave());
        }
        return;
      } catch (error) {
        if (!(error instanceof RegistryError)) return report({ kind: 'evict-failed', error });
      }
      await sleep(clock, OTHERS_MS); // Another process evicts: what it frees is room for all.
    }
  }
}

const NOTHING: Excess = { bytes: 0, files: 0 };

function isNothing({ bytes, files }: Excess): boolean {
  return bytes <= 0 && files <= 0;
}
