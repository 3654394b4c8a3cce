import type { EdgeClock } from './ports.ts';

/** So many at once for each key; a few more wait for a place, in the order in which they came. */
export interface Places {
  /**
   * A place, to be given back by the function; more calls of it do nothing. `undefined`: there was none within `waitMsMax`, as
   * many wait already as may run, or whoever waited has gone.
   */
  take(key: string, max: number, waitMsMax: number, signal: AbortSignal): Promise<Leave | undefined>;
}

export type Leave = () => void;

interface Busy {
  running: number;
  readonly waiting: Set<Waiter>;
}

interface Waiter {
  readonly max: number;
  readonly end: (place: Leave | undefined) => void;
}

/** Keeps nothing of a key for which nothing runs. */
export function createPlaces(clock: EdgeClock): Places {
  const keys = new Map<string, Busy>();

  function give(key: string, busy: Busy): Leave {
    busy.running += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      busy.running -= 1;
      const [next] = busy.waiting;
      // Given on at once: who comes in between must not find it free.
      if (next !== undefined && busy.running < next.max) next.end(give(key, busy));
      if (busy.running === 0) keys.delete(key);
    };
  }

  return {
    async take(key, max, waitMsMax, signal) {
      const busy = keys.get(key) ?? { running: 0, waiting: new Set() };
      if (busy.running < max) {
        keys.set(key, busy);
        return give(key, busy);
      }
      if (busy.waiting.size >= max || waitMsMax <= 0 || signal.aborted) return undefined;
      return wait(clock, busy.waiting, { max, waitMsMax, signal });
    },
  };
}

function wait(
  clock: EdgeClock,
  waiting: Set<Waiter>,
  { max, waitMsMax, signal }: { readonly max: number; readonly waitMsMax: number; readonly signal: AbortSignal },
): Promise<Leave | undefined> {
  return new Promise((resolve) => {
    const end = (place: Leave | undefined): void => {
      waiting.delete(waiter);
      timer.cancel();
      signal.removeEventListener('abort', leave);
      resolve(place);
    };
    const leave = (): void => end(undefined);
    const waiter: Waiter = { max, end };
    const timer = clock.after(waitMsMax, leave);
    signal.addEventListener('abort', leave, { once: true });
    waiting.add(waiter);
  });
}
