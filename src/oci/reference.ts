import { algorithmOf, encodedOf, parseDigest, type Digest } from './digest.ts';

/** What stands behind `/manifests/`: a tag, or the digest itself. */
export type Reference = { readonly kind: 'tag'; readonly tag: string } | { readonly kind: 'digest'; readonly digest: Digest };

const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** The tag as it stands, or `undefined` (OCI distribution-spec, "Pulling manifests": at most 128 characters). */
export function parseTag(text: string): string | undefined {
  return TAG.test(text) ? text : undefined;
}

/** Text with a colon can only be a digest, since no tag has one; `undefined` for what is neither. */
export function parseReference(text: string): Reference | undefined {
  if (text.includes(':')) {
    const digest = parseDigest(text);
    return digest === undefined ? undefined : { kind: 'digest', digest };
  }
  const tag = parseTag(text);
  return tag === undefined ? undefined : { kind: 'tag', tag };
}

/** The reference as it stands in a path. */
export function referenceText(reference: Reference): string {
  return reference.kind === 'tag' ? reference.tag : reference.digest;
}

/** The tag, where it is one. */
export function tagOf(reference: Reference): string | undefined {
  return reference.kind === 'tag' ? reference.tag : undefined;
}

const ALGORITHM_LENGTH_MAX = 32;
const ENCODED_LENGTH_MAX = 64;

/**
 * The tag under which clients keep the referrers of `digest` where a registry has no referrers API (OCI distribution-spec,
 * "Referrers Tag Schema"). A sha512 loses its second half by it.
 */
export function referrersTag(digest: Digest): string {
  const algorithm = algorithmOf(digest).slice(0, ALGORITHM_LENGTH_MAX);
  const encoded = encodedOf(digest).slice(0, ENCODED_LENGTH_MAX);
  return `${algorithm}-${encoded}`.replaceAll(/[^a-zA-Z0-9._-]/g, '-');
}
