import { repeatsKey } from '../../oci/json-scan.ts';
import { readJsonObject, type JsonObject } from '../../oci/json.ts';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The bytes of standard base64 with its padding (RFC 4648 4), and nothing else; `undefined` for empty text too. */
export function fromBase64(text: unknown): Buffer | undefined {
  if (typeof text !== 'string' || text === '' || text.length % 4 !== 0 || !BASE64.test(text)) return undefined;
  return Buffer.from(text, 'base64');
}

/**
 * The object that is signed: `undefined` where two readers could take it for two things, which is also where an object has a
 * key twice. Never throws.
 */
export function readSignedObject(bytes: Uint8Array): JsonObject | undefined {
  const read = readJsonObject(bytes);
  return read.kind === 'fault' || repeatsKey(bytes) ? undefined : read.value;
}
