import { readDescriptor, type Descriptor } from '../../oci/descriptor.ts';
import { isObject, own, readJsonObject } from '../../oci/json.ts';
import { readManifest } from '../../oci/manifest.ts';
import { DSSE_ENVELOPE, readAttestation } from './attestation.ts';
import { isBundleType, readBundle } from './bundle.ts';
import type { ReadClaim } from './claim.ts';
import { readSimpleSigning, SIMPLE_SIGNING } from './simple-signing.ts';
import type { StoredManifest } from './store.ts';

/** A layer that may hold a signature. */
export interface Layer {
  readonly descriptor: Descriptor;
  /** What stands in it, once its bytes are at hand. */
  read(bytes: Uint8Array): ReadClaim;
}

/** Those that may hold signatures, in their order; none where it is an index (which has no layers, S12), or nothing that can be read. Never throws. */
export function signatureLayers({ bytes, mediaType }: StoredManifest): readonly Layer[] {
  const manifest = readManifest(bytes, mediaType);
  const json = readJsonObject(bytes);
  if (manifest.kind === 'fault' || json.kind === 'fault') return [];
  const layers = own(json.value, 'layers');
  return Array.isArray(layers) ? layers.flatMap(layerOf) : [];
}

/**
 * Whether every layer of it says that it is a signature. What its types say binds nobody: some programs unpack layers of any type, so
 * that each has to be read as one, too.
 */
export function isAllSignatures({ bytes, mediaType }: StoredManifest): boolean {
  const json = readJsonObject(bytes);
  const layers = json.kind === 'object' ? own(json.value, 'layers') : undefined;
  return Array.isArray(layers) && layers.length > 0 && signatureLayers({ bytes, mediaType }).length === layers.length;
}

function layerOf(value: unknown): Layer[] {
  const answer = readDescriptor(value);
  if (answer.kind !== 'descriptor' || !isObject(value)) return [];
  const { descriptor } = answer;
  const annotations = annotationsOf(own(value, 'annotations'));
  const reader = readerOf(descriptor.mediaType);
  return reader === undefined ? [] : [{ descriptor, read: (bytes) => reader(bytes, annotations) }];
}

type Read = (bytes: Uint8Array, annotations: ReadonlyMap<string, string>) => ReadClaim;

function readerOf(mediaType: string): Read | undefined {
  if (mediaType === SIMPLE_SIGNING) return readSimpleSigning;
  if (mediaType === DSSE_ENVELOPE) return readAttestation;
  return isBundleType(mediaType) ? readBundle : undefined;
}

function annotationsOf(value: unknown): ReadonlyMap<string, string> {
  if (!isObject(value)) return new Map();
  return new Map(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}
