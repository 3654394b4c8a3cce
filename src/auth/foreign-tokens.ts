import { isObject, own, type JsonObject } from '../oci/json.ts';
import { SIGNING_ALGORITHMS } from '../oci/signing-algorithms.ts';
import type { Clock } from '../system/clock.ts';
import { publicKeyIn, publicKeyOf, type PublicKey } from './asymmetric.ts';
import { leafOf } from './certificate-chain.ts';
import { claimsSignedBy, endOfUse, isAddressedTo, readAccess, readUnproven } from './jwt.ts';
import { ANYONE, type Identity } from './subject.ts';
import type { TrustedKeys } from './trusted-keys.ts';
import { createVerified } from './verified.ts';
import type { ForeignTokens } from './ways.ts';

export interface ForeignTokensOptions {
  readonly issuer: string;
  readonly service: string;
  readonly keys: TrustedKeys;
  /** Of {@link SIGNING_ALGORITHMS}; default: all of them. */
  readonly algorithms?: readonly string[];
  readonly clock: Clock;
}

/** As the official registry has it, for either end. */
const LEEWAY_SECONDS = 60;
/** Certificates run out too. */
const REMEMBERED_MS_MAX = 5 * 60_000;

/**
 * Tokens of `auth.token`, as the official registry verifies them, 2.x and 3.x alike: signed by a key that the token's `kid` names,
 * or that stands in its `jwk`, or that the certificates in its `x5c` vouch for; and of all those only one that we were told of, or
 * that a certificate of ours has signed. Throws RangeError for an algorithm that is no such.
 */
export function createForeignTokens(options: ForeignTokensOptions): ForeignTokens {
  const { issuer, service, keys, algorithms = SIGNING_ALGORITHMS, clock } = options;
  const odd = algorithms.find((name) => !SIGNING_ALGORITHMS.includes(name));
  if (odd !== undefined) throw new RangeError(`${odd} is none of ${SIGNING_ALGORITHMS.join(', ')}`);
  const verified = createVerified<Identity>(clock);

  async function prove(token: string): Promise<Identity | undefined> {
    const header = readUnproven(token)?.header;
    const signer = header && signerOf(header, keys, clock.now());
    if (header === undefined || signer === undefined) return undefined;
    const allowed = signer.algorithms.filter((name) => algorithms.includes(name));
    const claims = await claimsSignedBy(signer.key, allowed, token);
    if (claims === undefined || own(claims, 'iss') !== issuer || !isAddressedTo(claims, [service])) return undefined;
    const rules = { now: clock.now(), leeway: LEEWAY_SECONDS, grace: LEEWAY_SECONDS, needsNotBefore: false };
    const until = endOfUse(claims, rules);
    const identity = readIdentity(claims);
    if (until === undefined || identity === undefined) return undefined;
    verified.put(token, identity, Math.min(until, clock.now() + REMEMBERED_MS_MAX));
    return identity;
  }
  return { verify: async (token) => verified.get(token) ?? prove(token) };
}

/** Who must have signed it, in the order in which the official registry looks; one that is not trusted ends the search. */
function signerOf(header: JsonObject, keys: TrustedKeys, now: number): PublicKey | undefined {
  const [chain, jwk, id] = [own(header, 'x5c'), own(header, 'jwk'), own(header, 'kid')];
  if (chain !== undefined) return keyOfChain(chain, keys, now);
  if (jwk !== undefined) return isObject(jwk) ? keyOfJwk(jwk, keys, now) : undefined;
  return typeof id === 'string' ? keys.byId.get(id) : undefined;
}

function keyOfChain(chain: unknown, { roots }: TrustedKeys, now: number): PublicKey | undefined {
  const leaf = Array.isArray(chain) ? leafOf(chain, roots, now) : undefined;
  return leaf && publicKeyOf(leaf.publicKey);
}

/**
 * A key in a token is whatever its writer put there, its `kid` too: it has to be one of ours as a whole (CVE-2025-24976), or
 * the one that its own certificates are for.
 */
function keyOfJwk(jwk: JsonObject, keys: TrustedKeys, now: number): PublicKey | undefined {
  const shown = publicKeyIn(jwk);
  if (shown === undefined) return undefined;
  const chain = own(jwk, 'x5c');
  const trusted = chain === undefined ? keys.byThumbprint.get(shown.thumbprint) : keyOfChain(chain, keys, now);
  return trusted?.thumbprint === shown.thumbprint ? trusted : undefined;
}

/** A token server may issue tokens to nobody in particular: then `sub` is empty. */
function readIdentity(claims: JsonObject): Identity | undefined {
  const name = own(claims, 'sub') ?? '';
  const scopes = readAccess(own(claims, 'access') ?? []);
  if (typeof name !== 'string' || scopes === undefined) return undefined;
  return { subject: name === '' ? ANYONE : { kind: 'user', name }, scopes };
}
