import { readDescriptor, type Descriptor } from './descriptor.ts';
import { isObject, own, readJsonObject, type JsonObject } from './json.ts';
import { manifestTypeOf } from './manifest-type.ts';
import { isIndexType, isSchema1Type, OCI_ARTIFACT_MANIFEST, isManifestType } from './media-types.ts';

/** What a manifest says. The bytes themselves are what is kept and served: a manifest is never written anew. */
export interface Manifest {
  readonly kind: 'manifest';
  /** The one type under which these bytes are served. */
  readonly mediaType: string;
  /** Manifests that an index lists. */
  readonly children: readonly Descriptor[];
  /** Config first, then layers (or an artifact's blobs). */
  readonly blobs: readonly Descriptor[];
  readonly subject: Descriptor | undefined;
  /** Its own, or its config's type (OCI distribution-spec, "Listing Referrers"). */
  readonly artifactType: string | undefined;
  readonly annotations: ReadonlyMap<string, string>;
}

/** The document is refused. `reason` is a clause without subject: "it is not JSON". */
export interface ManifestFault {
  readonly kind: 'fault';
  readonly reason: string;
}

/** Of all kinds together (reliability.md, S22). */
export const DESCRIPTORS_MAX = 10_000;

/**
 * Reads a manifest as it came with its `Content-Type`. A document that clients could take for two things is refused
 * (reliability.md, S12); a type that we do not know, and Docker's schema 1, pass with nothing said of their content.
 * Never throws.
 */
export function readManifest(bytes: Uint8Array, contentType: string | undefined): Manifest | ManifestFault {
  const json = readJsonObject(bytes);
  if (json.kind === 'fault') return json;
  const type = manifestTypeOf(json.value, contentType);
  if (type.kind === 'fault') return type;
  const { mediaType } = type;
  if (!isManifestType(mediaType) || isSchema1Type(mediaType)) return opaque(mediaType);
  return describe(json.value, mediaType);
}

function opaque(mediaType: string): Manifest {
  return { kind: 'manifest', mediaType, children: [], blobs: [], subject: undefined, artifactType: undefined, annotations: new Map() };
}

function describe(document: JsonObject, mediaType: string): Manifest | ManifestFault {
  const isIndex = isIndexType(mediaType);
  const config = isIndex || own(document, 'config') === undefined ? [] : [own(document, 'config')];
  const subject = own(document, 'subject') === undefined ? [] : [own(document, 'subject')];
  const content = isIndex ? [] : listOf(document, mediaType === OCI_ARTIFACT_MANIFEST ? 'blobs' : 'layers');
  const children = isIndex ? listOf(document, 'manifests') : [];
  if (children === undefined || content === undefined) return { kind: 'fault', reason: 'its content is not a list' };
  const count = config.length + subject.length + content.length + children.length;
  if (count > DESCRIPTORS_MAX) return { kind: 'fault', reason: `it has more than ${DESCRIPTORS_MAX} descriptors` };
  const read = { children: readAll(children), config: readAll(config), content: readAll(content), subject: readAll(subject) };
  for (const one of Object.values(read)) if (one.kind === 'fault') return one;
  const known = { children: found(read.children), config: found(read.config), content: found(read.content), subject: found(read.subject) };
  return {
    kind: 'manifest',
    mediaType,
    children: known.children,
    blobs: [...known.config, ...known.content],
    subject: known.subject[0],
    artifactType: textOf(document, 'artifactType') ?? known.config[0]?.mediaType,
    annotations: annotationsOf(document),
  };
}
