import { isJsonObject } from './descriptor.ts';
import { jsonDepthExceeds } from './json-depth.ts';
import { JSON_DEPTH_MAX } from './manifest.ts';
import { OCI_INDEX } from './media-types.ts';

/** The answer where nothing refers to a digest (OCI distribution-spec, "Listing Referrers"). */
export function emptyIndex(): Uint8Array {
  return encode([]);
}

/** The index with only the descriptors of one artifact type; a document that is no index lists nothing. */
export function filterReferrers(index: Uint8Array, artifactType: string): Uint8Array {
  return encode(descriptorsOf(index).filter((entry) => isJsonObject(entry) && entry['artifactType'] === artifactType));
}

function descriptorsOf(index: Uint8Array): readonly unknown[] {
  if (jsonDepthExceeds(index, JSON_DEPTH_MAX)) return [];
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(index));
    return isJsonObject(value) && Array.isArray(value['manifests']) ? value['manifests'] : [];
  } catch {
    return []; // What is no JSON lists nothing.
  }
}

function encode(manifests: readonly unknown[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
}
