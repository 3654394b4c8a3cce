import { parseDigest, type Digest } from '../../oci/digest.ts';
import { isObject, own, type JsonObject } from '../../oci/json.ts';
import { readReferrers } from '../../oci/referrers.ts';
import { parseTag } from '../../oci/reference.ts';
import { isBundleType } from './bundle.ts';
import { malformed, type ReadClaim } from './claim.ts';
import { SIGNATURE_PREDICATE } from './envelope.ts';
import { isAllSignatures, signatureLayers, type Layer } from './layers.ts';
import type { Place, SignatureStore, StoredManifest } from './store.ts';

/** Of one manifest: what comes behind is looked at by nobody, so that nobody's repository can keep us busy. */
const SIGNATURES_MAX = 50;

/** A bundle has a certificate, proofs and a statement in it; a payload is some hundred bytes. */
const SIGNATURE_BYTES_MAX = 262_144;

/** What attestations hold, such as lists of all that is in an image. */
const ATTESTATION_BYTES_MAX = 4_194_304;

/** By artifact type (cosign's experiment with referrers, and bundles). */
const COSIGN_SIGNATURE = 'application/vnd.dev.cosign.artifact.sig.v1+json';

/** What bundles say of themselves in their descriptor, so that attestations need not be fetched. */
const PREDICATE_ANNOTATION = 'dev.sigstore.bundle.predicateType';

/** Something that was found, or that could not be found out. */
export type Found = ReadClaim | Unknown;

interface Unknown {
  readonly kind: 'unknown';
  readonly error: unknown;
}

/**
 * What there is as signatures of `digest` in its repository, one after the other, read and not yet believed: first by cosign's
 * tag, then by referrers. Never rejects, and goes on behind what could not be found out.
 */
export async function* signaturesOf(
  store: SignatureStore,
  place: Place,
  digest: Digest,
  signal: AbortSignal,
): AsyncGenerator<Found> {
  let left = SIGNATURES_MAX;
  for await (const found of manifestsOf(store, place, digest, signal)) {
    if (found.kind === 'unknown') yield found;
    for (const layer of found.kind === 'found' ? signatureLayers(found.value) : []) {
      if (left === 0) return;
      left -= 1;
      yield readLayer(store, place, layer, SIGNATURE_BYTES_MAX, signal);
    }
  }
}

/** What a manifest that holds signatures or attestations itself has in its layers. As {@link signaturesOf}. */
export async function* heldIn(
  store: SignatureStore,
  place: Place,
  manifest: StoredManifest,
  signal: AbortSignal,
): AsyncGenerator<Found> {
  const layers = signatureLayers(manifest);
  // Where one is not looked at, nobody knows what it is.
  if (!isAllSignatures(manifest) || layers.length > SIGNATURES_MAX) return;
  for (const layer of layers) yield readLayer(store, place, layer, ATTESTATION_BYTES_MAX, signal);
}

/** Those that there are. */
async function* manifestsOf(
  store: SignatureStore,
  place: Place,
  digest: Digest,
  signal: AbortSignal,
): AsyncGenerator<Attempt<StoredManifest>> {
  const get = (reference: string): Promise<Attempt<StoredManifest>> => attempt(() => store.manifest(place, reference, signal));
  // cosign, "Signature Specification": a sha512 is too long for a tag.
  const tag = parseTag(`${digest.replace(':', '-')}.sig`);
  if (tag !== undefined) yield get(tag);
  const list = await attempt(() => store.referrers(place, digest, signal));
  if (list.kind === 'unknown') yield list;
  if (list.kind === 'found') for (const referrer of signaturesIn(list.value)) yield get(referrer);
}

function signaturesIn(list: Uint8Array): readonly Digest[] {
  const entries = (readReferrers(list) ?? []).filter(mayBeSignature);
  const digests = entries.flatMap((entry) => parseDigest(String(own(entry, 'digest'))) ?? []);
  return [...new Set(digests)].slice(0, SIGNATURES_MAX);
}

function mayBeSignature(entry: JsonObject): boolean {
  const type = own(entry, 'artifactType');
  if (type === COSIGN_SIGNATURE) return true;
  const annotations = own(entry, 'annotations');
  const predicate = isObject(annotations) ? own(annotations, PREDICATE_ANNOTATION) : undefined;
  return typeof type === 'string' && isBundleType(type) && (predicate === undefined || predicate === SIGNATURE_PREDICATE);
}

async function readLayer(
  store: SignatureStore,
  place: Place,
  { descriptor, read }: Layer,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Found> {
  if (descriptor.size > bytesMax) return malformed('it is longer than signatures are');
  const blob = await attempt(() => store.blob(place, descriptor.digest, bytesMax, signal));
  if (blob.kind === 'found') return read(blob.value);
  return blob.kind === 'unknown' ? blob : malformed('it is not there, or longer than signatures are');
}

type Attempt<Value> = { readonly kind: 'found'; readonly value: Value } | { readonly kind: 'absent' } | Unknown;

async function attempt<Value>(ask: () => Promise<Value | undefined>): Promise<Attempt<Value>> {
  try {
    const value = await ask();
    return value === undefined ? { kind: 'absent' } : { kind: 'found', value };
  } catch (error) {
    return { kind: 'unknown', error };
  }
}
