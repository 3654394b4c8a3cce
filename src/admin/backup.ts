/** What a backup is asked to do: see `backup/backup.ts`, whose shapes these are. */
export interface BackupRequest {
  /** Absolute, as the process that writes it sees it. */
  readonly directory: string;
  /** Cached content too. */
  readonly cached: boolean;
}

export interface BackupCounts {
  readonly lines: number;
  readonly done: number;
  readonly linked: number;
  readonly copied: number;
  readonly bytes: number;
  readonly known: number;
  readonly evicted: number;
  readonly lost: number;
}

export type BackupStep =
  | ({ readonly kind: 'progress' } & BackupCounts)
  | { readonly kind: 'lost'; readonly repository: string; readonly digest: string; readonly why: string }
  | ({ readonly kind: 'backed-up'; readonly cached: boolean } & BackupCounts);

/** Throws AdminError where none can be made there. */
export type Backup = (request: BackupRequest) => AsyncIterable<BackupStep>;
