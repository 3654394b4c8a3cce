import { createPublicKey, X509Certificate } from 'node:crypto';
import { listAt, objectAt, own, readJsonObject, type JsonObject } from '../oci/json.ts';

const MEDIA_TYPE = /^application\/vnd\.dev\.sigstore\.trustedroot[.+]/;

const NONE = 'expected a trusted_root.json of Sigstore';

/** What is wrong with a `trusted_root.json` (sigstore/protobuf-specs, "sigstore_trustroot.proto"); `undefined`: nothing that matters here. */
export function trustedRootFault(text: string): string | undefined {
  const read = readJsonObject(Buffer.from(text));
  if (read.kind === 'fault') return NONE;
  const root = read.value;
  // The first ones had none.
  const mediaType = own(root, 'mediaType');
  if (mediaType !== undefined && !MEDIA_TYPE.test(String(mediaType))) return NONE;
  const authorities = listAt(root, 'certificateAuthorities');
  if (authorities.length === 0 || !authorities.every(hasCertificates))
    return 'expected a trusted_root.json with the certificates of its certificateAuthorities';
  for (const key of ['tlogs', 'ctlogs'])
    if (listAt(root, key).length === 0 || !listAt(root, key).every(hasKey))
      return `expected a trusted_root.json with the public keys of its ${key}`;
  if (!listAt(root, 'timestampAuthorities').every(hasCertificates))
    return 'expected a trusted_root.json with the certificates of its timestampAuthorities';
  return undefined;
}

function hasCertificates(authority: JsonObject): boolean {
  const certificates = listAt(objectAt(authority, 'certChain'), 'certificates');
  return certificates.length > 0 && certificates.every((each) => works(each, (der) => new X509Certificate(der)));
}

function hasKey(log: JsonObject): boolean {
  const key = objectAt(log, 'publicKey');
  const isNamed = ['logId', 'checkpointKeyId'].some((id) => typeof own(objectAt(log, id), 'keyId') === 'string');
  return (
    isNamed &&
    (['spki', 'pkcs1'] as const).some((type) => works(key, (der) => createPublicKey({ key: der, format: 'der', type })))
  );
}

function works(holder: JsonObject, take: (der: Buffer) => unknown): boolean {
  try {
    take(Buffer.from(String(own(holder, 'rawBytes') ?? ''), 'base64'));
    return true;
  } catch {
    // OpenSSL's words for it help nobody.
    return false;
  }
}
