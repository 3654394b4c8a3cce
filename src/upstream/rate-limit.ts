/** What an upstream said of its budget (Docker Hub's headers, on manifest answers). */
export interface RateLimit {
  /** Pulls that it grants in its window. */
  readonly limit: number;
  readonly remaining: number;
  /** `w=`: what it counts over; after that nothing of this need be true any more. */
  readonly windowSeconds: number;
  /** Whom it counts: an address, or an account's id. Nobody's business but ours: never exported. */
  readonly source: string | undefined;
}

/** Docker Hub's, where none is said. */
const WINDOW_SECONDS_DEFAULT = 6 * 3600;
const WINDOW_SECONDS_MAX = 31 * 24 * 3600;
const SOURCE_LENGTH_MAX = 200;

/** `ratelimit-limit: 100;w=21600`, `ratelimit-remaining: 76;w=21600`; absent means unlimited, or not counted. */
export function readRateLimit(header: (name: string) => string | undefined): RateLimit | undefined {
  const said = header('ratelimit-remaining');
  const limit = leadingNumber(header('ratelimit-limit'));
  const remaining = leadingNumber(said);
  if (limit === undefined || remaining === undefined) return undefined;
  const windowSeconds = windowOf(said) ?? windowOf(header('ratelimit-limit')) ?? WINDOW_SECONDS_DEFAULT;
  return { limit, remaining, windowSeconds, source: header('docker-ratelimit-source')?.trim().slice(0, SOURCE_LENGTH_MAX) };
}

function leadingNumber(value: string | undefined): number | undefined {
  const digits = /^\s*(\d{1,15})\s*(?:[;,]|$)/.exec(value ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function windowOf(value: string | undefined): number | undefined {
  const digits = /;\s*w=(\d{1,15})\s*(?:[;,]|$)/.exec(value ?? '')?.[1];
  return digits === undefined || Number(digits) === 0 ? undefined : Math.min(Number(digits), WINDOW_SECONDS_MAX);
}

const RETRY_AFTER_SECONDS_MAX = 24 * 3600;

/**
 * `Retry-After` (RFC 9110 10.2.3), seconds or a date, as whole seconds from now, at most a day. A date counts from the
 * answer's own `Date`, so that clocks need not agree, and from `nowMs` where there is none.
 */
export function retryAfterSeconds(header: (name: string) => string | undefined, nowMs: number): number | undefined {
  const value = header('retry-after');
  if (value === undefined) return undefined;
  const answered = Date.parse(header('date') ?? '');
  const from = Number.isNaN(answered) ? nowMs : answered;
  const seconds = /^\s*\d+\s*$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - from) / 1000);
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), RETRY_AFTER_SECONDS_MAX) : undefined;
}
