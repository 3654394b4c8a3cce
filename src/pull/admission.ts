import type { Digest } from '../oci/digest.ts';

/** What a route with rules about content is about to answer with. */
export interface Answering {
  readonly registry: string;
  readonly repository: string;
  /** The tag by which it was asked for; `undefined`: by its digest. */
  readonly tag: string | undefined;
  readonly digest: Digest;
  readonly mediaType: string;
  /** The manifest, verified; read only where nothing is known of it yet. Rejects with RegistryError where it cannot be had. */
  readonly read: () => Promise<Uint8Array>;
  /** How long its client waits for an answer, ms. */
  readonly waitMs: number;
}

export interface Wanted {
  readonly registry: string;
  readonly repository: string;
  readonly digest: Digest;
}

/** Why something is not served; `reason` goes on from "refused by admit: ". */
export interface NotLetIn {
  readonly judge: string;
  readonly reason: string;
}

/**
 * May this content be served on this route: asked for each manifest before it is answered with, and for each blob before it is looked
 * up. `undefined`: it may. Throws RegistryError 503 where that cannot be told. A route without such rules has none.
 */
export interface Admission {
  manifest(answering: Answering, signal: AbortSignal): Promise<NotLetIn | undefined>;
  /** Only what a manifest names that was let in. */
  blob(wanted: Wanted): Promise<NotLetIn | undefined>;
  /** What is never served, whoever asks; known at once. */
  denied(digest: Digest): NotLetIn | undefined;
  /** Whether who asks under this name is just being asked about it, and may have it unjudged. */
  opens(nonce: string, wanted: Wanted): boolean;
}
