import { hkdfSync, type KeyObject } from 'node:crypto';
import { CompactEncrypt, compactDecrypt } from 'jose';
import { own, readJsonObject } from '../oci/json.ts';
import type { PassedOn } from './subject.ts';

/** RFC 7518 4.5 and 5.3: the key itself encrypts, authenticated. */
const HEADER = { alg: 'dir', enc: 'A256GCM' } as const;

/** Credentials that a token carries to be passed on: only who holds the key that signs it can read them. */
export function seal(credentials: PassedOn, key: KeyObject): Promise<string> {
  const text = new TextEncoder().encode(JSON.stringify(credentials));
  return new CompactEncrypt(text).setProtectedHeader(HEADER).encrypt(sealingKey(key));
}

/** `undefined` for anything that {@link seal} did not make with that key. */
export async function unseal(sealed: unknown, key: KeyObject): Promise<PassedOn | undefined> {
  if (typeof sealed !== 'string') return undefined;
  try {
    const { plaintext } = await compactDecrypt(sealed, sealingKey(key), {
      keyManagementAlgorithms: [HEADER.alg],
      contentEncryptionAlgorithms: [HEADER.enc],
    });
    return readPassedOn(plaintext);
  } catch {
    return undefined;
  }
}

/** One key for each use: what signs does not encrypt. */
function sealingKey(key: KeyObject): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key.export(), new Uint8Array(), 'entrepot passthrough', 32));
}

function readPassedOn(bytes: Uint8Array): PassedOn | undefined {
  const read = readJsonObject(bytes);
  if (read.kind !== 'object') return undefined;
  const { value } = read;
  const [username, password, registries] = [own(value, 'username'), own(value, 'password'), own(value, 'registries')];
  if (typeof username !== 'string' || typeof password !== 'string' || !Array.isArray(registries)) return undefined;
  return { username, password, registries: registries.filter((one) => typeof one === 'string') };
}
