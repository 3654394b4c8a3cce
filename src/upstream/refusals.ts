import type { Clock } from '../system/clock.ts';
import { CredentialsUnavailable, fingerprint, type Credentials } from './credentials.ts';
import type { Report } from './events.ts';
import { UpstreamError } from './upstream.ts';

/** Which of our secrets a registry refused, and since when. */
export interface Refusals {
  /** Throws {@link CredentialsRefused} while a sign-in with these is not to be tried. One asker, known by its signal, tries first. */
  check(credentials: Credentials, scopes: readonly string[], asker: AbortSignal): void;
  /** Whether {@link check} threw, or would, with these: for these scopes, or at all. */
  isRefused(credentials: Credentials, scopes?: readonly string[]): boolean;
  /** `scopes`: what it got, where that was a token. */
  accepted(who: Signer, scopes?: readonly string[]): void;
  /** Yields what to throw. `scopes`: what was asked for, where a token was. */
  refused(who: Signer, scopes: readonly string[] | undefined, status: number): CredentialsRefused;
  /** No credentials were to be had at all, which is no better. Yields what to throw. */
  unavailable(thrown: unknown): CredentialsRefused;
  /** `undefined` before the first sign-in, and for anonymous upstreams. */
  valid(): boolean | undefined;
}

/** A secret by its {@link fingerprint}, and the account it belongs to. */
export interface Signer {
  readonly fingerprint: string;
  readonly account: string;
}

export interface RefusalsOptions {
  readonly upstream: string;
  readonly clock: Clock;
  readonly report: Report;
}

/** Not to be tried again soon, whatever the registry says. */
export class CredentialsRefused extends UpstreamError {}

/** Contract: a refused sign-in is tried again at most every five minutes, or when the secret changes. */
const REFUSED_MS = 5 * 60_000;
/** For so long everybody waits for the one that tries again. */
const TRIED_MS = 15_000;
const REMEMBERED_MAX = 10_000;

interface Refused {
  readonly untilMs: number;
  readonly status: number;
  /** Who tries it again. */
  readonly tried: AbortSignal | undefined;
}

export function createRefusals({ upstream, clock, report }: RefusalsOptions): Refusals {
  const refused = new Map<string, Refused>();
  /** By account: of which secret, or of none, it was last learnt whether it is good. */
  const judged = new Map<string, { readonly print: string | undefined; readonly valid: boolean }>();

  const error = (status: number): CredentialsRefused =>
    new CredentialsRefused(upstream, 'auth', `${upstream} refused our credentials (${status})`, { status });
  const valid = (): boolean | undefined =>
    judged.size === 0 ? undefined : [...judged.values()].every((account) => account.valid);
  const judge = (account: string, print: string | undefined, isValid: boolean, message: string): void => {
    const last = judged.get(account);
    judged.set(account, { print, valid: isValid });
    if (last?.valid === isValid && last.print === print) return;
    if (!isValid) report({ kind: 'credentials-refused', upstream, message });
    else if (valid() === true) report({ kind: 'credentials-accepted', upstream });
  };
  const keyOf = ({ fingerprint: print, account }: Signer, scopes: readonly string[] | undefined, status: number): string => {
    const last = judged.get(account);
    // 403 to a secret that is known to work speaks of the scope alone (GHCR).
    const isScopes = status === 403 && last?.valid === true && last.print === print && scopes !== undefined;
    return isScopes ? scopedKey(print, scopes) : print;
  };

  return {
    check(credentials, scopes, asker) {
      const print = fingerprint(credentials);
      for (const key of [print, scopedKey(print, scopes)]) {
        const last = refused.get(key);
        if (last === undefined || last.tried === asker) continue;
        if (clock.monotonic() < last.untilMs) throw error(last.status);
        refused.set(key, { ...last, untilMs: clock.monotonic() + TRIED_MS, tried: asker });
      }
    },
    isRefused(credentials, scopes = []) {
      const print = fingerprint(credentials);
      return refused.has(print) || refused.has(scopedKey(print, scopes));
    },
    accepted({ fingerprint: print, account }, scopes = []) {
      refused.delete(print);
      refused.delete(scopedKey(print, scopes));
      judge(account, print, true, '');
    },
    refused(who, scopes, status) {
      const key = keyOf(who, scopes, status);
      refused.delete(key);
      refused.set(key, { untilMs: clock.monotonic() + REFUSED_MS, status, tried: undefined });
      const [oldest] = refused.keys();
      if (refused.size > REMEMBERED_MAX && oldest !== undefined) refused.delete(oldest);
      if (key === who.fingerprint) judge(who.account, key, false, error(status).message);
      return error(status);
    },
    unavailable(thrown) {
      const [why, account] =
        thrown instanceof CredentialsUnavailable ? [thrown.message, thrown.account] : ['for an unknown reason', ''];
      const failure = new CredentialsRefused(upstream, 'auth', `${upstream} cannot be signed in to: no credentials: ${why}`);
      judge(account, undefined, false, failure.message);
      return failure;
    },
    valid,
  };
}

function scopedKey(print: string, scopes: readonly string[]): string {
  return `${print} ${scopes.join(' ')}`;
}
