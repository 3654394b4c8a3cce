import { createPublicKey, type KeyObject } from 'node:crypto';

const CURVES: readonly (string | undefined)[] = ['prime256v1', 'secp384r1', 'secp521r1'];
/** NIST SP 800-131A: less is broken by whoever can pay for it. */
const MODULUS_BITS_MIN = 2048;

/** What is wrong with a public key that verifies signatures; `undefined`: nothing. */
export function publicKeyFault(text: string): string | undefined {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text))
    return 'expected a public key: this file holds a private one, which nobody but its owner should have';
  // A certificate would be taken as well, for ever and whoever signed it.
  if ((text.match(/-----BEGIN (?:RSA )?PUBLIC KEY-----/g) ?? []).length !== 1)
    return 'expected a file in PEM form that holds one public key';
  const key = parse(text);
  if (key === undefined) return 'expected a file in PEM form that holds one public key';
  return isFit(key) ? undefined : 'expected a key of ECDSA (P-256, P-384, P-521), of RSA with 2048 bits or more, or of Ed25519';
}

/** Of one that has no fault. */
export function isEd25519(text: string): boolean {
  return parse(text)?.asymmetricKeyType === 'ed25519';
}

function isFit({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): boolean {
  if (type === 'rsa') return (details?.modulusLength ?? 0) >= MODULUS_BITS_MIN;
  return type === 'ed25519' || (type === 'ec' && CURVES.includes(details?.namedCurve));
}

function parse(text: string): KeyObject | undefined {
  try {
    return createPublicKey(text);
  } catch {
    // OpenSSL's words for it help nobody.
    return undefined;
  }
}
