/** What an upstream said of its budget (Docker Hub's headers, on manifest answers). */
export interface RateLimit {
  readonly limit: number;
  readonly remaining: number;
  /** Whom it counts: an address, or an account's id. */
  readonly source: string | undefined;
}

/** `ratelimit-limit: 100;w=21600`, `ratelimit-remaining: 76;w=21600`; absent means unlimited, or not counted. */
export function readRateLimit(header: (name: string) => string | undefined): RateLimit | undefined {
  const limit = leadingNumber(header('ratelimit-limit'));
  const remaining = leadingNumber(header('ratelimit-remaining'));
  if (limit === undefined || remaining === undefined) return undefined;
  return { limit, remaining, source: header('docker-ratelimit-source') };
}

function leadingNumber(value: string | undefined): number | undefined {
  const digits = /^\s*(\d{1,15})\s*(?:[;,]|$)/.exec(value ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
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
