import { isObject, listAt, objectAt, own, type JsonObject } from '../../oci/json.ts';

/** Entries of logs, and timestamps: more than anybody needs, each of which costs a signature to look at. */
const PROOFS_MAX = 8;
const CERTIFICATE_LENGTH_MAX = 32_768;
const TIMESTAMP_LENGTH_MAX = 32_768;
const CHECKPOINT_LENGTH_MAX = 8192;
/** Of the path through a log with 2^64 entries. */
const HASHES_MAX = 64;
/** The library takes a signer's name in a checkpoint for a regular expression, and these have nothing to repeat in them. */
const SIGNER_NAME = /^[\w.:/-]{1,256}$/;
const SIGNATURE_LINE = /\u2014 (\S+) /g;
const COUNT = /^\d{1,20}$/;

/**
 * Whether the proofs of a bundle are so that looking at them takes no more than a moment, whoever wrote them: the library
 * that does has no limits of its own.
 */
export function isWithinLimits(bundle: JsonObject): boolean {
  const material = objectAt(bundle, 'verificationMaterial');
  const entries = listAt(material, 'tlogEntries');
  const timestamps = listAt(objectAt(material, 'timestampVerificationData'), 'rfc3161Timestamps');
  return (
    entries.length <= PROOFS_MAX &&
    timestamps.length <= PROOFS_MAX &&
    certificatesOf(material).every((each) => isText(own(each, 'rawBytes'), CERTIFICATE_LENGTH_MAX)) &&
    timestamps.every((each) => isText(own(each, 'signedTimestamp'), TIMESTAMP_LENGTH_MAX)) &&
    entries.every(isEntry)
  );
}

function certificatesOf(material: JsonObject): readonly JsonObject[] {
  const single = own(material, 'certificate');
  const chain = listAt(objectAt(material, 'x509CertificateChain'), 'certificates');
  return isObject(single) ? [single, ...chain] : chain;
}

function isEntry(entry: JsonObject): boolean {
  const proof = own(entry, 'inclusionProof');
  const counts = [own(entry, 'logIndex'), own(entry, 'integratedTime')];
  return (
    counts.every((each) => each === undefined || isCount(each)) && (proof === undefined || (isObject(proof) && isProof(proof)))
  );
}

function isProof(proof: JsonObject): boolean {
  const hashes = own(proof, 'hashes') ?? [];
  const note = own(objectAt(proof, 'checkpoint'), 'envelope') ?? '';
  return (
    isCount(own(proof, 'logIndex') ?? '0') &&
    Array.isArray(hashes) &&
    hashes.length <= HASHES_MAX &&
    isText(note, CHECKPOINT_LENGTH_MAX) &&
    [...note.matchAll(SIGNATURE_LINE)].every(([, name]) => SIGNER_NAME.test(name ?? ''))
  );
}

function isCount(value: unknown): boolean {
  return (typeof value === 'string' && COUNT.test(value)) || Number.isSafeInteger(value);
}

function isText(value: unknown, lengthMax: number): value is string {
  return typeof value === 'string' && value.length <= lengthMax;
}
