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
  const own = ownOf(tasks);
  own.asking += 1;
  try {
    const since = clock.monotonic();
    const until = (): number => clock.now() + TURN_MS;
    let { taken, lease } = await tasks.takeLease(task, holder, clock.now(), until());
    if (!taken && (isDead(lease.holder) || isNobodys(task, tasks, lease, holder)))
      ({ taken, lease } = await tasks.takeLease(task, holder, lease.until, until()));
    if (!taken) throw new RegistryError('UNAVAILABLE', `another ${RUN_OF[task]} is running: wait for its end`, { status: 503 });
    own.lasting.add(nameOf(task, lease));
    return keepTurn(task, clock, tasks, lease, since);
  } finally {
    own.asking -= 1;
  }
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
      ownOf(tasks).lasting.delete(nameOf(task, lease));
      await tasks.dropLease(task, lease);
    },
  };
}

type Tasks = TurnDeps['records']['tasks'];

/** The turns of this process, by the store that they are a right in; and how many are being asked for just now. */
interface Own {
  readonly lasting: Set<string>;
  asking: number;
}

const OWN = new WeakMap<Tasks, Own>();

function ownOf(tasks: Tasks): Own {
  const own = OWN.get(tasks) ?? { lasting: new Set(), asking: 0 };
  OWN.set(tasks, own);
  return own;
}

const nameOf = (task: Task, { holder, fence }: LeaseRecord): string => `${task} ${holder} ${fence}`;

/**
 * One of this process that it does not have: the store was told of it, or not told of its end, while its answers were lost. It would
 * stand until it runs out, for hours where a clock is set back meanwhile.
 */
function isNobodys(task: Task, tasks: Tasks, lease: LeaseRecord, holder: string): boolean {
  const { lasting, asking } = ownOf(tasks);
  return lease.holder === holder && asking === 1 && !lasting.has(nameOf(task, lease));
}
