import type { Clock } from '../system/clock.ts';
import type { RateLimit } from './rate-limit.ts';

/**
 * What registries said of their rate limits, and who spent them. One for the house: several upstreams may draw on one
 * account or one address, and none of them is another's stranger.
 */
export interface Budgets {
  /** `host`: the registry. `payer`: who pays as far as we know, for registries that do not say whom they count. */
  of(host: string, payer: string): Budget;
}

/** A budget as one of those who draw on it sees it. */
export interface Budget {
  /** As a request goes out. A `pull` is one that the registry counts when it answers it: on Docker Hub, GET of a manifest. */
  asked(pull: boolean): Asked;
  /** As it was said last; `undefined` where nothing was, or the window has passed since: it may be full again. */
  known(): { readonly limit: number; readonly remaining: number } | undefined;
  /** What remains when the pulls that are under way have been counted too. */
  left(): number | undefined;
}

/** One request under way. Exactly one of the two is called, once. */
export interface Asked {
  /** `spent`: it was a pull, and what was asked for came. Yields what is now known to have been spent, and was not before. */
  answered(said: RateLimit | undefined, spent: boolean): Spent;
  /** `sent`: it may have been counted for all we know. */
  failed(sent: boolean): void;
}

/** Pulls of this house, and of others behind the same account or address. */
export interface Spent {
  readonly us: number;
  readonly others: number;
}

interface Registry {
  /** Pulls under way. Who of the accounts pays for them is only known from their answers. */
  pulls: number;
  /** Pulls that have been, or may have been, counted so far. */
  counted: number;
  readonly accounts: Map<string, Account>;
}

/** One window of one account. `toldAt` and `since` are turns: the order in which we asked and heard. */
interface Account {
  readonly limit: number;
  remaining: number;
  /** Remained when the window was first heard of. */
  readonly first: number;
  /** Answers to what was asked before this are of an earlier window. */
  readonly since: number;
  toldAt: number;
  toldMs: number;
  readonly windowMs: number;
  /** Our pulls that may be among those spent since `first`. */
  ours: number;
  /** Reported so far. */
  others: number;
}

interface Heard {
  readonly said: RateLimit;
  readonly askedAt: number;
  readonly spent: boolean;
  /** Pulls whose answers came between this one's question and itself. */
  readonly meanwhile: number;
}

/** A registry decides how many sources it names, and redirects how many registries there are. */
const ACCOUNTS_MAX = 64;
const REGISTRIES_MAX = 1000;

const NOTHING: Spent = { us: 0, others: 0 };

/**
 * Answers overtake each other, so that what remains seems to rise and fall. Others are held to have spent only what cannot
 * have been ours: the fall since the window was first heard of, less our pulls since, those under way among them. What is
 * doubtful while many are under way is known at the next answer without them.
 */
export function createBudgets(clock: Clock): Budgets {
  const registries = new Map<string, Registry>();
  let turn = 0;

  const isPast = (account: Account): boolean => clock.monotonic() - account.toldMs >= account.windowMs;

  const begin = ({ said, meanwhile }: Heard, since: number): Account => ({
    limit: said.limit,
    remaining: said.remaining,
    first: said.remaining,
    since,
    toldAt: turn,
    toldMs: clock.monotonic(),
    windowMs: said.windowSeconds * 1000,
    // Heard before this answer, but counted after it for all we know.
    ours: meanwhile,
    others: 0,
  });

  /** Takes what was said into the account, and yields what others must have spent. */
  const told = (registry: Registry, key: string, heard: Heard): number => {
    const { said, askedAt, spent } = heard;
    const account = registry.accounts.get(key);
    if (account === undefined || isPast(account)) {
      put(registry.accounts, key, begin(heard, account === undefined ? 0 : turn), ACCOUNTS_MAX);
      return 0;
    }
    // A pull whose answer shows more than the window's first answer did was in that already.
    if (spent && said.remaining < account.first) account.ours++;
    if (askedAt < account.since) return 0;
    const isOvertaken = askedAt < account.toldAt;
    if (said.limit !== account.limit || said.remaining > account.remaining) {
      // Asked after the last answer, and more is left than that said: the window was reset, or has moved on.
      if (!isOvertaken) registry.accounts.set(key, begin(heard, turn));
      return 0;
    }
    account.remaining = said.remaining;
    account.toldAt = turn;
    account.toldMs = clock.monotonic();
    const others = account.first - said.remaining - account.ours - registry.pulls - account.others;
    account.others += Math.max(0, others);
    return Math.max(0, others);
  };

  return {
    of(host, payer) {
      const registry = registries.get(host) ?? { pulls: 0, counted: 0, accounts: new Map<string, Account>() };
      put(registries, host, registry, REGISTRIES_MAX);
      let last = `payer ${payer}`;
      let pulls = 0;
      const known = (): Account | undefined => {
        const account = registry.accounts.get(last);
        return account === undefined || isPast(account) ? undefined : account;
      };
      return {
        known() {
          const account = known();
          return account && { limit: account.limit, remaining: account.remaining };
        },
        left() {
          const account = known();
          return account && Math.max(0, account.remaining - pulls);
        },
        asked(pull) {
          const askedAt = ++turn;
          const countedBefore = registry.counted;
          const change = pull ? 1 : 0;
          registry.pulls += change;
          pulls += change;
          const arrive = (): void => {
            turn++;
            registry.pulls -= change;
            pulls -= change;
          };
          const suspect = (): void => {
            registry.counted++;
            const account = registry.accounts.get(last);
            if (account !== undefined) account.ours++;
          };
          return {
            answered(said, spent) {
              arrive();
              if (said !== undefined) {
                last = said.source === undefined ? `payer ${payer}` : `source ${said.source}`;
                const heard = { said, askedAt, spent, meanwhile: registry.counted - countedBefore };
                if (spent) registry.counted++;
                return { us: spent ? 1 : 0, others: told(registry, last, heard) };
              }
              if (spent) suspect();
              return NOTHING;
            },
            failed(sent) {
              arrive();
              if (pull && sent) suspect();
            },
          };
        },
      };
    },
  };
}

/** The oldest goes where there are too many. */
function put<T>(map: Map<string, T>, key: string, value: T, max: number): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > max && oldest !== undefined) map.delete(oldest);
}
