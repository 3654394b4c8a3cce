import type { Digest } from '../oci/digest.ts';
import type { Requester } from './request.ts';

/** What pushing tells the rest of the house; compose.ts hands in who listens (log, metrics). */
export type PushEvent =
  | {
      readonly kind: 'tag-moved';
      readonly repository: string;
      readonly tag: string;
      readonly from: Digest;
      readonly to: Digest;
    }
  /** Something was kept: what was degraded works again. */
  | { readonly kind: 'kept'; readonly digest: Digest; readonly bytes: number }
  /** Disk or metadata failed a push, which the client was told as 503 or 507. */
  | { readonly kind: 'push-failed'; readonly reason: 'storage' | 'metadata'; readonly error: unknown }
  /** Uploads that nobody went on with; with `dryRun` they only would have gone. */
  | { readonly kind: 'uploads-purged'; readonly uploads: number; readonly bytes: number; readonly dryRun: boolean };

export type ReportPush = (event: PushEvent) => void;

/** A change that receivers of notifications hear of, once it stands and before the client hears of it. */
export interface Change {
  readonly action: 'push' | 'mount' | 'delete';
  readonly kind: 'manifest' | 'blob';
  /** The repository with its registry, `docker.io/library/ubuntu`. */
  readonly holder: string;
  /** As this client names it. */
  readonly repository: string;
  /** Of a deletion by tag: what the tag pointed to. */
  readonly digest: Digest;
  readonly mediaType?: string;
  /** Bytes. */
  readonly size?: number;
  /** A push of several tags is one change for each. */
  readonly tag?: string;
  /** Of a mount. */
  readonly fromRepository?: string;
  /** What a manifest names. */
  readonly references?: readonly { readonly mediaType: string; readonly digest: Digest; readonly size: number }[];
  /** Of this server, with what stands before `/v2/`. */
  readonly address?: string | undefined;
  readonly request: Requester;
}

/** Rejects where it could not be queued: the request then fails, and its repetition tells of it again. */
export type Notify = (change: Change) => void | Promise<void>;
