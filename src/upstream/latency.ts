/** How long an upstream takes to answer, as it was lately. Milliseconds. */
export interface Latency {
  note(ms: number): void;
  /** Exponentially weighted; `undefined` before the first answer. */
  average(): number | undefined;
  /** What 95 answers in a hundred took no longer than; `undefined` until there are enough to say. */
  usual(): number | undefined;
}

/**
 * How much the newest answer counts. One that was slow by chance is no reason to leave; good news counts for more, since a
 * recovery is seen only in the few questions that explore.
 */
const WEIGHT_SLOWER = 0.1;
const WEIGHT_FASTER = 0.5;

/** Answers that `usual` looks back on. */
const WINDOW = 64;
const ENOUGH = 8;

export function createLatency(): Latency {
  const window: number[] = [];
  let next = 0;
  let average: number | undefined;
  let usual: number | undefined;
  return {
    note(ms) {
      window[next] = ms;
      next = (next + 1) % WINDOW;
      usual = undefined;
      average = average === undefined ? ms : average + (ms < average ? WEIGHT_FASTER : WEIGHT_SLOWER) * (ms - average);
    },
    average: () => average,
    usual() {
      if (window.length < ENOUGH) return undefined;
      usual ??= window.toSorted((a, b) => a - b)[Math.ceil(window.length * 0.95) - 1];
      return usual;
    },
  };
}
