import { isObject, own, readJsonObject, type JsonObject } from './json.ts';
import { duplicateKey } from './json-scan.ts';
import { readManifest, type Manifest, type ManifestFault } from './manifest.ts';
import { manifestTypeOf } from './manifest-type.ts';
import { isManifestType, isSchema1Type, mediaTypeOf } from './media-types.ts';

/** Keys that clients read, of manifests and of descriptors. Go reads them in any case (reliability.md, S12). */
const KNOWN_KEYS: readonly string[] = [
  'schemaVersion',
  'mediaType',
  'artifactType',
  'config',
  'layers',
  'blobs',
  'manifests',
  'subject',
  'annotations',
  'digest',
  'size',
  'urls',
  'platform',
  'data',
];
const BY_LOWER_CASE = new Map(KNOWN_KEYS.map((key) => [key.toLowerCase(), key]));

/**
 * Reads a manifest that a client pushes: stricter than one that an upstream sent, since it can still be mended. It must be
 * of a kind whose content is known here, come as what it says that it is, and leave no two clients to read it differently.
 * Never throws.
 */
export function readPushedManifest(bytes: Uint8Array, contentType: string | undefined): Manifest | ManifestFault {
  const manifest = readManifest(bytes, contentType);
  if (manifest.kind === 'fault') return manifest;
  const { mediaType } = manifest;
  if (!isManifestType(mediaType) || isSchema1Type(mediaType))
    return fault(`${mediaType} is no type of manifest that can be pushed`);
  const header = mediaTypeOf(contentType);
  if (header !== undefined && header !== mediaType) return fault(`it came as ${header} and says that it is ${mediaType}`);
  const key = duplicateKey(bytes);
  if (key !== undefined) return fault(`it has ${JSON.stringify(key)} twice`);
  const json = readJsonObject(bytes);
  if (json.kind === 'fault') return json;
  // One that only its header tells of would be another thing under another header (S12).
  const alone = manifestTypeOf(json.value, undefined);
  if (alone.kind === 'type' && !isManifestType(alone.mediaType))
    return fault('it does not say what it is, and has nothing by which that could be told');
  return misspelling(json.value) ?? manifest;
}

function misspelling(document: JsonObject): ManifestFault | undefined {
  const lists = ['layers', 'blobs', 'manifests'].map((key) => own(document, key)).filter(Array.isArray);
  const objects = [document, own(document, 'config'), own(document, 'subject'), ...lists.flat()].filter(isObject);
  for (const object of objects) {
    for (const key of Object.keys(object)) {
      const meant = key.length > 'schemaVersion'.length ? undefined : BY_LOWER_CASE.get(key.toLowerCase());
      if (meant !== undefined && meant !== key) return fault(`it has ${JSON.stringify(key)}, which some read as ${meant}`);
    }
    const digest = own(object, 'digest');
    if (typeof digest === 'string' && object !== document && !/^sha(?:256|512):/.test(digest)) {
      return fault(`it names ${JSON.stringify(digest.slice(0, 100))}, of an algorithm that is not supported`);
    }
  }
  return undefined;
}

function fault(reason: string): ManifestFault {
  return { kind: 'fault', reason };
}
