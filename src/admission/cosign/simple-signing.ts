import { createHash } from 'node:crypto';
import { isObject, own, type JsonObject } from '../../oci/json.ts';
import { legacyBundle } from './legacy-bundle.ts';
import { malformed, type ReadClaim } from './claim.ts';
import { fromBase64, readSignedObject } from './text.ts';

export const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';

/** Where the signature stands: beside the layer that holds the payload (cosign, "Signature Specification"). */
export const SIGNATURE_ANNOTATION = 'dev.cosignproject.cosign/signature';

const TYPE = 'cosign container image signature';
const CRITICAL = ['identity', 'image', 'type'];

/** A layer of cosign's older format: the payload that is signed, and the signature in the layer's annotations. Never throws. */
export function readSimpleSigning(payload: Uint8Array, annotations: ReadonlyMap<string, string>): ReadClaim {
  const signature = fromBase64(annotations.get(SIGNATURE_ANNOTATION));
  if (signature === undefined) return malformed('no signature stands beside it');
  const digest = digestIn(payload);
  if (digest === undefined) return malformed('it is no payload of cosign');
  const messageDigest = { algorithm: 'SHA2_256', digest: createHash('sha256').update(payload).digest('base64') };
  const messageSignature = { messageDigest, signature: signature.toString('base64') };
  const bundle = legacyBundle({ messageSignature }, annotations);
  return { kind: 'claim', claim: { signs: [digest], message: payload, signature, bundle } };
}

/**
 * The digest that a payload of simple signing (containers/image, "signature format") is about. What stands under `critical` has
 * to be understood: a key of it that nobody knows makes the whole be no signature.
 */
function digestIn(payload: Uint8Array): string | undefined {
  const critical = own(readSignedObject(payload) ?? {}, 'critical');
  if (!isObject(critical) || !Object.keys(critical).every((key) => CRITICAL.includes(key))) return undefined;
  const image = own(critical, 'image');
  const identity = own(critical, 'identity');
  if (own(critical, 'type') !== TYPE || !isObject(image) || !isObject(identity)) return undefined;
  if (!hasOnly(image, 'docker-manifest-digest') || !hasOnly(identity, 'docker-reference')) return undefined;
  const digest = own(image, 'docker-manifest-digest');
  return typeof digest === 'string' ? digest : undefined;
}

function hasOnly(object: JsonObject, key: string): boolean {
  return Object.keys(object).every((each) => each === key);
}
