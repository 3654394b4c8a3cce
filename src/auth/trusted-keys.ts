import { createHash, X509Certificate, type KeyObject } from 'node:crypto';
import { publicKeyOf, type PublicKey } from './asymmetric.ts';
import { parseKeySet } from './key-set.ts';

/** Whom we believe, of `auth.token`. */
export interface TrustedKeys {
  /** By what tokens call them: an id is looked up here and is nothing else. */
  readonly byId: ReadonlyMap<string, PublicKey>;
  readonly byThumbprint: ReadonlyMap<string, PublicKey>;
  /** Who may let others sign. */
  readonly roots: readonly X509Certificate[];
}

export type ReadTrustedKeys =
  | { readonly kind: 'keys'; readonly keys: TrustedKeys }
  /** `reason`: what is wrong with which of them, as a clause. */
  | { readonly kind: 'fault'; readonly of: 'rootcertbundle' | 'jwks'; readonly reason: string };

/**
 * The keys of `auth.token`, from the texts of its files. A certificate's key goes by both names that the official registry
 * has given it: libtrust's (2.x) and the key's thumbprint (3.x). A key of the set goes by its own `kid`.
 */
export function readTrustedKeys(texts: { readonly rootcertbundle?: string; readonly jwks?: string }): ReadTrustedKeys {
  const roots = readBundle(texts.rootcertbundle ?? '');
  if (roots === undefined || (texts.rootcertbundle !== undefined && roots.length === 0))
    return { kind: 'fault', of: 'rootcertbundle', reason: 'it has no certificates that can be read' };
  const set = texts.jwks === undefined ? [] : parseKeySet(texts.jwks);
  if (set === undefined) return { kind: 'fault', of: 'jwks', reason: 'it is no JSON Web Key Set' };
  const rootKeys = roots.map((root) => publicKeyOf(root.publicKey)).filter(({ algorithms }) => algorithms.length > 0);
  const keys = [...rootKeys, ...set];
  if (keys.length === 0 && roots.length === 0)
    return { kind: 'fault', of: 'jwks', reason: 'it has no public key that could check a signature' };
  const named = [
    ...rootKeys.flatMap((key) => [[libtrustId(key.key), key] as const, [key.thumbprint, key] as const]),
    ...set.flatMap((key) => (key.id === undefined ? [] : [[key.id, key] as const])),
  ];
  const byThumbprint = new Map(keys.map((key) => [key.thumbprint, key]));
  return { kind: 'keys', keys: { byId: new Map(named), byThumbprint, roots } };
}

function readBundle(pem: string): X509Certificate[] | undefined {
  try {
    return (pem.match(CERTIFICATE) ?? []).map((text) => new X509Certificate(text));
  } catch {
    return undefined; // One of them is none.
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** The first 240 bits of the key's SHA-256, as base32 in twelve groups of four. */
export function libtrustId(key: KeyObject): string {
  const hash = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 30);
  const bits = Array.from(hash, (byte) => byte.toString(2).padStart(8, '0')).join('');
  const letters = (bits.match(/.{5}/g) ?? []).map((five) => BASE32.charAt(Number.parseInt(five, 2))).join('');
  return (letters.match(/.{4}/g) ?? []).join(':');
}

/** RFC 4648 6. */
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
