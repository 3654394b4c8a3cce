import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { basicConstraints, ECDSA_SHA256, identifier, integer, sequence, tagged, time, toName, toPem } from './der.ts';

/** A Sigstore of a test's own: an authority for certificates, a log of certificates, a log of signatures. */
export interface FakeSigstore {
  /** `trusted_root.json`. */
  readonly trustedRoot: string;
  /** The authority's certificate. */
  readonly root: Buffer;
  /** A certificate for a key that was made for it. */
  certify(options?: CertificateOptions): Certified;
  /** What the log of signatures says of an entry. `promise`: as it was told at once; `proof`: with the path to its root. */
  log(body: object, kind: 'promise' | 'proof', at?: Date): LogEntry;
}

export interface CertificateOptions {
  readonly issuer?: string;
  readonly subject?: string;
  /** Default: ten minutes from {@link SIGNED_AT}. */
  readonly from?: Date;
  readonly to?: Date;
  /** `false`: it was in no log of certificates. */
  readonly logged?: boolean;
  /** `false`: it is not for signing code. */
  readonly codeSigning?: boolean;
}

export interface Certified {
  readonly certificate: Buffer;
  readonly pem: string;
  readonly key: KeyObject;
}

/** As a bundle spells it. */
export interface LogEntry {
  readonly logIndex: string;
  readonly logId: { readonly keyId: string };
  readonly kindVersion: { readonly kind: string; readonly version: string };
  readonly integratedTime: string;
  readonly inclusionPromise: { readonly signedEntryTimestamp: string };
  readonly inclusionProof?: Record<string, unknown>;
  readonly canonicalizedBody: string;
}

export const SIGNED_AT = new Date('2026-03-04T05:06:07Z');
export const ISSUER = 'https://issuer.test';
export const SUBJECT = 'https://ci.test/acme/app/build@refs/heads/main';

const LOG_URL = 'https://log.test';
const VALID_FROM = new Date('2026-01-01T00:00:00Z');

export function createFakeSigstore(): FakeSigstore {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const root = rootCertificate(authority);
  const [certificates, signatures] = [newLog(), newLog()];
  return {
    root,
    trustedRoot: JSON.stringify({
      mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
      tlogs: [logJson(signatures)],
      certificateAuthorities: [
        {
          subject: { organization: 'test', commonName: 'fake' },
          uri: 'https://authority.test',
          certChain: { certificates: [{ rawBytes: root.toString('base64') }] },
          validFor: { start: VALID_FROM.toISOString() },
        },
      ],
      ctlogs: [logJson(certificates)],
      timestampAuthorities: [],
    }),
    certify: (options = {}) => certify(authority, certificates, options),
    log: (body, kind, at = SIGNED_AT) => entryOf(signatures, body, kind, at),
  };
}

interface Log {
  readonly key: KeyObject;
  readonly spki: Buffer;
  readonly id: Buffer;
}

interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function newLog(): Log {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return { key: privateKey, spki, id: sha256(spki) };
}

function logJson({ spki, id }: Log): object {
  return {
    baseUrl: LOG_URL,
    hashAlgorithm: 'SHA2_256',
    publicKey: {
      rawBytes: spki.toString('base64'),
      keyDetails: 'PKIX_ECDSA_P256_SHA_256',
      validFor: { start: VALID_FROM.toISOString() },
    },
    logId: { keyId: id.toString('base64') },
  };
}

const ROOT_NAME = toName(['fake root']);

function rootCertificate({ publicKey, privateKey }: Pair): Buffer {
  const usage = extension('551d0f', tagged(0x03, Buffer.of(1, 0x06)));
  const until = new Date('2046-01-01T00:00:00Z');
  const body = toBeSigned({ subject: ROOT_NAME, publicKey, from: VALID_FROM, to: until }, [basicConstraints(undefined), usage]);
  return sequence(body, ECDSA_SHA256, bits(sign('sha256', body, privateKey)));
}

