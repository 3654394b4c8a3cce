import { isObject, own, type JsonObject } from '../oci/json.ts';
import { ANYONE, type Claims, type Subject } from './subject.ts';

/** A subject as it stands in tokens and records; `undefined` for anything else. */
export function readSubject(value: unknown): Subject | undefined {
  if (!isObject(value)) return undefined;
  const text = (key: string): string | undefined => {
    const found = own(value, key);
    return typeof found === 'string' ? found : undefined;
  };
  const [kind, name, id, issuer] = [text('kind'), text('name'), text('id'), text('issuer')];
  if (kind === 'anyone') return ANYONE;
  if (kind === 'user' && name !== undefined) return { kind, name };
  if (kind === 'token' && name !== undefined && id !== undefined) return { kind, name, id };
  const claims = readClaims(own(value, 'claims'));
  if (kind === 'oidc' && issuer !== undefined && id !== undefined && claims !== undefined) return { kind, issuer, id, claims };
  return undefined;
}

function readClaims(value: unknown): Claims | undefined {
  if (!isObject(value)) return undefined;
  const claims = Object.create(null) as Record<string, readonly string[]>;
  for (const [name, texts] of Object.entries(value)) {
    if (!Array.isArray(texts) || !texts.every((text) => typeof text === 'string')) return undefined;
    claims[name] = texts;
  }
  return claims;
}

/** As {@link readSubject}, from JSON text. */
export function parseSubject(text: string): Subject | undefined {
  try {
    return readSubject(JSON.parse(text) as JsonObject);
  } catch {
    return undefined; // Not JSON, so nobody's.
  }
}
