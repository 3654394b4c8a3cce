import type { LeaseRecord, Records } from '../metadata/records.ts';
import { RegistryError } from '../oci/errors.ts';
import { sleep, type Clock, type Timer } from '../system/clock.ts';

/** What one process at a time does for all that share a store, and what a run of it is called. */
const RUN_OF = { collect: 'collection, import or backup', scrub: 'scrub', evict: 'eviction' } as const;

export type Task = keyof typeof RUN_OF;

/** How long whoever has the turn may be silent before another may begin. */
export const TURN_MS = 60_000;
/** How often it says that it lives. */
export const RENEW_MS = 10_000;
/** It stops by itself so long before another may begin: what it had begun is done by then. */
const MARGIN_MS = 20_000;

export interface TurnDeps {
  readonly clock: Clock;
  readonly records: Pick<Records, 'tasks'>;
  /** Names this process among all that share the store. */
  readonly holder: string;
  /** True for a holder that is known to run no more, so that a restart need not wait for its own ghost. */
  readonly isDead: (holder: string) => boolean;
}

/** The right to a task, which one process has at a time: two collectors would remove what was pushed again between their steps. */
export interface Turn {
  /**
   * Rejects with RegistryError when the right was lost, or soon may be: nothing may be removed then. Asks the store each time:
   * a wall clock that jumps gives another the right long before this one's timer could tell.
   */
  check(): Promise<void>;
  end(): Promise<void>;
  /** Lets it run out instead, as a crash would: {@link wasLeft} then tells that something may be half done. */
  leave(): void;
}

/** Whether whoever had the turn ended without having said so. */
export async function wasLeft(task: Task, { clock, records, isDead }: Omit<TurnDeps, 'holder'>): Promise<boolean> {
  const lease = await records.tasks.lease(task);
  return lease !== undefined && (lease.until <= clock.now() || isDead(lease.holder));
}

/** Throws RegistryError where another does it now. */
export async function takeTurn(task: Task, { clock, records: { tasks }, holder, isDead }: TurnDeps): Promise<Turn> {
  const since = clock.monotonic();
  const until = (): number => clock.now() + TURN_MS;
  let { taken, lease } = await tasks.takeLease(task, holder, clock.now(), until());
  if (!taken && isDead(lease.holder)) ({ taken, lease } = await tasks.takeLease(task, holder, lease.until, until()));
  if (!taken) throw new RegistryError('UNAVAILABLE', `another ${RUN_OF[task]} is running: wait for its end`, { status: 503 });
  return keepTurn(task, clock, tasks, lease, since);
}

/** How often to ask while another has the turn, and for how long in all. By its signal it ends with the signal's reason. */
export interface Patience {
  readonly everyMs: number;
  readonly tries: number;
  readonly signal?: AbortSignal;
}

/** As {@link takeTurn}, once whoever has it gives it back. Throws RegistryError when that takes too long. */
export function waitForTurn(task: Task, deps: TurnDeps, patience: Patience): Promise<Turn> {
  return patiently(deps.clock, patience, () => takeTurn(task, deps));
}

/** Acts in a turn, and gives it back; begins again where it was lost in the middle. Throws as {@link waitForTurn}, or as `act`. */
export function withTurn<T>(task: Task, deps: TurnDeps, act: (turn: Turn) => Promise<T>, patience: Patience): Promise<T> {
  return patiently(deps.clock, patience, async () => {
    const turn = await takeTurn(task, deps);
    try {
      return await act(turn);
    } finally {
      await turn.end().catch(() => turn.leave());
    }
  });
}

async function patiently<T>(clock: Clock, { everyMs, tries, signal }: Patience, attempt: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof RegistryError) || tried >= tries) throw error;
    }
    await sleep(clock, everyMs, signal);
  }
}

function keepTurn(task: Task, clock: Clock, tasks: Records['tasks'], lease: LeaseRecord, since: number): Turn {
  let [renewed, ended] = [since, false];
  let timer: Timer | undefined;
  let renewing: Promise<void> = Promise.resolve();

  async function renew(): Promise<void> {
    const at = clock.monotonic();
    try {
      if (await tasks.renewLease(task, lease, { until: clock.now() + TURN_MS })) renewed = at;
    } catch {
      // The store cannot be asked: `check` tells when that has lasted for too long.
    }
  }
  function schedule(): void {
    if (ended) return;
    timer = clock.after(RENEW_MS, () => {
      renewing = renew().then(schedule);
    });
  }
  function leave(): void {
    ended = true;
    timer?.cancel();
  }
  schedule();

  return {
    async check() {
      const now = await tasks.lease(task);
      const isOurs = now?.holder === lease.holder && now.fence === lease.fence;
      if (isOurs && clock.monotonic() - renewed < TURN_MS - MARGIN_MS) return;
      throw new RegistryError('UNAVAILABLE', `the right to ${task} could not be renewed: begin again`, { status: 503 });
    },
    leave,
    async end() {
      leave();
      await renewing;
      await tasks.dropLease(task, lease);
    },
  };
}
