import type { Clock } from '../../system/clock.ts';
import { CredentialsUnavailable, type Credentials, type CredentialsProvider } from '../credentials.ts';

/** Credentials, and for how long they may be used. */
export interface Grant {
  readonly credentials: Credentials;
  readonly lifetimeMs: number;
}

/** Where credentials come from that cost something to get: a program that is run, an endpoint that is asked. */
export interface Source {
  /** What it will work from, told apart by any text: another one is asked at once, whatever was said before. */
  readonly inputs: () => Promise<string>;
  /** Rejects with {@link CredentialsUnavailable}; anything else it throws is told by its kind alone. */
  readonly get: (signal: AbortSignal) => Promise<Grant>;
}

const GET_MS_MAX = 8000;
/** Who failed lately is not waited for again, but for this: what answers, answers sooner. */
const RETRY_MS_MAX = 1000;
/** The share of its life after which a grant is renewed, beside the questions that it still serves. */
const RENEW_AT = 0.75;
const FAILED_MS_FIRST = 10_000;
/** As long as a refused sign-in (contract). */
const REFUSED_MS = 5 * 60_000;
/** What was refused is fetched anew, but no more often than this. */
const REFUSED_AGE_MS = 60_000;

interface Held {
  readonly credentials: Credentials;
  readonly inputs: string;
  readonly gotAtMs: number;
  readonly lifetimeMs: number;
}

interface Failure {
  readonly error: CredentialsUnavailable;
  readonly inputs: string;
  readonly untilMs: number;
  readonly waitMs: number;
}

/**
 * Credentials that are fetched once however many ask, kept while they live, renewed before they end, and fetched anew when
 * the registry refused them. A source that fails is left alone for ten seconds, then for twice as long each time, and not
 * waited for as long again; meanwhile what it gave before serves to its end.
 */
export function keptCredentials(source: Source, clock: Clock): CredentialsProvider {
  let held: Held | undefined;
  let failure: Failure | undefined;
  let running: { readonly inputs: string; readonly done: Promise<Credentials> } | undefined;

  const fetch = async (inputs: string): Promise<Credentials> => {
    const gotAtMs = clock.monotonic();
    try {
      const { credentials, lifetimeMs } = await bounded(source, clock);
      held = { credentials, inputs, gotAtMs, lifetimeMs };
      failure = undefined;
      return credentials;
    } catch (thrown) {
      const error = thrown instanceof CredentialsUnavailable ? thrown : unknownTrouble(thrown);
      const last = failure?.inputs === inputs ? failure.waitMs : 0;
      const waitMs = error.refused ? REFUSED_MS : Math.min(last === 0 ? FAILED_MS_FIRST : last * 2, REFUSED_MS);
      failure = { error, inputs, untilMs: clock.monotonic() + waitMs, waitMs };
      throw error;
    }
  };
  const fetchOnce = (inputs: string): Promise<Credentials> => {
    if (running?.inputs !== inputs) {
      const started = { inputs, done: fetch(inputs) };
      running = started;
      const ended = (): void => void (running === started && (running = undefined));
      started.done.then(ended, ended);
    }
    return running.done;
  };

  return async (_repository, isRefused) => {
    const inputs = await source.inputs();
    const ageMs = held === undefined ? Infinity : clock.monotonic() - held.gotAtMs;
    const usable = held !== undefined && held.inputs === inputs && ageMs < held.lifetimeMs ? held : undefined;
    const failed = failure?.inputs === inputs && clock.monotonic() < failure.untilMs ? failure.error : undefined;
    if (usable === undefined) {
      if (failed !== undefined) throw failed;
      const last = failure?.inputs === inputs ? failure.error : undefined;
      return await (last === undefined ? fetchOnce(inputs) : atMost(RETRY_MS_MAX, fetchOnce(inputs), last, clock));
    }
    if (failed === undefined && ageMs >= REFUSED_AGE_MS && isRefused(usable.credentials))
      return await fetchOnce(inputs).catch(() => usable.credentials);
    // The next one to ask hears of a failure, when these have ended.
    if (failed === undefined && ageMs >= usable.lifetimeMs * RENEW_AT) fetchOnce(inputs).catch(() => undefined);
    return usable.credentials;
  };
}

/** What comes of the work, or `late` at the limit; the work goes on. */
async function atMost<T>(ms: number, work: Promise<T>, late: Error, clock: Clock): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const timer = clock.after(ms, () => reject(late));
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}

/** Ends the work at the limit, and the wait for it even if the work does not end. */
async function bounded(source: Source, clock: Clock): Promise<Grant> {
  const limit = new AbortController();
  const late = new CredentialsUnavailable(`nothing within ${GET_MS_MAX / 1000} s`);
  return await new Promise<Grant>((resolve, reject) => {
    const timer = clock.after(GET_MS_MAX, () => {
      limit.abort(late);
      reject(late);
    });
    source
      .get(limit.signal)
      .then(resolve, reject)
      .finally(() => timer.cancel());
  });
}

/** What was thrown may quote what it was given. */
function unknownTrouble(thrown: unknown): CredentialsUnavailable {
  const { name, code } = (thrown ?? {}) as { name?: unknown; code?: unknown };
  const told = [name, code].filter((word) => typeof word === 'string' && /^[\w.]{1,60}$/.test(word));
  return new CredentialsUnavailable(told.length === 0 ? 'an unknown error' : told.join(' '));
}
