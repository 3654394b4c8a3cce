import { createHash, type Hash } from 'node:crypto';

declare const digestBrand: unique symbol;

/** A registered algorithm of the OCI image specification ("descriptor.md", "Registered algorithms"). */
export type Algorithm = 'sha256' | 'sha512';

/** `algorithm:encoded`, checked; made only by {@link parseDigest} and {@link digestOf}. Safe as a file name part. */
export type Digest = string & { readonly [digestBrand]: true };

/** Hexadecimal digits of each algorithm's value. */
const ENCODED_LENGTH: Readonly<Record<Algorithm, number>> = { sha256: 64, sha512: 128 };

/** Reads `algorithm:encoded`; `undefined` for anything but lower-case hex of the right length under sha256 or sha512. */
export function parseDigest(text: string): Digest | undefined {
  const algorithm = text.startsWith('sha256:') ? 'sha256' : text.startsWith('sha512:') ? 'sha512' : undefined;
  if (algorithm === undefined) return undefined;
  const encoded = text.slice(algorithm.length + 1);
  if (encoded.length !== ENCODED_LENGTH[algorithm] || !/^[0-9a-f]+$/.test(encoded)) return undefined;
  return text as Digest;
}

export function algorithmOf(digest: Digest): Algorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

/** The hexadecimal part, without the algorithm. */
export function encodedOf(digest: Digest): string {
  return digest.slice(algorithmOf(digest).length + 1);
}

/** A running hash for content that should turn out to be `digest`; see {@link finishDigest}. */
export function startDigest(digest: Digest): Hash {
  return createHash(algorithmOf(digest));
}

/** Ends `hash` and yields the digest of what it was fed, under the algorithm it was started with. */
export function finishDigest(hash: Hash, algorithm: Algorithm): Digest {
  return `${algorithm}:${hash.digest('hex')}` as Digest;
}

/** The digest of bytes at hand. */
export function digestOf(bytes: Uint8Array, algorithm: Algorithm = 'sha256'): Digest {
  return finishDigest(createHash(algorithm).update(bytes), algorithm);
}
