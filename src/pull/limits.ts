import type { Upstream } from '../upstream/upstream.ts';

/** The rate limits of a route's chain, as far as its upstreams have published them. */
export interface Limits {
  /** Somebody counts what is asked for, so that a question which costs nothing is worth its time. */
  isCounted(registry: string): boolean;
  /**
   * True while each upstream that publishes a limit has fewer pulls left than the route keeps for what is not held
   * (`ratelimit.reserve`): then nobody is asked about what is.
   */
  isLow(registry: string): boolean;
}

/** `reserve`: pulls; with 0 nothing is kept. */
export function createLimits(chain: readonly Upstream[], reserve: number): Limits {
  const budgets = (registry: string): number[] =>
    chain.map((upstream) => upstream.standing(registry).budget).filter((budget) => budget !== undefined);
  return {
    isCounted: (registry) => budgets(registry).length > 0,
    isLow(registry) {
      if (reserve === 0) return false;
      const left = budgets(registry);
      return left.length > 0 && left.every((budget) => budget < reserve);
    },
  };
}
