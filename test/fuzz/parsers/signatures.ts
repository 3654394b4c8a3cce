import { readAttestation } from '../../../src/admission/cosign/attestation.ts';
import { readBundle } from '../../../src/admission/cosign/bundle.ts';
import type { ReadClaim } from '../../../src/admission/cosign/claim.ts';
import { createKeyless } from '../../../src/admission/cosign/keyless.ts';
import { signatureLayers } from '../../../src/admission/cosign/layers.ts';
import { readSimpleSigning } from '../../../src/admission/cosign/simple-signing.ts';
import { readSignedObject } from '../../../src/admission/cosign/text.ts';
import { isObject } from '../../../src/oci/json.ts';
import { createFakeSigstore, ISSUER, SUBJECT } from '../../fakes/fake-sigstore.ts';
import { keylessBundle, keylessLayer, payloadOf, statementOf } from '../../fakes/signatures.ts';
import { bytesOf, demand, utf8Of, type Parser } from '../parser.ts';

const MIB = 1024 * 1024;
const DIGEST = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const sigstore = createFakeSigstore();
const keyless = createKeyless(sigstore.trustedRoot);
const who = sigstore.certify();
const statement = statementOf(DIGEST);
const layer = keylessLayer(sigstore, who, payloadOf(DIGEST));
const bundle = keylessBundle(sigstore, who, statement).toString('latin1');

const JSON_WORDS: readonly string[] = ['[', ']', '{', '}', ',', ':', '"', '\\u0064', 'null', '7', '1e400', `"${DIGEST}"`];
const quoted = (names: string): string[] => names.split(' ').map((name) => `"${name}":`);

function shapeOf(read: ReadClaim): string {
  if (read.kind === 'malformed') return read.reason;
  const { signs, message, signature, bundle: certified } = read.claim;
  demand(signature.byteLength > 0, 'nobody signs with nothing');
  demand(signs.length <= 10_000, 'no more digests than were written');
  return `${Math.min(signs.length, 2)} ${message === 'manifest'} ${certified !== undefined}`;
}

const READERS = new Map([
  ['payload', readSimpleSigning],
  ['attestation', readAttestation],
]);

/** What it is called to be, its annotations as JSON, and its bytes, each on a line. */
const signatureLayer: Parser = {
  name: 'signature-layer',
  covers: ['readSimpleSigning', 'readAttestation', 'readBundle', 'readEnvelope', 'readSignedObject', 'legacyBundle'],
  seeds: [
    `payload\n${JSON.stringify(layer.annotations)}\n${payloadOf(DIGEST).toString('latin1')}`,
    `bundle\n{}\n${bundle}`,
    `attestation\n${JSON.stringify(layer.annotations)}\n${JSON.stringify((JSON.parse(bundle) as { dsseEnvelope: unknown }).dsseEnvelope)}`,
  ],
  words: [
    ...JSON_WORDS,
    ...quoted(
      'critical image docker-manifest-digest type identity docker-reference optional payload payloadType signatures sig',
    ),
    ...quoted(
      'dsseEnvelope messageSignature messageDigest algorithm digest signature verificationMaterial certificate rawBytes',
    ),
    ...quoted(
      'dev.cosignproject.cosign/signature dev.sigstore.cosign/certificate dev.sigstore.cosign/bundle Payload body logID',
    ),
    ...['payload\n', 'bundle\n', 'attestation\n', 'AAAA', 'AA==', '-----BEGIN CERTIFICATE-----', '"SHA2_256"'],
  ],
  longest: MIB,
  read(input) {
    const [kind = '', written = '', ...rest] = input.split('\n');
    const json = readSignedObject(Buffer.from(written)) ?? {};
    const annotations = new Map(
      Object.entries(json).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
    const reader = READERS.get(kind) ?? readBundle;
    return shapeOf(reader(bytesOf(rest.join('\n')), annotations));
  },
};

/** The first line is the Content-Type. */
const signatureManifest: Parser = {
  name: 'signature-manifest',
  covers: ['signatureLayers'],
  words: [
    ...JSON_WORDS,
    ...quoted('schemaVersion mediaType artifactType layers manifests config annotations digest size'),
    ...['"application/vnd.dev.cosign.simplesigning.v1+json"', '"application/vnd.dev.sigstore.bundle.v0.3+json"'],
    '"application/vnd.oci.image.index.v1+json"',
  ],
  longest: 4 * MIB,
  read(input) {
    const newline = input.indexOf('\n');
    const mediaType = input.slice(0, Math.max(newline, 0));
    const layers = signatureLayers({ mediaType, bytes: bytesOf(input.slice(newline + 1)) });
    for (const { descriptor } of layers)
      demand(Number.isSafeInteger(descriptor.size) && descriptor.size >= 0, 'sizes are sizes');
    for (const { read } of layers.slice(0, 3)) shapeOf(read(Buffer.from('{}')));
    return String(Math.min(layers.length, 3));
  },
};

/** A bundle, by the library that looks at certificates and logs. */
const sigstoreBundle: Parser = {
  name: 'sigstore-bundle',
  covers: ['isWithinLimits'],
  seeds: [bundle],
  words: [
    ...JSON_WORDS,
    ...quoted(
      'verificationMaterial certificate rawBytes x509CertificateChain certificates publicKey hint tlogEntries logIndex',
    ),
    ...quoted('logId keyId kindVersion kind version integratedTime inclusionPromise inclusionProof hashes checkpoint envelope'),
    ...quoted('canonicalizedBody timestampVerificationData rfc3161Timestamps signedTimestamp dsseEnvelope mediaType treeSize'),
    ...['\u2014 (a|a)+! ', '"0"', '"-1"', 'AAAA', 'MIIB', '"application/vnd.dev.sigstore.bundle+json;version=0.1"'],
  ],
  longest: 256 * 1024,
  // A few signatures are looked at.
  msMax: 1500,
  async read(input) {
    const read: unknown = readSignedObject(Buffer.from(utf8Of(input)));
    if (!isObject(read)) return 'no JSON';
    const signer = await keyless.signerOf(read, statement);
    if (signer === undefined) return 'nobody';
    demand(signer.issuer === ISSUER && signer.subject === SUBJECT, 'nobody else has signed');
    return 'somebody';
  },
};

export const signatures: readonly Parser[] = [signatureLayer, signatureManifest, sigstoreBundle];
