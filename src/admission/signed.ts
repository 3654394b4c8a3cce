import { createHash } from 'node:crypto';
import type { Claim } from './cosign/claim.ts';
import { isIdentity, type Identity, type Signer } from './cosign/identity.ts';
import { createKeyless, type Keyless } from './cosign/keyless.ts';
import { heldIn, signaturesOf, type Found } from './cosign/search.ts';
import { hasSigned, signingKey, type SigningKey } from './cosign/signing-key.ts';
import type { SignatureStore } from './cosign/store.ts';
import type { Judge } from './judge.ts';

export interface SignedOptions {
  /** PEM texts of public keys: any of them counts. */
  readonly keys: readonly string[];
  /** Who may sign with a certificate: any of them counts. */
  readonly identities: readonly Identity[];
  /** The text of Sigstore's `trusted_root.json`; there where there are identities. */
  readonly trustedRoot: string | undefined;
  readonly store: SignatureStore;
}

/** Changes when the rules below do, so that what was said by others is asked again. */
const RULES = 'cosign 1';

/** What is not signed yet may be signed at any moment; and a search costs two questions. */
const REFUSES_FOR_MS = 60_000;

/**
 * Lets in what carries one valid signature of cosign's at least: by one of the keys, or by one of the identities. So are
 * manifests that hold such a signature or attestation themselves, which are what a client looks for to check one. Rejects where
 * no valid one was found and something could not be found out. Throws where a key is none.
 */
export function createSigned({ keys, identities, trustedRoot, store }: SignedOptions): Judge {
  const signers: Signers = {
    keys: keys.map(signingKey),
    identities,
    keyless: trustedRoot === undefined || identities.length === 0 ? undefined : createKeyless(trustedRoot),
  };
  return {
    name: 'signed',
    fingerprint: fingerprintOf(signers, trustedRoot),
    covers: 'children',
    onError: 'refuse',
    refusesForMs: REFUSES_FOR_MS,
    async judge(content, signal) {
      const place = { registry: content.registry, repository: content.repository };
      const held = await lookInside(heldIn(store, place, content, signal), signers);
      if (held.kind === 'valid') return { kind: 'admitted', reason: `it holds a signature or attestation by ${held.by}` };
      const found = await look(signaturesOf(store, place, content.digest, signal), signers, {
        isMeant: ({ signs }) => signs.includes(content.digest),
        manifest: content.bytes,
      });
      if (found.kind === 'valid') return { kind: 'admitted', reason: `it is signed by ${found.by}` };
      for (const looked of [found, held]) if (looked.kind === 'unknown') throw looked.error;
      return { kind: 'refused', reason: found.kind === 'none' ? found.reason : NOTHING };
    },
  };
}

interface Signers {
  readonly keys: readonly SigningKey[];
  readonly identities: readonly Identity[];
  readonly keyless: Keyless | undefined;
}

interface Wanted {
  /** Whether a claim is about what is to be let in. */
  readonly isMeant: (claim: Claim) => boolean;
  /** The bytes that a signature may be over directly. */
  readonly manifest: Uint8Array | undefined;
}

/** What came of looking at signatures one after the other, up to the first that is valid. */
type Looked =
  | { readonly kind: 'valid'; readonly by: string }
  /** Nobody knows: something could not be found out. */
  | { readonly kind: 'unknown'; readonly error: unknown }
  /** None is; `reason` is of the one that came closest. */
  | { readonly kind: 'none'; readonly reason: string };

const NOTHING = 'no cosign signature of it was found';

async function look(found: AsyncIterable<Found>, signers: Signers, wanted: Wanted): Promise<Looked> {
  let closest = { rank: 0, reason: NOTHING };
  let unknown: Extract<Looked, { kind: 'unknown' }> | undefined;
  for await (const each of found) {
    if (each.kind === 'unknown') {
      unknown ??= each;
      continue;
    }
    const answer = each.kind === 'claim' ? await examine(each.claim, signers, wanted) : { rank: 1, reason: each.reason };
    if ('by' in answer) return { kind: 'valid', by: answer.by };
    if (answer.rank > closest.rank) closest = answer;
  }
  return unknown ?? { kind: 'none', reason: closest.reason };
}

/**
 * As {@link look}, of a manifest's own layers. Each of them has to be one, since the one that is valid would let the rest in. None is
 * held on to: an attestation may be long.
 */
async function lookInside(found: AsyncIterable<Found>, signers: Signers): Promise<Looked> {
  let valid: Looked | undefined;
  let unknown: Looked | undefined;
  for await (const each of found) {
    if (each.kind === 'malformed') return { kind: 'none', reason: each.reason };
    if (each.kind === 'unknown') unknown ??= each;
    else if (valid === undefined) {
      const answer = await examine(each.claim, signers, { isMeant: () => true, manifest: undefined });
      if ('by' in answer) valid = { kind: 'valid', by: answer.by };
    }
  }
  return unknown ?? valid ?? { kind: 'none', reason: NOTHING };
}

type Examined = { readonly by: string } | { readonly rank: number; readonly reason: string };

async function examine(claim: Claim, signers: Signers, { isMeant, manifest }: Wanted): Promise<Examined> {
  const message = claim.message === 'manifest' ? manifest : claim.message;
  if (!isMeant(claim) || message === undefined) return { rank: 2, reason: 'it has signatures, but they are of something else' };
  const key = signers.keys.find((each) => hasSigned(each, message, claim.signature));
  if (key !== undefined) return { by: `the key ${key.id.slice(0, 12)}` };
  const signer = claim.bundle === undefined ? undefined : await signers.keyless?.signerOf(claim.bundle, message);
  if (signer === undefined) return { rank: 3, reason: `it is signed, but by ${noneOf(signers)}` };
  const by = nameOf(signer);
  if (signers.identities.some((identity) => isIdentity(identity, signer))) return { by };
  return { rank: 4, reason: `it is signed by ${by}, and by ${noneOf(signers)}` };
}

function noneOf({ keys, identities }: Signers): string {
  const what = [...(keys.length > 0 ? ['keys'] : []), ...(identities.length > 0 ? ['identities'] : [])];
  return `none of the configured ${what.join(' or ')}`;
}

const NAME_LENGTH_MAX = 200;

/** A certificate's names may hold anything that its authority lets through. */
function nameOf({ subject, issuer }: Signer): string {
  const [who, whose] = [subject, issuer].map((text) => text.replaceAll(/[^\x21-\x7e]/g, '?').slice(0, NAME_LENGTH_MAX));
  return `${who} (${whose})`;
}

function fingerprintOf({ keys, identities }: Signers, trustedRoot: string | undefined): string {
  const parts = {
    rules: RULES,
    keys: keys.map(({ id }) => id).toSorted(),
    identities: identities.map(({ issuer, subject }) => [issuer, subject]),
    trustedRoot: trustedRoot === undefined ? '' : createHash('sha256').update(trustedRoot).digest('hex'),
  };
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
