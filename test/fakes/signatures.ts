import { createHash, sign, type KeyObject } from 'node:crypto';
import { referrersTag } from '../../src/oci/reference.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { Certified, FakeSigstore } from './fake-sigstore.ts';
import { blobOf, descriptorOf, manifestBlob, MEDIA_TYPE, type Blob, type ManifestBlob } from './images.ts';

export const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';
export const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
export const SIGN_PREDICATE = 'https://sigstore.dev/cosign/sign/v1';

/** A manifest that holds signatures, and its blobs. */
export interface SignatureManifest {
  readonly manifest: ManifestBlob;
  readonly blobs: readonly Blob[];
}

/** A layer with its annotations. */
export interface SignatureLayer {
  readonly blob: Blob;
  readonly mediaType: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export type SignBytes = (bytes: Uint8Array) => Buffer;

export function signWith(key: KeyObject): SignBytes {
  return (bytes) => sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', bytes, key);
}

/** What cosign signs in its older format. */
export function payloadOf(digest: string, changed: Readonly<Record<string, unknown>> = {}): Buffer {
  const critical = {
    identity: { 'docker-reference': 'registry.test/team/app' },
    image: { 'docker-manifest-digest': digest },
    type: 'cosign container image signature',
    ...changed,
  };
  return Buffer.from(JSON.stringify({ critical, optional: null }));
}

export function simpleLayer(payload: Uint8Array, signature: Uint8Array, more: Record<string, string> = {}): SignatureLayer {
  const annotations = { 'dev.cosignproject.cosign/signature': Buffer.from(signature).toString('base64'), ...more };
  return { blob: blobOf(payload), mediaType: SIMPLE_SIGNING, annotations };
}

/** A layer of cosign's older format by a certificate. */
export function keylessLayer(sigstore: FakeSigstore, who: Certified, payload: Buffer, at?: Date): SignatureLayer {
  const signature = signWith(who.key)(payload);
  const entry = sigstore.log(hashedRekord(payload, signature, who), 'promise', at);
  const bundle = {
    SignedEntryTimestamp: entry.inclusionPromise.signedEntryTimestamp,
    Payload: {
      body: entry.canonicalizedBody,
      integratedTime: Number(entry.integratedTime),
      logIndex: Number(entry.logIndex),
      logID: Buffer.from(entry.logId.keyId, 'base64').toString('hex'),
    },
  };
  return simpleLayer(payload, signature, {
    'dev.sigstore.cosign/certificate': who.pem,
    'dev.sigstore.cosign/bundle': JSON.stringify(bundle),
  });
}

/** What Rekor keeps of a signature (sigstore/rekor, "hashedrekord"). */
export function hashedRekord(payload: Uint8Array, signature: Buffer, { pem }: Certified): object {
  const value = sha256(payload);
  const content = signature.toString('base64');
  const publicKey = { content: Buffer.from(pem).toString('base64') };
  return {
    apiVersion: '0.0.1',
    kind: 'hashedrekord',
    spec: { data: { hash: { algorithm: 'sha256', value } }, signature: { content, publicKey } },
  };
}

export interface StatementOptions {
  readonly predicateType?: string;
  readonly predicate?: unknown;
  readonly type?: string;
}

/** An in-toto statement, as cosign signs it by now. */
export function statementOf(digest: string, options: StatementOptions = {}): Buffer {
  const [algorithm = '', encoded = ''] = digest.split(':');
  const { type = 'https://in-toto.io/Statement/v1', predicateType = SIGN_PREDICATE, predicate = {} } = options;
  return Buffer.from(
    JSON.stringify({ _type: type, subject: [{ digest: { [algorithm]: encoded } }], predicateType, predicate }),
  );
}

export function envelopeOf(statement: Uint8Array, signBytes: SignBytes): Record<string, unknown> {
  const payloadType = 'application/vnd.in-toto+json';
  const head = Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${statement.length} `);
  const sig = signBytes(Buffer.concat([head, statement])).toString('base64');
  return { payload: Buffer.from(statement).toString('base64'), payloadType, signatures: [{ sig }] };
}

const BY_KEY = { publicKey: { hint: 'any' } };

export function bundleOf(content: object, material: object = BY_KEY): Buffer {
  return Buffer.from(JSON.stringify({ mediaType: BUNDLE, verificationMaterial: material, ...content }));
}

/** A bundle with a statement by a certificate. */
export function keylessBundle(sigstore: FakeSigstore, who: Certified, statement: Buffer, at?: Date): Buffer {
  const dsseEnvelope = envelopeOf(statement, signWith(who.key));
  const [{ sig }] = dsseEnvelope['signatures'] as [{ sig: string }];
  const verifier = Buffer.from(who.pem).toString('base64');
  const envelopeHash = { algorithm: 'sha256', value: sha256(JSON.stringify(dsseEnvelope)) };
  const payloadHash = { algorithm: 'sha256', value: sha256(statement) };
  const spec = { envelopeHash, payloadHash, signatures: [{ signature: sig, verifier }] };
  const entry = sigstore.log({ apiVersion: '0.0.1', kind: 'dsse', spec }, 'proof', at);
  return bundleOf({ dsseEnvelope }, { certificate: { rawBytes: who.certificate.toString('base64') }, tlogEntries: [entry] });
}

export function bundleLayer(bundle: Uint8Array): SignatureLayer {
  return { blob: blobOf(bundle), mediaType: BUNDLE };
}

/** The manifest behind cosign's tag, or of a referrer where it has a subject. */
export function signatureManifest(
  layers: readonly SignatureLayer[],
  subject?: ManifestBlob,
  artifactType?: string,
): SignatureManifest {
  const config = blobOf(Buffer.from('{}'));
  const manifest = manifestBlob(MEDIA_TYPE.ociManifest, {
    ...(artifactType === undefined ? {} : { artifactType }),
    config: descriptorOf(config, MEDIA_TYPE.ociConfig),
    layers: layers.map(({ blob, mediaType, annotations }) => ({
      ...descriptorOf(blob, mediaType),
      ...(annotations === undefined ? {} : { annotations }),
    })),
    ...(subject === undefined ? {} : { subject: descriptorOf(subject, subject.mediaType) }),
  });
  return { manifest, blobs: [config, ...layers.map(({ blob }) => blob)] };
}

export function signatureTag(digest: Digest): string {
  return `${referrersTag(digest)}.sig`;
}

function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
