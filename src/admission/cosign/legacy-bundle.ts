import { isObject, own, type JsonObject } from '../../oci/json.ts';
import { fromBase64, readSignedObject } from './text.ts';

const CERTIFICATE = 'dev.sigstore.cosign/certificate';
const LOG_ENTRY = 'dev.sigstore.cosign/bundle';
const TIMESTAMP = 'dev.sigstore.cosign/rfc3161timestamp';

/** What annotations could hold and nobody writes. */
const ANNOTATION_LENGTH_MAX = 65_536;

/**
 * What cosign's older format has in annotations (certificate, entry of the log, timestamp), as the Sigstore bundle that says the
 * same of `content`. `undefined`: without a certificate, or with one that no bundle could carry.
 */
export function legacyBundle(
  content: { readonly messageSignature: JsonObject } | { readonly dsseEnvelope: JsonObject },
  annotations: ReadonlyMap<string, string>,
): JsonObject | undefined {
  const certificate = certificateIn(annotations.get(CERTIFICATE));
  if (certificate === undefined) return undefined;
  const timestamp = timestampIn(annotations.get(TIMESTAMP));
  const entry = entryIn(annotations.get(LOG_ENTRY));
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
    verificationMaterial: {
      x509CertificateChain: { certificates: [{ rawBytes: certificate }] },
      tlogEntries: entry === undefined ? [] : [entry],
      timestampVerificationData: { rfc3161Timestamps: timestamp === undefined ? [] : [{ signedTimestamp: timestamp }] },
    },
    ...content,
  };
}

/** The base64 between the lines of the first certificate; the authorities are taken from the trusted root alone. */
function certificateIn(pem: string | undefined): string | undefined {
  if (pem === undefined || pem.length > ANNOTATION_LENGTH_MAX) return undefined;
  const [, rest = ''] = pem.split('-----BEGIN CERTIFICATE-----', 2);
  const text = rest.split('-----END CERTIFICATE-----', 1).join('').replaceAll(/\s/g, '');
  return fromBase64(text) === undefined ? undefined : text;
}

function timestampIn(text: string | undefined): string | undefined {
  const timestamp = own(objectIn(text), 'SignedRFC3161Timestamp');
  return fromBase64(timestamp) === undefined ? undefined : String(timestamp);
}

/** Rekor's promise that it will take the entry in (sigstore/rekor, "SignedEntryTimestamp"), as a bundle spells it. */
function entryIn(text: string | undefined): JsonObject | undefined {
  const written = objectIn(text);
  const payload = own(written, 'Payload');
  if (!isObject(payload)) return undefined;
  const body = fromBase64(own(payload, 'body'));
  const [promise, logId] = [own(written, 'SignedEntryTimestamp'), own(payload, 'logID')];
  const [index, time] = [own(payload, 'logIndex'), own(payload, 'integratedTime')];
  if (body === undefined || typeof logId !== 'string' || !/^(?:[0-9a-f]{2}){1,64}$/.test(logId)) return undefined;
  const said = readSignedObject(body);
  if (said === undefined || !isCount(index) || !isCount(time)) return undefined;
  return {
    logIndex: String(index),
    logId: { keyId: Buffer.from(logId, 'hex').toString('base64') },
    kindVersion: { kind: own(said, 'kind'), version: own(said, 'apiVersion') },
    integratedTime: String(time),
    inclusionPromise: { signedEntryTimestamp: promise },
    canonicalizedBody: body.toString('base64'),
  };
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function objectIn(text: string | undefined): JsonObject {
  if (text === undefined || text.length > ANNOTATION_LENGTH_MAX) return {};
  return readSignedObject(Buffer.from(text)) ?? {};
}
