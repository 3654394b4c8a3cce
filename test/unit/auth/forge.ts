import { createHmac, createSign, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

/** What signs the first two parts of a token. */
export type Signer = (input: string) => Buffer;

/** A token of any parts at all, which no library would write. */
export function forge(header: unknown, claims: unknown, signer: Signer): string {
  const input = `${part(header)}.${part(claims)}`;
  return `${input}.${signer(input).toString('base64url')}`;
}

/** Text stands as it is: for JSON that `JSON.stringify` does not write. */
function part(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

export interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export const rsaKeys = (modulusLength = 2048): Keys => generateKeyPairSync('rsa', { modulusLength });
export const ecKeys = (namedCurve = 'P-256'): Keys => generateKeyPairSync('ec', { namedCurve });

export function rs256({ privateKey }: Keys): Signer {
  return (input) => createSign('sha256').update(input).sign(privateKey);
}

export function es256({ privateKey }: Keys): Signer {
  return (input) => sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
}

export function eddsa({ privateKey }: Keys): Signer {
  return (input) => sign(null, Buffer.from(input), privateKey);
}

export function hs256(secret: string | Uint8Array): Signer {
  return (input) => createHmac('sha256', secret).update(input).digest();
}

export const unsigned: Signer = () => Buffer.alloc(0);

export function jwkOf({ publicKey }: Keys, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { ...publicKey.export({ format: 'jwk' }), ...more };
}
