import type { Digest } from '../oci/digest.ts';

/** A manifest that a route with rules about content is about to answer with. */
export interface Entering {
  /** Canonical: `docker.io`. */
  readonly registry: string;
  readonly repository: string;
  /** The tag by which it was asked for; `undefined`: by its digest. */
  readonly tag: string | undefined;
  readonly digest: Digest;
  readonly mediaType: string;
  /** Verified. */
  readonly bytes: Uint8Array;
}

/** `reason` is a sentence that goes on from "refused: ", for whoever pulls; no secret is in it. */
export type Judgement =
  | { readonly kind: 'admitted'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * One rule about content: a scanner's word, a signature, a list. What it says of a digest in a repository is kept and not asked again
 * while its `fingerprint` is the same.
 */
export interface Judge {
  /** The route key that brings it in; the `reason` label of `entrepot_denied_total`. */
  readonly name: 'digests' | 'signed' | 'admit';
  /** Changes with all that may change what is said; no secret. */
  readonly fingerprint: string;
  /**
   * What it says of an index. `children`: it holds for all that the index lists, as a signature does. `itself`: it is not asked about
   * indexes, which pass so that clients can choose from them, and about each child when that is pulled.
   */
  readonly covers: 'children' | 'itself';
  /** What becomes of content where nothing could be found out: refused with 503 for now, or let in for now. */
  readonly onError: 'refuse' | 'admit';
  /** After so long it is asked about what it refused once more; `undefined`: never, but for a new `fingerprint`. */
  readonly refusesForMs?: number;
  /**
   * Rejects where nothing could be found out, which is no word about the content (architecture.md, "Source layout"): with a
   * {@link JudgeError} where clients may read why. Nothing of that is kept.
   */
  judge(content: Entering, signal: AbortSignal): Promise<Judgement>;
}

/** Nothing could be found out. The message is a clause for whoever pulls, "it answered 500": no secret, no address. */
export class JudgeError extends Error {
  override readonly name = 'JudgeError';
}
