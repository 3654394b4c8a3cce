import { RegistryError } from '../oci/errors.ts';
import type { Timer } from '../system/clock.ts';
import { takeTurn, wasLeft, type TurnDeps } from './turn.ts';
import { endDeletions, type SweepDeps } from './sweep.ts';

/** How often it is looked whether a collector died: one read. */
export const LOOK_MS = 60_000;

export type FinishDeps = TurnDeps &
  SweepDeps & {
    readonly onError: (error: unknown) => void;
    /** This very process collects now: it has not died, whatever the wall clock says of its lease. */
    readonly isBusy: () => boolean;
  };

/**
 * Ends what a collector that died left in the middle, at the start and while the server runs: until then what was marked can
 * neither be pulled nor pushed again.
 */
export function finishCollections(deps: FinishDeps): { start(): void; stop(): void } {
  let timer: Timer | undefined;
  let stopped = false;
  async function look(): Promise<void> {
    try {
      await finishOnce(deps);
    } catch (error) {
      // Another was quicker.
      if (!(error instanceof RegistryError)) deps.onError(error);
    }
    if (!stopped) timer = deps.clock.after(LOOK_MS, () => void look());
  }
  return {
    start: () => void look(),
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}

/** Yields how many deletions it ended. Rejects where it could not end them: they are tried again. */
export async function finishOnce(deps: FinishDeps): Promise<number> {
  if (deps.isBusy() || !(await wasLeft('collect', deps))) return 0;
  const turn = await takeTurn('collect', deps);
  try {
    const ended = await endDeletions(deps, turn);
    await turn.end();
    return ended;
  } catch (error) {
    turn.leave();
    throw error;
  }
}
