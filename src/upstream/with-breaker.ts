import type { Clock } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import type { Ask } from './ask.ts';
import type { Report } from './events.ts';
import { UpstreamError, type UpstreamErrorReason } from './upstream.ts';

/** Passes an upstream over while it is down, so that nobody waits for it. */
export interface Breaker {
  isOpen(): boolean;
  /** Throws what the upstream failed with, while it is passed over; else yields how to say what came of this attempt. */
  enter(): Attempt;
}

export interface Attempt {
  succeeded(): void;
  failed(error: UpstreamError): void;
  /** Nothing was learnt: the caller left. */
  abandoned(): void;
}

export interface BreakerOptions {
  readonly upstream: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
  /** Failures in a row that open it. */
  readonly failures?: number;
}

const FAILURES = 5;
const OPEN_MS_FIRST = 5000;
const OPEN_MS_MAX = 60_000;

/**
 * Closed, open for a time (doubling, with a jitter of a fifth), then one probe at a time. Every opening and closing begins a
 * generation, and a late report of an earlier one changes nothing (R12).
 */
export function createBreaker(options: BreakerOptions): Breaker {
  const { clock } = options;
  const limit = options.failures ?? FAILURES;
  let generation = 0;
  let inRow = 0;
  let openedFor = 0;
  let openUntil: number | undefined;
  let last: UpstreamError | undefined;
  let probing = false;

  const open = (error: UpstreamError): void => {
    const isFirst = openUntil === undefined;
    generation++;
    probing = false;
    last = error;
    openedFor = Math.min(openedFor === 0 ? OPEN_MS_FIRST : openedFor * 2, OPEN_MS_MAX);
    const ms = Math.round(openedFor * (0.8 + 0.4 * options.random.fraction()));
    openUntil = clock.monotonic() + ms;
    if (isFirst) options.report({ kind: 'upstream-down', upstream: options.upstream, message: error.message, ms });
  };
  const close = (): void => {
    generation++;
    probing = false;
    openedFor = 0;
    openUntil = undefined;
    inRow = 0;
    options.report({ kind: 'upstream-up', upstream: options.upstream });
  };

  return {
    isOpen: () => openUntil !== undefined,
    enter() {
      const isProbe = openUntil !== undefined;
      if (isProbe) {
        if (probing || clock.monotonic() < (openUntil ?? 0)) throw passedOver(options.upstream, last);
        probing = true;
      }
      const mine = generation;
      return {
        succeeded() {
          if (mine !== generation) return;
          if (isProbe) close();
          else inRow = 0;
        },
        failed(error) {
          if (mine !== generation) return;
          inRow++;
          if (isProbe || inRow >= limit) open(error);
        },
        abandoned() {
          if (mine === generation && isProbe) probing = false;
        },
      };
    },
  };
}

function passedOver(upstream: string, last: UpstreamError | undefined): UpstreamError {
  const options = {
    timeout: last?.timeout ?? false,
    ...(last?.status === undefined ? {} : { status: last.status }),
    cause: last,
  };
  return new UpstreamError(
    upstream,
    last?.reason ?? 'connect',
    `${upstream} is passed over for a moment: ${last?.message ?? 'it failed'}`,
    options,
  );
}

/** Only trouble in getting an answer counts: a body that breaks later is resumed, and says nothing of the next request. */
export function withBreaker(ask: Ask, breaker: Breaker): Ask {
  return async (request, signal) => {
    const attempt = breaker.enter();
    try {
      const answer = await ask(request, signal);
      attempt.succeeded();
      return answer;
    } catch (error) {
      if (!(error instanceof UpstreamError)) attempt.abandoned();
      else if (isTrouble(error)) attempt.failed(error);
      else attempt.succeeded();
      throw error;
    }
  };
}

/** A wrong answer shows that the upstream is there; so does the refusal of our password; our own queue says nothing. */
const HARMLESS: ReadonlySet<UpstreamErrorReason> = new Set(['auth', 'verify', 'ratelimit']);

function isTrouble(error: UpstreamError): boolean {
  return error.reason === 'status' ? (error.status ?? 0) >= 500 : !HARMLESS.has(error.reason);
}
