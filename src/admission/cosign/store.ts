import type { Digest } from '../../oci/digest.ts';

/** Where signatures are looked for. */
export interface Place {
  /** Canonical: `docker.io`. */
  readonly registry: string;
  readonly repository: string;
}

export interface StoredManifest {
  readonly mediaType: string;
  /** Verified. */
  readonly bytes: Uint8Array;
}

/**
 * What a repository holds, by the same way as for a client, but asked nothing of its content. Each rejects where something could
 * not be found out, which is never the same as that it is not there.
 */
export interface SignatureStore {
  /** `reference`: a tag or a digest. `undefined`: it is not there. */
  manifest(place: Place, reference: string, signal: AbortSignal): Promise<StoredManifest | undefined>;
  /** The whole of it, verified. `undefined`: it is not there, or longer than `bytesMax`. */
  blob(place: Place, digest: Digest, bytesMax: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** A referrers list, an OCI index; without any referrer an empty one. */
  referrers(place: Place, digest: Digest, signal: AbortSignal): Promise<Uint8Array>;
}
