import { readDescriptor, type Descriptor } from './descriptor.ts';
import { isObject, own, readJsonObject, type JsonObject } from './json.ts';
import { manifestTypeOf } from './manifest-type.ts';
import { isIndexType, isManifestType, isSchema1Type, OCI_ARTIFACT_MANIFEST } from './media-types.ts';

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
  return {
    kind: 'manifest',
    mediaType,
    children: [],
    blobs: [],
    subject: undefined,
    artifactType: undefined,
    annotations: new Map(),
  };
}

function describe(document: JsonObject, mediaType: string): Manifest | ManifestFault {
  const isIndex = isIndexType(mediaType);
  const listed = isIndex ? own(document, 'manifests') : own(document, mediaType === OCI_ARTIFACT_MANIFEST ? 'blobs' : 'layers');
  const values = {
    config: single(isIndex ? undefined : own(document, 'config')),
    listed: listed ?? [],
    subject: single(own(document, 'subject')),
  };
  if (!Array.isArray(values.listed)) return { kind: 'fault', reason: 'its content is not a list' };
  if (values.config.length + values.listed.length + values.subject.length > DESCRIPTORS_MAX) {
    return { kind: 'fault', reason: `it has more than ${DESCRIPTORS_MAX} descriptors` };
  }
  const config = readAll(values.config);
  if (config.kind === 'fault') return config;
  const content = readAll(values.listed);
  if (content.kind === 'fault') return content;
  const subject = readAll(values.subject);
  if (subject.kind === 'fault') return subject;
  return {
    kind: 'manifest',
    mediaType,
    children: isIndex ? content.descriptors : [],
    blobs: isIndex ? [] : [...config.descriptors, ...content.descriptors],
    subject: subject.descriptors[0],
    artifactType: artifactTypeOf(document) ?? config.descriptors[0]?.mediaType,
    annotations: annotationsOf(document),
  };
}

function single(value: unknown): readonly unknown[] {
  return value === undefined ? [] : [value];
}

/** Those of algorithms that nobody registered are passed over: the manifest is served, they cannot be. */
function readAll(
  values: readonly unknown[],
): { readonly kind: 'list'; readonly descriptors: readonly Descriptor[] } | ManifestFault {
  const descriptors: Descriptor[] = [];
  for (const value of values) {
    const answer = readDescriptor(value);
    if (answer.kind === 'fault') return answer;
    if (answer.kind === 'descriptor') descriptors.push(answer.descriptor);
  }
  return { kind: 'list', descriptors };
}

function artifactTypeOf(document: JsonObject): string | undefined {
  const value = own(document, 'artifactType');
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function annotationsOf(document: JsonObject): ReadonlyMap<string, string> {
  const value = own(document, 'annotations');
  if (!isObject(value)) return new Map();
  return new Map(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}
