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
