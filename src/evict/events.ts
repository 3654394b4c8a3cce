/** What this room tells the rest of the house; compose.ts hands in who listens (log, metrics). */
export interface CollectEvent extends CollectTotals {
  readonly kind: 'collected';
  readonly dryRun: boolean;
  /** When it ended, ms since the epoch. */
  readonly at: number;
  readonly ms: number;
}

export type ReportCollect = (event: CollectEvent) => void;

/** What went, or with a dry run would go. */
export interface CollectTotals {
  /** Looked through. */
  readonly repositories: number;
  /** Kept whole, since a manifest that is needed could not be read. */
  readonly unreadable: number;
  /** Taken by retention. */
  readonly tags: number;
  readonly manifests: number;
  /** Blobs that a repository holds no more. */
  readonly links: number;
  /** Blobs and manifests that are held nowhere any more. */
  readonly blobs: number;
  /** Of those, bytes. */
  readonly bytes: number;
  /** Uploads that nobody goes on with. */
  readonly uploads: number;
}

/** One line of progress; the last is the record of the whole. */
export type CollectStep =
  | { readonly kind: 'tag'; readonly repository: string; readonly tag: string; readonly why: string }
  | { readonly kind: 'manifest'; readonly repository: string; readonly digest: string }
  | { readonly kind: 'link'; readonly repository: string; readonly digest: string }
  | { readonly kind: 'blob'; readonly digest: string; readonly bytes: number }
  | { readonly kind: 'unreadable'; readonly repository: string; readonly digest: string }
  | QuotaStep
  | CollectEvent;

/** What a route with a `quota` holds at the end, in bytes. */
export interface QuotaStep {
  readonly kind: 'quota';
  readonly route: string;
  readonly limit: number;
  readonly used: number;
  readonly reserved: number;
}

/** Cached bytes that went. */
export interface Evicted {
  readonly digest: string;
  readonly bytes: number;
  /** Since its last use. */
  readonly idleMs: number;
}

/** One line of what an eviction by command does, or with a dry run would do; the last is the whole. */
export type EvictStep =
  /** Without a tag an image that was named by its digest; without both all of the repository that no tag leads to. */
  | ({
      readonly kind: 'image';
      readonly repository: string;
      readonly tag: string | undefined;
      readonly digest: string | undefined;
    } & Fate)
  | ({ readonly kind: 'blob'; readonly digest: string; readonly bytes: number } & Fate)
  /** Of a look ahead: whether the limits are passed now, and how much has to go, or will when they are. */
  | { readonly kind: 'round'; readonly due: boolean; readonly bytes: number; readonly files: number }
  | {
      readonly kind: 'done';
      readonly dryRun: boolean;
      readonly images: number;
      /** Images that stay. */
      readonly kept: number;
      readonly blobs: number;
      readonly bytes: number;
      readonly ms: number;
    };

/** Of what stays there is always a reason. */
export type Fate = { readonly goes: true; readonly why?: string } | { readonly goes: false; readonly why: string };

export type EvictionEvent =
  /** A round has ended. */
  | {
      readonly kind: 'evicted';
      readonly why: 'limit' | 'maxage' | 'asked';
      /** When it ended, ms since the epoch. */
      readonly at: number;
      readonly blobs: number;
      readonly bytes: number;
      /** Of what went last, since its last use, ms: what a larger cache would have kept longer. */
      readonly idleMs: number;
      readonly ms: number;
    }
  /** Limits cannot be held: what is left is in use, pinned, or not the cache's. */
  | { readonly kind: 'evict-stuck'; readonly bytes: number; readonly files: number }
  | { readonly kind: 'evict-failed'; readonly error: unknown };

export type ReportEviction = (event: EvictionEvent) => void;
