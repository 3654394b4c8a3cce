import { isObject, own, type JsonObject } from '../../oci/json.ts';
import { fromBase64, readSignedObject } from './text.ts';

/** A DSSE envelope (secure-systems-lab/dsse, "envelope.md") with one signature. */
export interface Envelope {
  /** What the signature is over. */
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  /** Digests that it is a cosign signature of; none: it is an attestation, or something else that is no signature. */
  readonly signs: readonly string[];
}

const IN_TOTO = 'application/vnd.in-toto+json';
const STATEMENTS = ['https://in-toto.io/Statement/v1', 'https://in-toto.io/Statement/v0.1'];

/** What makes a statement a signature, and nothing said of the image beyond that it is signed. */
export const SIGNATURE_PREDICATE = 'https://sigstore.dev/cosign/sign/v1';

/** `undefined`: it is none, or has two signatures, of which nobody would know which counts. Never throws. */
export function readEnvelope(envelope: JsonObject): Envelope | undefined {
  const type = own(envelope, 'payloadType');
  const payload = fromBase64(own(envelope, 'payload'));
  const signatures = own(envelope, 'signatures');
  if (type !== IN_TOTO || payload === undefined || !Array.isArray(signatures) || signatures.length !== 1) return undefined;
  const [only] = signatures as readonly unknown[];
  const signature = isObject(only) ? fromBase64(own(only, 'sig')) : undefined;
  if (signature === undefined) return undefined;
  const statement = readSignedObject(payload);
  const signs = statement === undefined ? [] : signedBy(statement);
  return { message: preAuthEncoding(type, payload), signature, signs };
}

/** DSSE, "protocol.md", PAE. */
function preAuthEncoding(type: string, payload: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.byteLength} `), payload]);
}

/** in-toto, "Statement": the digests of its subjects, where its predicate is a signature. */
function signedBy(statement: JsonObject): string[] {
  const subjects = own(statement, 'subject');
  if (!STATEMENTS.includes(String(own(statement, '_type'))) || own(statement, 'predicateType') !== SIGNATURE_PREDICATE)
    return [];
  return Array.isArray(subjects) ? subjects.flatMap(digestsOf) : [];
}

function digestsOf(subject: unknown): string[] {
  const digest = isObject(subject) ? own(subject, 'digest') : undefined;
  if (!isObject(digest)) return [];
  return Object.entries(digest).map(([algorithm, encoded]) => `${algorithm}:${String(encoded)}`);
}
