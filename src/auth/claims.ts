import { own, type JsonObject } from '../oci/json.ts';
import type { Claims } from './subject.ts';

/** What goes into our own tokens, and so into a header of each request: names and values together. */
export const CLAIMS_LENGTH_MAX = 4096;

/** They say when, and which of many, not who. */
const OF_THE_TOKEN: ReadonlySet<string> = new Set(['exp', 'iat', 'nbf', 'jti']);

/**
 * The claims that a rule may ask for: texts, numbers and truth values as texts, and lists of those; what is nested is left
 * out. Where they are too long together the longest go, which can only take rights away.
 */
export function toClaims(payload: JsonObject): Claims {
  const flat = Object.keys(payload)
    .filter((name) => !OF_THE_TOKEN.has(name))
    .map((name) => [name, textsOf(own(payload, name))] as const)
    .filter(([, texts]) => texts.length > 0);
  const claims = Object.create(null) as Record<string, readonly string[]>;
  let length = 0;
  for (const [name, texts] of flat.toSorted((a, b) => lengthOf(a) - lengthOf(b))) {
    length += lengthOf([name, texts]);
    if (length <= CLAIMS_LENGTH_MAX) claims[name] = texts;
  }
  return claims;
}

function textsOf(value: unknown): string[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values.flatMap((one) =>
    typeof one === 'string' || typeof one === 'number' || typeof one === 'boolean' ? [String(one)] : [],
  );
}

function lengthOf([name, texts]: readonly [string, readonly string[]]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), Buffer.byteLength(name));
}
