import type { Digest } from '../oci/digest.ts';

/** What a route with rules about content is about to answer with. */
export interface Answering {
  readonly registry: string;
  readonly repository: string;
  /** The tag by which it was asked for; `undefined`: by its digest. */
  readonly tag: string | undefined;
  readonly digest: Digest;
  readonly mediaType: string;
  /** The manifest, verified; read only where nothing is known of it yet. `undefined`: it has gone. */
  readonly read: () => Promise<Uint8Array | undefined>;
}

/**
 * May this content be served on this route: asked for each manifest before it is answered with, and for each blob. Resolves where
 * it may; throws RegistryError, 403 with the reason, where it may not, and 503 where that cannot be told. `undefined` on a route:
 * it has no such rules.
 */
export interface Admission {
  manifest(answering: Answering, signal: AbortSignal): Promise<void>;
  /** Only what a manifest names that was let in. */
  blob(digest: Digest): Promise<void>;
}
