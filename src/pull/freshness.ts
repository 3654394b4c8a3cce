import type { Clock } from '../system/clock.ts';

/** How long answers may be believed. Durations in milliseconds; `Infinity` where there is no end. Pure. */
export interface FreshnessPolicy {
  /** How long a tag or list is served without asking. */
  readonly tagTtlMs: number;
  /** How long past its ttl it may be served when the chain fails. */
  readonly staleMs: number;
  /** Before a failed check is tried again. */
  readonly retryMs: number;
  /** How long an absence is remembered. */
  readonly negativeTtlMs: number;
}

/** When that was asked which an upstream last confirmed, and when asking again last failed. */
export interface Checked {
  readonly checked: number;
  readonly failed?: number;
}

/**
 * `fresh`: serve. `check`: ask the chain first. `backoff`: a check failed a moment ago; serve stale without asking, so that
 * a dead upstream costs one time-out a window and not one a pull. `expired`: not even stale may it be served.
 */
export type Freshness = 'fresh' | 'check' | 'backoff' | 'expired';

/**
 * Times further ahead than this were written by a clock that was wrong: they are asked about again, and neither believed for
 * ever nor taken for ancient (reliability.md, R34). Less than this is what the clocks of two nodes may differ by.
 */
const SKEW_MS = 60_000;

/** `immutable` things are asked for once. */
export function judge(record: Checked, policy: FreshnessPolicy, immutable: boolean, now: number): Freshness {
  const isSane = record.checked <= now + SKEW_MS;
  if (immutable || (isSane && ageMs(record, now) < policy.tagTtlMs)) return 'fresh';
  if (!mayBeStale(record, policy, now)) return 'expired';
  const { failed } = record;
  const isRecent = failed !== undefined && failed <= now + SKEW_MS && elapsed(failed, now) < policy.retryMs;
  return isRecent ? 'backoff' : 'check';
}

export function mayBeStale(record: Checked, policy: FreshnessPolicy, now: number): boolean {
  return ageMs(record, now) < policy.tagTtlMs + policy.staleMs;
}

/** Seconds that are left of the ttl, as Cache-Status's `ttl` (RFC 9211 2.5); negative when it has run out. */
export function ttlSeconds(record: Checked, policy: FreshnessPolicy, now: number): number {
  return Math.round((policy.tagTtlMs - ageMs(record, now)) / 1000);
}

export function ageMs(record: Checked, now: number): number {
  return elapsed(record.checked, now);
}

/**
 * When that was asked which was asked at `asked` on the monotonic clock, by the wall clock as it goes now, wherever it has jumped
 * meanwhile. What an upstream says may be outdated before it arrives, so that an answer is as old as its question (RFC 9111 4.2.3:
 * `response_delay` belongs to the age). Whole milliseconds.
 */
export function askedAt(clock: Clock, asked: number): number {
  return Math.floor(clock.now() - (clock.monotonic() - asked));
}

/** When an answer is seen, and when it was asked for (see {@link askedAt}), as a tag's history keeps them; unasked: now. */
export function seenAt(clock: Clock, asked: number | undefined): { readonly at: number; readonly asked: number } {
  const at = clock.now();
  return { at, asked: asked === undefined ? at : askedAt(clock, asked) };
}

/** A wall clock may have gone back since: no age is negative (reliability.md, R34). */
function elapsed(since: number, now: number): number {
  return Math.max(0, now - since);
}
