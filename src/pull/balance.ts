import type { Upstream } from '../upstream/upstream.ts';

export type BalanceKind = 'failover' | 'round-robin' | 'weighted' | 'least-latency' | 'budget';

/**
 * What is asked for. A tag may be newer at one upstream than at another, so the chain is asked as it is written unless the
 * route says that its upstreams are replicas; content by digest is the same wherever it comes from.
 */
export type Wanted = 'tag' | 'content';

/** Whom to ask, in order: all of the chain, each once. Those that cannot be asked now come last, but for `failover`. */
export type Balance = (registry: string, wanted: Wanted) => readonly Upstream[];

export interface BalanceOptions {
  readonly kind: BalanceKind;
  /** Tags are spread as content is. */
  readonly replicas: boolean;
  /** By the upstream's name; 1 where it is not named. Whole numbers from 1. */
  readonly weights?: ReadonlyMap<string, number>;
}

/** `last`: those that are asked only after all the others, whatever the balance. */
export function createBalance(
  chain: readonly Upstream[],
  last: readonly Upstream[],
  { kind, replicas, weights = new Map() }: BalanceOptions,
): Balance {
  const written = [...chain, ...last];
  if (kind === 'failover' || chain.length < 2) return () => written;
  const spread = spreads[kind](chain, weights);
  return (registry, wanted) => {
    if (wanted === 'tag' && !replicas) return written;
    const order = spread(registry);
    const isUp = (upstream: Upstream): boolean => upstream.standing(registry).up;
    return [...order.filter(isUp), ...order.filter((upstream) => !isUp(upstream)), ...last];
  };
}

type Spread = (registry: string) => readonly Upstream[];

const spreads: Readonly<
  Record<
    Exclude<BalanceKind, 'failover'>,
    (chain: readonly Upstream[], weights: NonNullable<BalanceOptions['weights']>) => Spread
  >
> = { 'round-robin': roundRobin, weighted, 'least-latency': leastLatency, budget };

/** Each in turn is first; the others follow as they are written. */
function roundRobin(chain: readonly Upstream[]): Spread {
  let turn = 0;
  return () => {
    const first = turn++ % chain.length;
    return [...chain.slice(first), ...chain.slice(0, first)];
  };
}

/**
 * Each is first as often as its weight says, and evenly spread: everybody's credit grows by its weight, who has the most
 * goes first and pays the sum (nginx calls it smooth weighted round-robin).
 */
function weighted(chain: readonly Upstream[], weights: NonNullable<BalanceOptions['weights']>): Spread {
  const weightOf = ({ name }: Upstream): number => weights.get(name) ?? 1;
  const sum = chain.reduce((total, upstream) => total + weightOf(upstream), 0);
  const credit = new Map(chain.map((upstream) => [upstream, 0]));
  return () => {
    for (const upstream of chain) credit.set(upstream, (credit.get(upstream) ?? 0) + weightOf(upstream));
    const order = descending(chain, (upstream) => credit.get(upstream) ?? 0);
    const [first] = order;
    if (first !== undefined) credit.set(first, (credit.get(first) ?? 0) - sum);
    return order;
  };
}

/** One question in so many goes to another than the fastest, so that one which has recovered is found again. */
const EXPLORE_EVERY = 16;

/** The fastest first, and who was never measured before all, if not again at once; now and then who was first longest ago. */
function leastLatency(chain: readonly Upstream[]): Spread {
  const firstAt = new Map<Upstream, number>();
  let asked = 0;
  return (registry) => {
    asked += 1;
    // One that cannot be measured, since it fails at whatever it is asked, has a turn as often as the others are explored.
    const unmeasured = (upstream: Upstream): number =>
      asked - (firstAt.get(upstream) ?? -Infinity) >= EXPLORE_EVERY ? 0 : Infinity;
    const order = descending(chain, (upstream) => -(upstream.standing(registry).latencyMs ?? unmeasured(upstream)));
    const others = order.slice(1).filter((upstream) => upstream.standing(registry).up);
    const explored = asked % EXPLORE_EVERY === 0 ? oldest(others, firstAt) : undefined;
    const first = explored ?? order[0];
    if (first !== undefined) firstAt.set(first, asked);
    return explored === undefined ? order : [explored, ...order.filter((upstream) => upstream !== explored)];
  };
}

function oldest(upstreams: readonly Upstream[], firstAt: ReadonlyMap<Upstream, number>): Upstream | undefined {
  return descending(upstreams, (upstream) => -(firstAt.get(upstream) ?? 0))[0];
}

/** Where the published rate limit has most left; where none is published there is nothing to spend. */
function budget(chain: readonly Upstream[]): Spread {
  return (registry) => descending(chain, (upstream) => upstream.standing(registry).budget ?? Infinity);
}

/** Equals stay in the order in which they are written. */
function descending(upstreams: readonly Upstream[], by: (upstream: Upstream) => number): readonly Upstream[] {
  const ranked = upstreams.map((upstream) => ({ upstream, rank: by(upstream) }));
  return ranked.toSorted((a, b) => (a.rank === b.rank ? 0 : b.rank - a.rank)).map(({ upstream }) => upstream);
}
