import { isObject, own, readJsonObject, type JsonObject } from './json.ts';
import { DESCRIPTORS_MAX } from './manifest.ts';
import { OCI_INDEX } from './media-types.ts';

/**
 * The entries of a referrers list as they stand, unknown fields and all; `undefined` where the bytes are no index. Unlike
 * manifests, such lists have no digest that anybody asked for, and may be written anew.
 */
export function readReferrers(bytes: Uint8Array): readonly JsonObject[] | undefined {
  const json = readJsonObject(bytes);
  if (json.kind === 'fault') return undefined;
  const entries = own(json.value, 'manifests');
  if (!Array.isArray(entries) || entries.length > DESCRIPTORS_MAX) return undefined;
  return entries.filter(isObject);
}

/** A referrers list of nothing (OCI distribution-spec, "Listing Referrers"). */
export function emptyIndex(): Uint8Array {
  return indexOf([]);
}

/** The list with only the entries of that type; an empty one where the bytes are no index. */
export function filterReferrers(bytes: Uint8Array, artifactType: string): Uint8Array {
  const entries = readReferrers(bytes) ?? [];
  return indexOf(entries.filter((entry) => own(entry, 'artifactType') === artifactType));
}

function indexOf(manifests: readonly JsonObject[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
}
