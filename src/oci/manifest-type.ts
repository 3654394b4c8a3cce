import { own, type JsonFault, type JsonObject } from './json.ts';
import {
  DOCKER_SCHEMA1,
  DOCKER_SCHEMA1_SIGNED,
  isIndexType,
  isManifestType,
  isSchema1Type,
  mediaTypeOf,
  OCI_INDEX,
  OCI_MANIFEST,
} from './media-types.ts';

export type ManifestType = { readonly kind: 'type'; readonly mediaType: string } | JsonFault;

/**
 * The type under which a document is kept and served, or why it can have none. What the document says of itself comes
 * first, then a header that names a manifest, then the document's structure (protocol.md, statement 29); where two of them
 * contradict each other it is refused, since the same bytes must never be served under two types (reliability.md, S12).
 */
export function manifestTypeOf(document: JsonObject, contentType: string | undefined): ManifestType {
  const structure = structureOf(document);
  if (structure === 'both') return fault('it has manifests beside layers or a config');
  const header = mediaTypeOf(contentType);
  const written = own(document, 'mediaType') ?? '';
  const body = typeof written === 'string' ? mediaTypeOf(written) : undefined;
  if (written !== '' && body === undefined) return fault('its mediaType is no media type');
  const named = header !== undefined && isManifestType(header) ? header : undefined;
  if (body !== undefined && named !== undefined && isManifestType(body) && body !== named) {
    return fault(`it came as ${named} and says that it is ${body}`);
  }
  const said = body ?? named;
  if (said === undefined)
    return { kind: 'type', mediaType: typeByStructure(document, structure) ?? header ?? 'application/json' };
  if (contradicts(said, structure)) return fault(`it is said to be ${said}, which its content is not`);
  return { kind: 'type', mediaType: said };
}

type Structure = 'index' | 'manifest' | 'both' | 'neither';

/** Go's clients match keys in any case, so what they would read counts (reliability.md, S12). */
function structureOf(document: JsonObject): Structure {
  let isIndex = false;
  let isManifest = false;
  for (const [key, value] of Object.entries(document)) {
    if (value === null || key.length > 'manifests'.length) continue;
    const name = key.toLowerCase();
    if (name === 'manifests') isIndex = true;
    if (name === 'layers' || name === 'config') isManifest = true;
  }
  if (isIndex && isManifest) return 'both';
  return isIndex ? 'index' : isManifest ? 'manifest' : 'neither';
}

function contradicts(type: string, structure: Structure): boolean {
  if (!isManifestType(type) || structure === 'neither') return false;
  return isSchema1Type(type) || isIndexType(type) !== (structure === 'index');
}

function typeByStructure(document: JsonObject, structure: Structure): string | undefined {
  if (structure === 'index') return OCI_INDEX;
  if (structure === 'manifest') return OCI_MANIFEST;
  if (own(document, 'schemaVersion') !== 1) return undefined;
  return own(document, 'signatures') === undefined ? DOCKER_SCHEMA1 : DOCKER_SCHEMA1_SIGNED;
}

function fault(reason: string): JsonFault {
  return { kind: 'fault', reason };
}