/** As Fulcio's (sigstore/fulcio, "certificate-specification.md"). */
function certify(authority: Pair, log: Log, options: CertificateOptions): Certified {
  const { issuer = ISSUER, subject = SUBJECT, from = SIGNED_AT, to = new Date(from.getTime() + 600_000) } = options;
  const { logged = true, codeSigning = true } = options;
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const names = subject.includes('://') ? tagged(0x86, Buffer.from(subject)) : tagged(0x81, Buffer.from(subject));
  const extensions = [
    extension('551d0f', tagged(0x03, Buffer.of(7, 0x80))),
    extension('551d25', sequence(identifier(codeSigning ? '2b06010505070303' : '2b06010505070301'))),
    extension('551d11', sequence(names)),
    // As it was first written, and as it should have been.
    extension('2b0601040183bf300101', Buffer.from(issuer)),
    extension('2b0601040183bf300108', tagged(0x0c, Buffer.from(issuer))),
  ];
  const leaf = { subject: sequence(), publicKey: pair.publicKey, from, to };
  const stamped = logged ? [...extensions, stamp(log, authority.publicKey, toBeSigned(leaf, extensions), from)] : extensions;
  const body = toBeSigned(leaf, stamped);
  const certificate = sequence(body, ECDSA_SHA256, bits(sign('sha256', body, authority.privateKey)));
  return { certificate, pem: toPem(certificate), key: pair.privateKey };
}

interface Subject {
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  readonly from: Date;
  readonly to: Date;
}

function toBeSigned({ subject, publicKey, from, to }: Subject, extensions: readonly Buffer[]): Buffer {
  return sequence(
    tagged(0xa0, integer(2)),
    integer(4711),
    ECDSA_SHA256,
    ROOT_NAME,
    sequence(time(from), time(to)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions)),
  );
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(identifier(id), tagged(0x04, value));
}

function bits(value: Buffer): Buffer {
  return tagged(0x03, Buffer.of(0), value);
}

/** RFC 6962 3.2 and 3.3: the log's word that it will take the certificate in. */
function stamp(log: Log, issuer: KeyObject, body: Buffer, at: Date): Buffer {
  const when = Buffer.alloc(8);
  when.writeBigUInt64BE(BigInt(at.getTime()));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  const issuerHash = sha256(issuer.export({ type: 'spki', format: 'der' }));
  const none = Buffer.of(0, 0);
  const signed = Buffer.concat([Buffer.of(0, 0), when, Buffer.of(0, 1), issuerHash, length.subarray(1), body, none]);
  const signature = sign('sha256', signed, log.key);
  const sct = Buffer.concat([Buffer.of(0), log.id, when, none, Buffer.of(4, 3), sized(signature)]);
  return extension('2b06010401d679020402', tagged(0x04, sized(sized(sct))));
}

function sized(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}

/** sigstore/rekor: the promise is over the sorted JSON; the proof is of a log with this one entry. */
function entryOf(log: Log, body: object, kind: 'promise' | 'proof', at: Date): LogEntry {
  const bytes = Buffer.from(JSON.stringify(body));
  const said = body as { readonly kind: string; readonly apiVersion: string };
  const seconds = Math.floor(at.getTime() / 1000);
  const promised = { body: bytes.toString('base64'), integratedTime: seconds, logID: log.id.toString('hex'), logIndex: 0 };
  const entry = {
    logIndex: '0',
    logId: { keyId: log.id.toString('base64') },
    kindVersion: { kind: said.kind, version: said.apiVersion },
    integratedTime: String(seconds),
    inclusionPromise: {
      signedEntryTimestamp: sign('sha256', Buffer.from(JSON.stringify(promised)), log.key).toString('base64'),
    },
    canonicalizedBody: bytes.toString('base64'),
  };
  return kind === 'promise' ? entry : { ...entry, inclusionProof: proofOf(log, bytes) };
}

function proofOf(log: Log, body: Buffer): Record<string, unknown> {
  const root = sha256(Buffer.concat([Buffer.of(0), body])).toString('base64');
  const note = `log.test\n1\n${root}\n`;
  const signature = Buffer.concat([log.id.subarray(0, 4), sign('sha256', Buffer.from(note), log.key)]);
  const envelope = `${note}\n\u2014 log.test ${signature.toString('base64')}\n`;
  return { logIndex: '0', rootHash: root, treeSize: '1', hashes: [], checkpoint: { envelope } };
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
