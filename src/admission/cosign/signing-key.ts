import { constants, createHash, createPublicKey, verify, type KeyObject } from 'node:crypto';

/** A public key whose signatures count. */
export interface SigningKey {
  readonly key: KeyObject;
  /** SHA-256 of its DER form (SubjectPublicKeyInfo), hexadecimal. */
  readonly id: string;
}

/** Throws where the PEM text is no public key; the configuration has looked at it (config/public-key.ts). */
export function signingKey(pem: string): SigningKey {
  const key = createPublicKey(pem);
  const id = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
  return { key, id };
}

/** How a key of its kind may have signed: as cosign did, and as it does by now. */
interface Scheme {
  /** `null`: the algorithm has its own. */
  readonly hash: string | null;
  readonly padding?: number;
  readonly saltLength?: number;
}

const PKCS1: Scheme = { hash: 'sha256', padding: constants.RSA_PKCS1_PADDING };
const PSS: Scheme = { hash: 'sha256', padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO };

/** cosign hashed with SHA-256 whatever the curve, and takes the curve's own hash in bundles. */
const OF_CURVE: Readonly<Record<string, readonly Scheme[]>> = {
  prime256v1: [{ hash: 'sha256' }],
  secp384r1: [{ hash: 'sha256' }, { hash: 'sha384' }],
  secp521r1: [{ hash: 'sha256' }, { hash: 'sha512' }],
};

/** Whether this key signed exactly these bytes. A signature that is none is `false`, whatever it holds. */
export function hasSigned({ key }: SigningKey, bytes: Uint8Array, signature: Uint8Array): boolean {
  return schemesOf(key).some(({ hash, ...padding }) => {
    try {
      return verify(hash, bytes, { key, ...padding }, signature);
    } catch {
      // OpenSSL calls what is no signature at all an error.
      return false;
    }
  });
}

function schemesOf(key: KeyObject): readonly Scheme[] {
  switch (key.asymmetricKeyType) {
    case 'ec':
      return OF_CURVE[key.asymmetricKeyDetails?.namedCurve ?? ''] ?? [];
    case 'rsa':
      return [PKCS1, PSS];
    case 'ed25519':
      return [{ hash: null }];
    default:
      return [];
  }
}
