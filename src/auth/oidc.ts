import { RegistryError } from '../oci/errors.ts';
import { isObject, own, type JsonObject } from '../oci/json.ts';
import { SIGNING_ALGORITHMS } from '../oci/signing-algorithms.ts';
import type { Clock } from '../system/clock.ts';
import { toClaims } from './claims.ts';
import { createIssuerKeys, type IssuerKeys } from './issuer-keys.ts';
import { claimsSignedBy, endOfUse, isAddressedTo, readUnproven, textOf } from './jwt.ts';
import { parseKeySet, readKeySet, type SetKey } from './key-set.ts';
import type { Subject } from './subject.ts';
import { createVerified } from './verified.ts';
import type { SignInTokens } from './ways.ts';
import { parseUrl } from '../oci/url.ts';

/** One of `auth.oidc`. */
export interface Issuer {
  /** By which rules call it. */
  readonly name: string;
  /** Its address, as it stands in its tokens. */
  readonly issuer: string;
  readonly audience: string;
  /** The text of a file with its keys, as it is now; then it is never asked for them. */
  readonly jwks?: () => Promise<string>;
}

/** Rejects where there is no JSON to be had, with words that say why. */
export type FetchJson = (url: string, signal: AbortSignal) => Promise<unknown>;

export interface SignInTokensOptions {
  readonly issuers: readonly Issuer[];
  readonly fetchJson: FetchJson;
  readonly clock: Clock;
}

const LEEWAY_SECONDS = 60;
/** As long a key that was taken away may still be believed, beside its issuer's own hour. */
const REMEMBERED_MS_MAX = 5 * 60_000;
const SUBJECT_LENGTH_MAX = 1024;

interface KnownIssuer extends Issuer {
  readonly keys: IssuerKeys;
}

/** Sign-in tokens of CI systems and clusters (OpenID Connect Core 2), told apart by their `iss`. */
export function createSignInTokens({ issuers, fetchJson, clock }: SignInTokensOptions): SignInTokens {
  const known: readonly KnownIssuer[] = issuers.map((issuer) => ({
    ...issuer,
    keys: createIssuerKeys((signal) => loadKeys(issuer, fetchJson, signal), clock),
  }));
  const verified = createVerified<Subject>(clock);
  /** Two may have one address: for two audiences. */
  const of = (claims: JsonObject): readonly KnownIssuer[] => known.filter(({ issuer }) => own(claims, 'iss') === issuer);

  async function prove(token: string): Promise<Subject | undefined> {
    const unproven = readUnproven(token);
    if (unproven === undefined) return undefined;
    const issuer = of(unproven.claims).find(({ audience }) => isAddressedTo(unproven.claims, [audience]));
    const id = textOf(unproven.header, 'kid');
    if (issuer === undefined || id === undefined || !SIGNING_ALGORITHMS.includes(String(own(unproven.header, 'alg'))))
      return undefined;
    const key = await keyOf(issuer, id);
    const claims = key && (await claimsSignedBy(key.key, key.algorithms, token));
    if (claims === undefined || !of(claims).includes(issuer) || !isAddressedTo(claims, [issuer.audience])) return undefined;
    const rules = { now: clock.now(), leeway: LEEWAY_SECONDS, grace: LEEWAY_SECONDS, needsNotBefore: false };
    const until = endOfUse(claims, rules);
    const subject = textOf(claims, 'sub');
    if (until === undefined || subject === undefined || subject.length > SUBJECT_LENGTH_MAX) return undefined;
    const found: Subject = { kind: 'oidc', issuer: issuer.name, id: subject, claims: toClaims(claims) };
    verified.put(token, found, Math.min(until, clock.now() + REMEMBERED_MS_MAX));
    return found;
  }

  return {
    isOne(text) {
      const unproven = readUnproven(text);
      return unproven !== undefined && of(unproven.claims).length > 0;
    },
    verify: async (text) => verified.get(text) ?? prove(text),
  };
}

async function keyOf({ name, keys }: KnownIssuer, id: string): Promise<SetKey | undefined> {
  try {
    return await keys.find(id);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'for an unknown reason';
    const message = `the keys of the issuer ${name} cannot be had: ${why}`;
    throw new RegistryError('UNAVAILABLE', message, { status: 503, cause });
  }
}

async function loadKeys(issuer: Issuer, fetchJson: FetchJson, signal: AbortSignal): Promise<readonly SetKey[]> {
  const { jwks } = issuer;
  const keys = jwks === undefined ? readKeySet(await fetchKeySet(issuer, fetchJson, signal)) : parseKeySet(await jwks());
  if (keys === undefined) throw new Error('what it has is no JSON Web Key Set');
  return keys;
}

/** OpenID Connect Discovery 4: what says that it is somebody else's is, and keys are had from the issuer's own host alone. */
async function fetchKeySet({ issuer }: Issuer, fetchJson: FetchJson, signal: AbortSignal): Promise<unknown> {
  const discovery = await fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, signal);
  if (!isObject(discovery) || own(discovery, 'issuer') !== issuer) throw new Error('it names another issuer than itself');
  const keysAt = textOf(discovery, 'jwks_uri');
  if (keysAt === undefined || parseUrl(keysAt)?.origin !== new URL(issuer).origin)
    throw new Error('its jwks_uri is not at its own host; name a file of its keys under jwks');
  return fetchJson(keysAt, signal);
}
