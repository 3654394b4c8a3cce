import { isObject, own, type JsonObject } from '../oci/json.ts';
import { publicKeyIn, type PublicKey } from './asymmetric.ts';

/** A key of a set, with the name by which tokens ask for it. */
export interface SetKey extends PublicKey {
  /** Its `kid`. */
  readonly id: string | undefined;
}

/** More are not looked at. */
const KEYS_MAX = 100;

/**
 * The keys of a JWK Set (RFC 7517 5) that can check signatures; what else stands there is passed over. `undefined` where it is
 * no such set.
 */
export function readKeySet(value: unknown): readonly SetKey[] | undefined {
  const keys = isObject(value) ? own(value, 'keys') : undefined;
  if (!Array.isArray(keys)) return undefined;
  return keys
    .slice(0, KEYS_MAX)
    .map((key: unknown) => (isObject(key) ? readKey(key) : undefined))
    .filter((key) => key !== undefined);
}

/** As {@link readKeySet}, from the text of a file. */
export function parseKeySet(text: string): readonly SetKey[] | undefined {
  try {
    return readKeySet(JSON.parse(text));
  } catch {
    return undefined; // What the parser says quotes the file, which may be another than was meant.
  }
}

function readKey(jwk: JsonObject): SetKey | undefined {
  const [id, use, algorithm] = [own(jwk, 'kid'), own(jwk, 'use'), own(jwk, 'alg')];
  if (use !== undefined && use !== 'sig') return undefined;
  const key = publicKeyIn(jwk);
  const algorithms = key?.algorithms.filter((name) => algorithm === undefined || name === algorithm) ?? [];
  if (key === undefined || algorithms.length === 0) return undefined;
  return { ...key, algorithms, id: typeof id === 'string' ? id : undefined };
}
