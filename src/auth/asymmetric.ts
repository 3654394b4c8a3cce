import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import type { JsonObject } from '../oci/json.ts';
import { SIGNING_ALGORITHMS } from '../oci/signing-algorithms.ts';

/** A key that checks signatures. */
export interface PublicKey {
  readonly key: KeyObject;
  /** The algorithms that are for a key of its kind; empty: it is none that we take, or too weak. */
  readonly algorithms: readonly string[];
  /** RFC 7638, with SHA-256: of the whole key, so that no two have the same. Empty where `algorithms` is. */
  readonly thumbprint: string;
}

export function publicKeyOf(key: KeyObject): PublicKey {
  const algorithms = algorithmsOf(key);
  // Of other kinds there is not even a JWK.
  return { key, algorithms, thumbprint: algorithms.length === 0 ? '' : thumbprintOf(key) };
}

/** Of a JWK (RFC 7517) its public part; `undefined` where it has none, as a shared secret, or it is none that we take. */
export function publicKeyIn(jwk: JsonObject): PublicKey | undefined {
  try {
    const key = publicKeyOf(createPublicKey({ key: jwk, format: 'jwk' }));
    return key.algorithms.length === 0 ? undefined : key;
  } catch {
    return undefined; // No key, or of a kind that nobody here knows.
  }
}

const RSA_BITS_MIN = 2048;
const OF_CURVE: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): readonly string[] {
  switch (asymmetricKeyType) {
    case 'rsa':
      return (asymmetricKeyDetails?.modulusLength ?? 0) < RSA_BITS_MIN
        ? []
        : SIGNING_ALGORITHMS.filter((name) => /^[RP]S/.test(name));
    case 'ec': {
      const name = OF_CURVE[asymmetricKeyDetails?.namedCurve ?? ''];
      return name === undefined ? [] : [name];
    }
    case 'ed25519':
      return ['EdDSA'];
    default:
      return [];
  }
}

/** The members that make out a key of each kind, in the order in which RFC 7638 writes them. */
const MEMBERS = ['crv', 'e', 'kty', 'n', 'x', 'y'] as const;

function thumbprintOf(key: KeyObject): string {
  const jwk = key.export({ format: 'jwk' });
  const members = MEMBERS.flatMap((name) => (jwk[name] === undefined ? [] : [[name, jwk[name]] as const]));
  return createHash('sha256')
    .update(JSON.stringify(Object.fromEntries(members)))
    .digest('base64url');
}
