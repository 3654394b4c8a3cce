import type { Clock, Timer } from '../system/clock.ts';
import { FairQueue } from './fair-queue.ts';
import type { Pace } from './pace.ts';
import { UpstreamError } from './upstream.ts';

/** Who wants to ask. */
export interface Applicant {
  /** Those of one lane are served one after the other, lanes in turn: the repository. */
  readonly lane: string;
  /** A question whose answer is short: a manifest, a list, any HEAD. The others are transfers. */
  readonly small: boolean;
}

/** At most so many requests at once, and so many a second; the others wait. */
export interface Slots {
  /**
   * Resolves to the function that gives the slot back. Rejects with the signal's reason, with {@link TurnedAway} where the
   * rate would let it wait too long, or with UpstreamError when too many wait.
   */
  take(applicant: Applicant, signal: AbortSignal): Promise<() => void>;
  running(): number;
  /** Share of them that is taken, those who wait counted too. */
  busy(): number;
}

export interface SlotsOptions {
  readonly upstream: string;
  readonly clock: Clock;
  readonly count: number;
  /** Requests per second; `undefined`: no limit. */
  readonly pace?: Pace | undefined;
  readonly waitingMax?: number;
}

/** The rate that we keep to would make it wait longer than anybody should. */
export class TurnedAway extends Error {
  override readonly name = 'TurnedAway';
  readonly retryAfterSeconds: number;

  constructor(upstream: string, waitMs: number) {
    super(`${upstream} is asked as often as its rate allows`);
    this.retryAfterSeconds = Math.ceil(waitMs / 1000);
  }
}

/** Whoever comes when so many wait is turned away at once. */
const WAITING_MAX = 10_000;

/** Longer than this nobody waits for the rate alone: another upstream, or what is held, serves sooner. */
const RATE_WAIT_MS_MAX = 5000;

/** Of so many slots one is kept for small questions, lest they wait for layers to end. */
const SLOTS_PER_KEPT_ONE = 8;

/** Small questions go first, but after so many of them a transfer that waits has its turn. */
const SMALL_IN_ROW_MAX = 4;

interface Waiting extends Applicant {
  readonly start: () => void;
}

export function createSlots({ upstream, clock, count, pace, waitingMax = WAITING_MAX }: SlotsOptions): Slots {
  const small = new FairQueue<Waiting>();
  const transfers = new FairQueue<Waiting>();
  const transfersMax = count - Math.floor(count / SLOTS_PER_KEPT_ONE);
  let running = 0;
  let transferring = 0;
  let smallInRow = 0;
  let timer: Timer | undefined;

  const give = (applicant: Applicant): (() => void) => {
    let given = true;
    running++;
    if (!applicant.small) transferring++;
    return () => {
      if (!given) return;
      given = false;
      running--;
      if (!applicant.small) transferring--;
      serve();
    };
  };
  const turn = (): FairQueue<Waiting> | undefined => {
    if (running >= count) return undefined;
    const mayTransfer = transfers.size > 0 && transferring < transfersMax;
    if (small.size > 0 && (!mayTransfer || smallInRow < SMALL_IN_ROW_MAX)) return small;
    return mayTransfer ? transfers : undefined;
  };
  const serve = (): void => {
    for (let queue = turn(); queue !== undefined; queue = turn()) {
      const waitMs = pace?.waitMs(0) ?? 0;
      if (waitMs > 0) return wakeIn(waitMs);
      pace?.spend(1);
      smallInRow = queue === small ? smallInRow + 1 : 0;
      queue.next()?.start();
    }
  };
  const wakeIn = (ms: number): void => {
    timer ??= clock.after(ms, () => {
      timer = undefined;
      serve();
    });
  };
  /** What those who go before an applicant cost it of the rate. */
  const paceMs = ({ lane, small: isSmall }: Applicant): number =>
    pace === undefined ? 0 : pace.waitMs(small.ahead(lane) + (isSmall ? 0 : transfers.ahead(lane)));

  return {
    running: () => running,
    busy: () => (running + small.size + transfers.size) / count,
    take(applicant, signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason as Error);
        const waitMs = paceMs(applicant);
        if (waitMs > RATE_WAIT_MS_MAX) return reject(new TurnedAway(upstream, waitMs));
        const queue = applicant.small ? small : transfers;
        const leave = (): void => {
          queue.remove(applicant.lane, waiting);
          signal.removeEventListener('abort', onAbort);
        };
        const onAbort = (): void => {
          leave();
          reject(signal.reason as Error);
        };
        let isWaiting = true;
        const start = (): void => {
          isWaiting = false;
          leave();
          resolve(give(applicant));
        };
        const waiting: Waiting = { ...applicant, start };
        queue.add(applicant.lane, waiting);
        signal.addEventListener('abort', onAbort, { once: true });
        serve();
        if (!isWaiting || small.size + transfers.size <= waitingMax) return;
        leave();
        reject(crowded(upstream));
      });
    },
  };
}

function crowded(upstream: string): UpstreamError {
  return new UpstreamError(upstream, 'ratelimit', `${upstream}: too many requests wait for it already`);
}
