import type { JsonObject } from '../../oci/json.ts';

/** Something that somebody may have signed, read and not yet believed. */
export interface Claim {
  /** Digests that it is a signature of, by what it says itself; none: it is about something else, as an attestation is. */
  readonly signs: readonly string[];
  /** What the signature is over; `manifest`: the bytes of the manifest that it belongs to. */
  readonly message: Uint8Array | 'manifest';
  readonly signature: Uint8Array;
  /** The whole as a Sigstore bundle, where it brings a certificate. */
  readonly bundle: JsonObject | undefined;
}

export type ReadClaim = { readonly kind: 'claim'; readonly claim: Claim } | Malformed;

/** `reason` says what was found in the place of a signature, as a clause that goes on from "refused: ". */
export interface Malformed {
  readonly kind: 'malformed';
  readonly reason: string;
}

/** `what`: a clause whose "it" was found in the place of a signature. */
export function malformed(what: string): Malformed {
  return { kind: 'malformed', reason: `what was found as its signature is none: ${what}` };
}
