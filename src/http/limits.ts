import { createHash } from 'node:crypto';
import { addressGroup } from '../auth/address-group.ts';
import { subjectText } from '../auth/subject.ts';
import { RegistryError } from '../oci/errors.ts';
import type { Exchange } from './exchange.ts';
import { createPlaces, type Leave } from './places.ts';
import type { EdgeClock } from './ports.ts';
import { createTokenBuckets, type Rate, type Taken } from './token-bucket.ts';

/** How much somebody may ask for. */
export interface Allowance {
  readonly rate: Rate | undefined;
  /** Requests at once, their bodies included. */
  readonly concurrent: number | undefined;
}

/** Each address, and each who has signed in. */
export interface RequestLimits {
  readonly address: Allowance;
  readonly subject: Allowance;
}

/** Who asks for too much is kept waiting a little, and then refused. Both throw RegistryError 429 with `Retry-After`. */
export interface Limits {
  /** By the client's address: before anybody has looked at who it is. */
  address(exchange: Exchange): Promise<void>;
  /** By who it is. Who has said nothing has an address alone. */
  subject(exchange: Exchange): Promise<void>;
  /** Whether an address may ask for something at once, without a wait and without a place; nothing is counted. */
  isFree(client: string): boolean;
  /** Such a request was taken. */
  count(client: string): void;
}

/**
 * Clients send a burst for each image, and some ask again at once what is answered 429: within this time the most of it passes
 * by itself.
 */
const WAIT_MS_MAX = 1000;

/** Whose requests are counted together. */
export type Whose = 'address' | 'account';

/** Who counts. See {@link TokenBuckets} and {@link Places}. */
export interface Counting {
  take(whose: Whose, key: string, rate: Rate, waitMsMax: number): Taken | Promise<Taken>;
  place(whose: Whose, key: string, max: number, waitMsMax: number, signal: AbortSignal): Promise<Leave | undefined>;
  /** See {@link TokenBuckets}; left out where it is counted elsewhere, and nobody can tell at once. */
  has?(whose: Whose, key: string, rate: Rate): boolean;
}

/** In memory, of this process. */
export function countHere(clock: EdgeClock): Counting {
  const buckets = { address: createTokenBuckets(clock), account: createTokenBuckets(clock) };
  const places = { address: createPlaces(clock), account: createPlaces(clock) };
  return {
    take: (whose, key, rate, waitMsMax) => buckets[whose].take(key, rate, waitMsMax),
    has: (whose, key, rate) => buckets[whose].has(key, rate),
    place: (whose, key, max, waitMsMax, signal) => places[whose].take(key, max, waitMsMax, signal),
  };
}

/** `limits` is asked at each request; what was counted stays. */
export function createLimits(clock: EdgeClock, limits: () => RequestLimits, counting: Counting = countHere(clock)): Limits {
  const addresses = createWatch(clock, 'address', counting);
  const subjects = createWatch(clock, 'account', counting);
  return {
    address: (exchange) => addresses(addressGroup(exchange.client), limits().address, exchange),
    async subject(exchange) {
      if (exchange.identity.subject.kind !== 'anyone') await subjects(accountOf(exchange), limits().subject, exchange);
    },
    isFree(client) {
      const { rate, concurrent } = limits().address;
      return concurrent === undefined && (rate === undefined || counting.has?.('address', addressGroup(client), rate) === true);
    },
    count(client) {
      const { rate } = limits().address;
      if (rate !== undefined) void counting.take('address', addressGroup(client), rate, 0);
    },
  };
}

/** Whom what is asked for counts to: `user:ann`; an address (`address:192.0.2.1`), where nobody has said who they are. Nobody else is called so. */
export function accountOf({ identity: { subject }, client }: Exchange): string {
  if (subject.kind === 'anyone') return `address:${addressGroup(client)}`;
  const text = subjectText(subject);
  // A name may be as long as somebody else's issuer likes.
  return text.length <= ACCOUNT_LENGTH_MAX ? text : `hash:${createHash('sha256').update(text).digest('base64url')}`;
}

const ACCOUNT_LENGTH_MAX = 200;

/** Who goes on asking is told of again after so long: what limits refuse must not fill a disk. */
const TOLD_MS = 60_000;
const TOLD_MAX = 10_000;

type Watch = (key: string, allowance: Allowance, exchange: Exchange) => Promise<void>;

function createWatch(clock: EdgeClock, whose: Whose, counting: Counting): Watch {
  /** When it was last told of them, in the order of that. */
  const told = new Map<string, number>();
  const refuse = (key: string, exchange: Exchange, error: RegistryError): RegistryError => {
    const now = clock.monotonic();
    if (now - (told.get(key) ?? -Infinity) < TOLD_MS) return error;
    told.delete(key);
    told.set(key, now);
    const [oldest] = told.keys();
    if (told.size > TOLD_MAX && oldest !== undefined) told.delete(oldest);
    exchange.limited = whose;
    return error;
  };
  return async (key, { rate, concurrent }, exchange) => {
    const { signal } = exchange;
    const since = clock.monotonic();
    if (rate !== undefined) {
      const { taken, waitMs } = await counting.take(whose, key, rate, WAIT_MS_MAX);
      if (!taken) throw refuse(key, exchange, tooMany(`too many requests of this ${whose}`, waitMs));
      if (waitMs > 0) await pause(clock, waitMs, signal);
    }
    if (concurrent === undefined) return;
    const leave = await counting.place(whose, key, concurrent, WAIT_MS_MAX - (clock.monotonic() - since), signal);
    if (leave === undefined)
      throw refuse(key, exchange, tooMany(`more than ${concurrent} requests of this ${whose} at once`, WAIT_MS_MAX));
    exchange.onEnd(leave);
  };
}

/** Ends early with the client. */
function pause(clock: EdgeClock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end: Leave = () => {
      timer.cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.after(ms, end);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
  });
}

function tooMany(what: string, waitMs: number): RegistryError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  return new RegistryError('TOOMANYREQUESTS', `${what}: try again in ${seconds} s`, {
    headers: { 'retry-after': String(seconds) },
  });
}
