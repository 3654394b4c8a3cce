import { jsonDepthExceeds } from './json-scan.ts';

/** A parsed JSON object: read its keys by `Object.hasOwn` alone ({@link own}), never copy them onto another object (S26). */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Nesting beyond this is refused: recursive code, `JSON.stringify` above all, dies of it (reliability.md, S22). */
export const JSON_DEPTH_MAX = 64;

export interface JsonFault {
  readonly kind: 'fault';
  /** One clause that goes on from "the document …" or "sent an unreadable …:". */
  readonly reason: string;
}

/** The object that `bytes` hold; a fault where they hold none, nest too deep, or are not UTF-8. Never throws. */
export function readJsonObject(bytes: Uint8Array): { readonly kind: 'object'; readonly value: JsonObject } | JsonFault {
  if (jsonDepthExceeds(bytes, JSON_DEPTH_MAX))
    return { kind: 'fault', reason: `it nests deeper than ${JSON_DEPTH_MAX} levels` };
  const value = parse(bytes);
  if (value === undefined) return { kind: 'fault', reason: 'it is not JSON' };
  return isObject(value) ? { kind: 'object', value } : { kind: 'fault', reason: 'it is not a JSON object' };
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object's own value; `null` counts as absent, since Go writes empty lists so. */
export function own(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? (object[key] ?? undefined) : undefined;
}

/** The object under that key; an empty one where there is none, which has nothing of what is looked for. */
export function objectAt(object: JsonObject, key: string): JsonObject {
  const value = own(object, key);
  return isObject(value) ? value : {};
}

/** The objects of the list under that key, an empty one for whatever else stands in it; none where there is no list. */
export function listAt(object: JsonObject, key: string): readonly JsonObject[] {
  const value = own(object, key);
  return Array.isArray(value) ? value.map((each) => (isObject(each) ? each : {})) : [];
}

function parse(bytes: Uint8Array): unknown {
  try {
    // A byte order mark stays, and is then no JSON: Go clients refuse it as well.
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    // Not UTF-8 or not JSON: either way there is nothing to read.
    return undefined;
  }
}
