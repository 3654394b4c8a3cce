import { isObject, own, type JsonObject } from '../../oci/json.ts';
import { malformed, type ReadClaim } from './claim.ts';
import { readEnvelope } from './envelope.ts';
import { fromBase64, readSignedObject } from './text.ts';

/** Of any version; what came behind a semicolon is gone from media types by now. */
const BUNDLE_TYPE = /^application\/vnd\.dev\.sigstore\.bundle(?:\.v\d+\.\d+)?\+json$/;

export function isBundleType(type: string): boolean {
  return BUNDLE_TYPE.test(type);
}

/** `application/vnd.dev.sigstore.bundle…+json` (sigstore/protobuf-specs, "sigstore_bundle.proto"). Never throws. */
export function readBundle(bytes: Uint8Array): ReadClaim {
  const bundle = readSignedObject(bytes);
  const material = bundle === undefined ? undefined : own(bundle, 'verificationMaterial');
  if (bundle === undefined || !isObject(material)) return malformed('it is no bundle');
  const envelope = own(bundle, 'dsseEnvelope');
  const message = own(bundle, 'messageSignature');
  if ((envelope === undefined) === (message === undefined)) return malformed('it is no bundle with one content');
  const certified = hasCertificate(material) ? bundle : undefined;
  if (isObject(envelope)) {
    const read = readEnvelope(envelope);
    return read === undefined
      ? malformed('it is a bundle whose envelope cannot be read')
      : { kind: 'claim', claim: { ...read, bundle: certified } };
  }
  return isObject(message) ? readMessage(message, certified) : malformed('it is no bundle');
}

function readMessage(message: JsonObject, bundle: JsonObject | undefined): ReadClaim {
  const signature = fromBase64(own(message, 'signature'));
  const claimed = own(message, 'messageDigest');
  const digest = isObject(claimed) && own(claimed, 'algorithm') === 'SHA2_256' ? fromBase64(own(claimed, 'digest')) : undefined;
  if (signature === undefined || digest === undefined) return malformed('it is a bundle whose message cannot be read');
  return {
    kind: 'claim',
    claim: { signs: [`sha256:${digest.toString('hex')}`], message: 'manifest', signature, bundle },
  };
}

function hasCertificate(material: JsonObject): boolean {
  return own(material, 'certificate') !== undefined || own(material, 'x509CertificateChain') !== undefined;
}
