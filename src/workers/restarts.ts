/** How often workers may end by themselves before something must be wrong with all that come after. */
export const ENDS_MAX = 6;
/** An end that is longer ago than this counts no more. */
export const REMEMBERED_MS = 120_000;
const PAUSE_MS_FIRST = 500;

/** What becomes of a worker's place when it has ended without having been told to. */
export interface Restarts {
  /** How long to wait before the next one is started; `undefined`: no more are, it would only happen again. */
  ended(nowMs: number): number | undefined;
}

/** The first is replaced at once; then each waits twice as long as the one before. */
export function createRestarts(workers: number): Restarts {
  let ends: readonly number[] = [];
  return {
    ended(nowMs) {
      ends = [...ends.filter((at) => nowMs - at < REMEMBERED_MS), nowMs];
      if (ends.length > Math.max(ENDS_MAX, workers + 1)) return undefined;
      return ends.length <= 1 ? 0 : PAUSE_MS_FIRST * 2 ** (ends.length - 2);
    },
  };
}
