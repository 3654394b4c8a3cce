import { X509Certificate } from 'node:crypto';
import { caPathLength } from './ca-path-length.ts';

/** More certificates, or longer ones, are not looked at. */
const CHAIN_MAX = 5;
const CERTIFICATE_LENGTH_MAX = 12_000;

/**
 * The first certificate of an `x5c` (RFC 7515 4.1.6), if the others lead from it to one of `roots`, all of them in time;
 * `undefined` if not. Whose names stand in them does not matter: who is among the roots, or was let in by one, may sign.
 */
export function leafOf(chain: readonly unknown[], roots: readonly X509Certificate[], now: number): X509Certificate | undefined {
  if (chain.length === 0 || chain.length > CHAIN_MAX) return undefined;
  const certificates = chain.map((text) => readCertificate(text));
  const [leaf, ...others] = certificates.filter((certificate) => certificate !== undefined);
  if (leaf === undefined || others.length !== chain.length - 1) return undefined;
  return leadsToRoot(leaf, others, roots, now, 0) ? leaf : undefined;
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

/** `below`: how many authorities stand between it and the leaf. */
function leadsToRoot(
  certificate: X509Certificate,
  others: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  now: number,
  below: number,
): boolean {
  if (!isInTime(certificate, now)) return false;
  if (roots.some((root) => root.raw.equals(certificate.raw))) return true;
  if (roots.some((root) => isInTime(root, now) && hasIssued(root, certificate, below))) return true;
  return others.some(
    (next) =>
      hasIssued(next, certificate, below) &&
      leadsToRoot(
        next,
        others.filter((other) => other !== next),
        roots,
        now,
        below + 1,
      ),
  );
}

/** RFC 5280 6.1.4: an authority, that may have as many under it, has signed this. */
function hasIssued(issuer: X509Certificate, certificate: X509Certificate, below: number): boolean {
  if (!issuer.ca || !certificate.checkIssued(issuer) || below > caPathLength(issuer.raw)) return false;
  return certificate.verify(issuer.publicKey);
}

function isInTime({ validFrom, validTo }: X509Certificate, now: number): boolean {
  return Date.parse(validFrom) <= now && now <= Date.parse(validTo);
}
