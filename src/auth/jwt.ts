import type { KeyObject } from 'node:crypto';
import { compactVerify } from 'jose';
import { own, readJsonObject, type JsonObject } from '../oci/json.ts';

/** Longer ones fit into no header. */
export const TOKEN_LENGTH_MAX = 16_384;

/** What a token says before anybody knows whether it is true: good for choosing whose it may be, and for nothing else. */
export interface Unproven {
  readonly header: JsonObject;
  readonly claims: JsonObject;
}

/**
 * `undefined` for what is no signed token in compact form (RFC 7515 7.1), or names keys that we would have to fetch (`jku`,
 * `x5u`), or wants extensions understood (`crit`). In linear time; never throws.
 */
export function readUnproven(token: string): Unproven | undefined {
  if (token.length > TOKEN_LENGTH_MAX || !COMPACT.test(token)) return undefined;
  const [first = '', second = ''] = token.split('.', 2);
  const [header, claims] = [readPart(first), readPart(second)];
  if (header === undefined || claims === undefined) return undefined;
  return REFUSED.some((name) => Object.hasOwn(header, name)) ? undefined : { header, claims };
}

/** Three parts, none of them empty: an unsigned token ends here. */
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const REFUSED = ['jku', 'x5u', 'crit', 'b64', 'zip'];

function readPart(part: string): JsonObject | undefined {
  const read = readJsonObject(Buffer.from(part, 'base64url'));
  return read.kind === 'object' ? read.value : undefined;
}

/**
 * The claims of a token that `key` has signed with one of `algorithms`, which the caller knows to be the key's; `undefined`
 * where it has not.
 */
export async function claimsSignedBy(
  key: KeyObject,
  algorithms: readonly string[],
  token: string,
): Promise<JsonObject | undefined> {
  try {
    const { payload } = await compactVerify(token, key, { algorithms: [...algorithms] });
    const read = readJsonObject(payload);
    return read.kind === 'object' ? read.value : undefined;
  } catch {
    // Whatever is wrong is wrong with the token: the key was looked at when it was taken in.
    return undefined;
  }
}

export interface TimeRules {
  /** ms since the epoch. */
  readonly now: number;
  /** How far the issuer's clock may be from ours, seconds. */
  readonly leeway: number;
  /** As long may a token live after its end, for the same reason; seconds. */
  readonly grace: number;
  /** Between `iat` and `exp`, seconds. */
  readonly lifetimeMax?: number;
  /** Issuers may leave out `nbf`. */
  readonly needsNotBefore: boolean;
}

/**
 * When a token that says so ends, ms since the epoch; `undefined` where it may not be used now, or does not say when it may.
 * Only finite numbers are times: `"9999999999"` and `1e400` are not (reliability.md, S34).
 */
export function endOfUse(claims: JsonObject, rules: TimeRules): number | undefined {
  const [issued, end, begin] = [timeOf(claims, 'iat'), timeOf(claims, 'exp'), timeOf(claims, 'nbf')];
  if (issued === undefined || end === undefined) return undefined;
  if (begin === undefined && (rules.needsNotBefore || own(claims, 'nbf') !== undefined)) return undefined;
  if (rules.lifetimeMax !== undefined && end - issued > rules.lifetimeMax) return undefined;
  const now = rules.now / 1000;
  const hasBegun = now >= Math.max(issued, begin ?? 0) - rules.leeway;
  return hasBegun && now < end + rules.grace ? (end + rules.grace) * 1000 : undefined;
}

function timeOf(claims: JsonObject, name: string): number | undefined {
  const value = own(claims, name);
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** RFC 7519 4.1.3: one, or a list of them. */
export function isAddressedTo(claims: JsonObject, audiences: readonly string[]): boolean {
  const audience = own(claims, 'aud');
  const all: readonly unknown[] = Array.isArray(audience) ? audience : [audience];
  return all.every((one) => typeof one === 'string') && all.some((one) => audiences.includes(one));
}

/** A claim that has to be there, and to say something. */
export function textOf(claims: JsonObject, name: string): string | undefined {
  const value = own(claims, name);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** What tokens are for (distribution, "Token Authentication Implementation", `access`); `undefined` where it is malformed. */
export function readAccess(value: unknown): readonly AccessEntry[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const entries = value.map((entry: unknown) => readEntry(entry));
  return entries.every((entry) => entry !== undefined) ? entries : undefined;
}

export interface AccessEntry {
  readonly type: string;
  readonly class?: string;
  readonly name: string;
  readonly actions: readonly string[];
}

function readEntry(value: unknown): AccessEntry | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const [type, kind, name, actions] = ['type', 'class', 'name', 'actions'].map((key) => own(value as JsonObject, key));
  if (typeof type !== 'string' || typeof name !== 'string') return undefined;
  if (kind !== undefined && typeof kind !== 'string') return undefined;
  const list: readonly unknown[] | undefined = actions === undefined ? [] : Array.isArray(actions) ? actions : undefined;
  if (list === undefined || !list.every((action) => typeof action === 'string')) return undefined;
  return { type, name, actions: list, ...(kind === undefined || kind === '' ? {} : { class: kind }) };
}
