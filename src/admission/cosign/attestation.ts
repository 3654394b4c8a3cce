import { malformed, type ReadClaim } from './claim.ts';
import { readEnvelope } from './envelope.ts';
import { legacyBundle } from './legacy-bundle.ts';
import { readSignedObject } from './text.ts';

export const DSSE_ENVELOPE = 'application/vnd.dsse.envelope.v1+json';

/** A layer of cosign's older format that holds an attestation: the envelope itself, its certificate in the layer's annotations. */
export function readAttestation(bytes: Uint8Array, annotations: ReadonlyMap<string, string>): ReadClaim {
  const dsseEnvelope = readSignedObject(bytes);
  const read = dsseEnvelope === undefined ? undefined : readEnvelope(dsseEnvelope);
  if (dsseEnvelope === undefined || read === undefined) return malformed('it is an envelope that cannot be read');
  return { kind: 'claim', claim: { ...read, bundle: legacyBundle({ dsseEnvelope }, annotations) } };
}
