import type { Siblings } from '../workers/siblings.ts';
import type { Log } from '../observe/log.ts';
import { messageOf } from '../observe/redact.ts';
import type { Edge } from './edge.ts';
import type { Running } from './rooms.ts';
import { system } from './system.ts';

/** Between two looks at a socket that another process has. */
const SOCKET_MS = 5_000;

export interface HouseholdDeps {
  /** In the order in which they end: what others need comes after them. */
  readonly running: readonly Running[];
  readonly siblings: Siblings;
  readonly edge: Pick<Edge, 'openSocket' | 'drain'>;
  readonly log: Log;
}

/** What runs beside requests, from the start to the end. */
export interface Household {
  /** Begins it here, and what one process does for all where this one has the duty, now or later. */
  start(): void;
  /** Nothing new begins, connections have `timeoutMs` to end, then all the rest does. */
  end(timeoutMs: number): Promise<void>;
}

export function createHousehold({ running, siblings, edge, log }: HouseholdDeps): Household {
  let ending = false;

  /** Who had it before may be about to end, or another server be there for good: then it is looked at for as long as that is. */
  async function takeSocket(): Promise<void> {
    try {
      if (ending || (await edge.openSocket())) return;
    } catch (error) {
      log.error('socket failed', { error: messageOf(error) });
    }
    system.clock.after(SOCKET_MS, () => void takeSocket());
  }

  return {
    start() {
      for (const one of running) one.start?.();
      siblings.onDuty(() => {
        if (ending) return;
        for (const one of running) one.duty?.();
        if (siblings.count > 1) void takeSocket();
      });
    },
    async end(timeoutMs) {
      ending = true;
      for (const one of running) one.quiet?.();
      await edge.drain(timeoutMs);
      for (const one of running) await one.stop?.();
    },
  };
}
