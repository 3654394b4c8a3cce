import type { Digest } from '../oci/digest.ts';

/** Something that happened to a repository and that receivers may be told of. Plain data, handed in by whoever did it. */
export interface Change {
  /** `mount`: a blob that was taken over from another repository instead of being pushed. */
  readonly action: 'push' | 'pull' | 'mount' | 'delete';
  readonly kind: 'manifest' | 'blob';
  /** The repository with its registry, `docker.io/library/ubuntu`: within it the order is kept. */
  readonly holder: string;
  /** The repository by the name under which the client's Host can pull it. */
  readonly repository: string;
  /** Of a deleted tag: what it pointed to, where that is known; it is not told. */
  readonly digest?: Digest | undefined;
  /** Of a blob it may be left out. */
  readonly mediaType?: string | undefined;
  /** Bytes. */
  readonly size?: number | undefined;
  /** As it was asked for, pushed or deleted. */
  readonly tag?: string | undefined;
  /** Of a mount, by a name like `repository`. */
  readonly fromRepository?: string | undefined;
  /** What a manifest names. Told only where `includereferences` asks for it. */
  readonly references?: readonly Reference[] | undefined;
  /** Of this server, with what stands before `/v2/`: `https://mirror.example.test`. Without it no URL is told. */
  readonly address?: string | undefined;
  readonly request: ChangeRequest;
  /** Who did it, where that is known. */
  readonly actor?: string | undefined;
}

export interface Reference {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

/** The request that did it. */
export interface ChangeRequest {
  readonly id: string;
  /** The client's address. */
  readonly addr?: string | undefined;
  /** As the client sent it. */
  readonly host?: string | undefined;
  readonly method: string;
  readonly useragent?: string | undefined;
}
