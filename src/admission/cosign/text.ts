import { repeatsKey } from '../../oci/json-scan.ts';
import { readJsonObject, type JsonObject } from '../../oci/json.ts';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The bytes of standard base64 with its padding (RFC 4648 4), and nothing else; `undefined` for empty text too. */
export function fromBase64(text: unknown): Buffer | undefined {
  if (typeof text !== 'string' || text === '' || text.length % 4 !== 0 || !BASE64.test(text)) return undefined;
  return Buffer.from(text, 'base64');
}

const COMMA = 0x2c;
const COLON = 0x3a;
/** What is signed has a few dozen; each costs as much as a hundred bytes that are none, and nobody else is served meanwhile. */
const SEPARATORS_MAX = 20_000;

/**
 * The object that is signed: `undefined` where two readers could take it for two things, which is also where an object has a
 * key twice; and where it has more members than anything that is signed. Never throws.
 */
export function readSignedObject(bytes: Uint8Array): JsonObject | undefined {
  if (separatorsIn(bytes) > SEPARATORS_MAX) return undefined;
  const read = readJsonObject(bytes);
  return read.kind === 'fault' || repeatsKey(bytes) ? undefined : read.value;
}

/** Those within texts are counted as well: there are few. */
function separatorsIn(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if (byte === COMMA || byte === COLON) count += 1;
  return count;
}
