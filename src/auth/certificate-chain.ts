import { X509Certificate } from 'node:crypto';
import { caPathLength } from './ca-path-length.ts';

/** More certificates, or longer ones, are not looked at. */
const CHAIN_MAX = 5;
const CERTIFICATE_LENGTH_MAX = 12_000;

/**
 * The first certificate of an `x5c`, if each is signed by the next (RFC 7515 4.1.6) and the last by one of `roots`, or is one, all
 * of them in time; `undefined` if not. Whose names stand in them does not matter: who is among the roots, or was let in by one,
 * may sign. Looked at from the root on, so that a chain that leads nowhere costs little.
 */
export function leafOf(chain: readonly unknown[], roots: readonly X509Certificate[], now: number): X509Certificate | undefined {
  if (chain.length > CHAIN_MAX) return undefined;
  const certificates = chain.map((text) => readCertificate(text)).filter((certificate) => certificate !== undefined);
  const last = certificates.at(-1);
  if (last === undefined || certificates.length < chain.length) return undefined;
  if (!certificates.every((certificate) => isInTime(certificate, now))) return undefined;
  const isAnchored = roots.some(
    (root) => root.raw.equals(last.raw) || (isInTime(root, now) && hasIssued(root, last, certificates.length - 1)),
  );
  return isAnchored && isJoined(certificates) ? certificates[0] : undefined;
}

/** Each signed by the next. */
function isJoined(certificates: readonly X509Certificate[]): boolean {
  return certificates.slice(1).every((issuer, at) => {
    const certificate = certificates[at];
    return certificate !== undefined && hasIssued(issuer, certificate, at);
  });
}

/** Base64 as it stands in PEM, not base64url. */
function readCertificate(text: unknown): X509Certificate | undefined {
  if (typeof text !== 'string' || text.length > CERTIFICATE_LENGTH_MAX || !/^[A-Za-z0-9+/=]+$/.test(text)) return undefined;
  try {
    return new X509Certificate(Buffer.from(text, 'base64'));
  } catch {
    return undefined; // No certificate.
  }
}

/** RFC 5280 6.1.4: an authority, that may have `below` others between itself and the leaf, has signed this. */
function hasIssued(issuer: X509Certificate, certificate: X509Certificate, below: number): boolean {
  if (!issuer.ca || !certificate.checkIssued(issuer) || below > caPathLength(issuer.raw)) return false;
  return certificate.verify(issuer.publicKey);
}

function isInTime({ validFrom, validTo }: X509Certificate, now: number): boolean {
  return Date.parse(validFrom) <= now && now <= Date.parse(validTo);
}
