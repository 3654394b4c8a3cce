import type { Records } from '../metadata/records.ts';
import type { Clock, Timer } from '../system/clock.ts';
import type { Random } from '../system/random.ts';

/** What did not count for so long is forgotten: it is asked about again, should it be pulled again. */
export const UNUSED_MS = 90 * 86_400_000;

/** Once a day; drawn anew each time, so that many servers do not look at once. */
const INTERVAL_MS = { min: 18 * 3_600_000, max: 24 * 3_600_000 };
const FIRST_MS = { min: 10 * 60_000, max: 2 * 3_600_000 };

export interface AgingDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly records: Pick<Records, 'verdicts'>;
  /** Looks now and then; where nobody judges there is nothing to forget. */
  readonly isNeeded: () => boolean;
}

/** Forgets verdicts that nobody needs any more, so that they do not grow for ever. */
export function createAging({ clock, random, records, isNeeded }: AgingDeps): { start(): void; stop(): void } {
  let timer: Timer | undefined;
  let stopped = false;
  const wait = ({ min, max }: typeof INTERVAL_MS): void => {
    if (!stopped) timer = clock.after(min + random.fraction() * (max - min), () => void round());
  };
  const round = async (): Promise<void> => {
    const now = clock.now();
    // Metadata that cannot be asked now: the next round will.
    if (isNeeded()) await records.verdicts.forget(now - UNUSED_MS, now).catch(() => undefined);
    wait(INTERVAL_MS);
  };
  return {
    start: () => wait(FIRST_MS),
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}
