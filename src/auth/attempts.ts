import { createHash } from 'node:crypto';
import { RegistryError } from '../oci/errors.ts';
import type { Clock } from '../system/clock.ts';
import { addressGroup } from './address-group.ts';
import { createRecent } from './recent.ts';

/** What is said: to us; to us though it is meant for another registry, as docker does; to an upstream, through us. */
export type Said = 'sign-in' | 'recognition' | 'passthrough';

/** Each kind is counted apart. */
export type AttemptsOf = (said: Said) => Attempts;

/** In memory, of this process. */
export function attemptsHere(clock: Clock): AttemptsOf {
  return (said) => createAttempts(clock, said === 'recognition' ? { heldMs: 0 } : {});
}

/** Who may be heard, before anything is hashed. */
export interface Attempts {
  /**
   * RegistryError 429 with `Retry-After` where this address for this user, this address, or everybody for this user was wrong
   * too often. Whether there is such a user plays no part. Waits for one that runs for the same user from the same address; and
   * where a person has mistyped once or twice, and nobody else tries that user, for the pause to end: one at a time.
   */
  begin(username: string, client: string): Promise<Attempt>;
}

export interface Attempt {
  /** That user was right from that address before. */
  readonly isKnown: boolean;
  /** Once. `unknown`: it could not be found out, and counts for nothing. */
  end(outcome: Outcome): void;
}

export type Outcome = 'right' | 'wrong' | 'unknown';

/** After the first wrong one; doubles with each. Nobody types that fast, and a guesser can do nothing in it. */
const PAUSE_MS = 1000;
/** Who has put an old password right, somewhere in a file, waits no longer than this. */
const PAUSE_MS_MAX = 60_000;
/** So long a pause is waited through instead of being told: clients ask again at once, and people type again within it. */
const HELD_MS_MAX = 2000;
/** As long as a user was wrong no oftener than this lately, from wherever: else somebody guesses. */
const HELD_WRONG_MAX = 4;
/** Who was not wrong for so long begins anew. */
const FORGOTTEN_MS = 600_000;

/**
 * Wrong ones in a row, from whatever address, for one user; and from one address, for whatever users. Both are wide, since a
 * guesser draws on them together with the user, or with all who share the address; who was once right from there does not.
 */
const PER_USER = { burst: 100, everyMs: 6000 };
const PER_ADDRESS = { burst: 30, everyMs: 2000 };

/** Users, addresses, and pairs of them that are remembered. Only what was hashed is, so that it takes long to push one out. */
export const REMEMBERED_MAX = 10_000;
/** Requests that wait for another of the same user and address. */
const WAITING_MAX = 32;

interface Pause {
  readonly wrong: number;
  readonly untilMs: number;
}

/** `heldMs`: how long a pause is waited through; 0: none is. */
export function createAttempts(clock: Clock, { heldMs = HELD_MS_MAX }: { readonly heldMs?: number } = {}): Attempts {
  const pauses = createRecent<Pause>(REMEMBERED_MAX);
  const wereRight = createRecent<true>(REMEMBERED_MAX);
  const users = createAllowances(clock, PER_USER);
  const addresses = createAllowances(clock, PER_ADDRESS);
  const running = new Map<string, Promise<void>>();
  const held = new Set<string>();
  let waiting = 0;

  async function waitFor(other: Promise<void>): Promise<void> {
    if (waiting >= WAITING_MAX) throw tooManyWrong(PAUSE_MS);
    waiting += 1;
    await other;
    waiting -= 1;
  }

  const pausedMs = (pair: string): number => (pauses.get(pair)?.untilMs ?? -Infinity) - clock.monotonic();

  /** A short pause, where nothing speaks of a guesser; `undefined`: there is none to wait for. */
  function pauseOf(pair: string, user: Allowance): Promise<void> | undefined {
    const ms = pausedMs(pair);
    const isGuessed = user.spent() > HELD_WRONG_MAX || held.has(pair) || held.size >= WAITING_MAX;
    if (ms <= 0 || ms > heldMs || isGuessed) return undefined;
    held.add(pair);
    return new Promise((resolve) =>
      clock.after(ms, () => {
        held.delete(pair);
        resolve();
      }),
    );
  }

  function note(pair: string, outcome: Outcome): void {
    if (outcome === 'unknown') return;
    const now = clock.monotonic();
    const before = pauses.get(pair);
    pauses.delete(pair);
    if (outcome === 'right') return wereRight.put(pair, true);
    const wrong = before === undefined || now - before.untilMs > FORGOTTEN_MS ? 1 : before.wrong + 1;
    pauses.put(pair, { wrong, untilMs: now + Math.min(PAUSE_MS * 2 ** (wrong - 1), PAUSE_MS_MAX) });
  }

  return {
    async begin(username, client) {
      const address = addressGroup(client);
      const user = hashed(username);
      const pair = `${user} ${address}`;
      // Two at once would both be judged by what was before them.
      for (;;) {
        const other = running.get(pair);
        const wait = other === undefined ? pauseOf(pair, users.of(user)) : waitFor(other);
        if (wait === undefined) break;
        await wait;
      }
      const isKnown = wereRight.get(pair) === true;
      const drawn = isKnown ? [] : [users.of(user), addresses.of(address)];
      const ms = Math.max(pausedMs(pair), ...drawn.map(({ waitMs }) => waitMs()));
      if (ms > 0) throw tooManyWrong(ms);
      for (const one of drawn) one.take();
      const { promise, resolve } = settling();
      running.set(pair, promise);
      return {
        isKnown,
        end(outcome) {
          if (outcome !== 'wrong') for (const one of drawn) one.giveBack();
          note(pair, outcome);
          running.delete(pair);
          resolve();
        },
      };
    },
  };
}

/** Names are as long as clients choose. */
function hashed(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

function settling(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}

interface Allowance {
  /** How much of it was taken and has not come back. */
  spent(): number;
  waitMs(): number;
  take(): void;
  giveBack(): void;
}

/** So many in a row, and one more each time that `everyMs` has passed. */
function createAllowances(clock: Clock, { burst, everyMs }: { readonly burst: number; readonly everyMs: number }) {
  const all = createRecent<{ readonly left: number; readonly atMs: number }>(REMEMBERED_MAX);
  const leftNow = (key: string): number => {
    const { left, atMs } = all.get(key) ?? { left: burst, atMs: clock.monotonic() };
    return Math.min(burst, left + (clock.monotonic() - atMs) / everyMs);
  };
  const add = (key: string, count: number): void =>
    all.put(key, { left: Math.min(burst, leftNow(key) + count), atMs: clock.monotonic() });
  return {
    of: (key: string): Allowance => ({
      spent: () => burst - leftNow(key),
      waitMs: () => (1 - leftNow(key)) * everyMs,
      take: () => add(key, -1),
      giveBack: () => add(key, 1),
    }),
  };
}

function tooManyWrong(ms: number): RegistryError {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  return new RegistryError('TOOMANYREQUESTS', `too many wrong sign-ins: try again in ${seconds} s`, {
    headers: { 'Retry-After': String(seconds) },
  });
}
