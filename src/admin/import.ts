/** What an import is asked to do: see `official/import.ts`, whose shapes these are. */
export interface ImportRequest {
  /** Absolute: an official registry's root directory. */
  readonly directory: string;
  /** The registry that its repositories are under here; `undefined`: the one that the configuration leaves no choice of. */
  readonly registry: string | undefined;
  /** They count as pushed here. */
  readonly hosted: boolean;
  readonly dryRun: boolean;
}

export interface ImportCounts {
  readonly all: number;
  readonly done: number;
  readonly repositories: number;
  readonly tags: number;
  readonly manifests: number;
  readonly blobs: number;
  readonly linked: number;
  readonly copied: number;
  readonly bytes: number;
  readonly known: number;
  readonly notTaken: number;
}

export type ImportStep =
  | ({ readonly kind: 'progress'; readonly repository: string } & ImportCounts)
  | {
      readonly kind: 'not-taken';
      readonly repository: string;
      readonly what: 'repository' | 'tag' | 'manifest' | 'blob';
      readonly reference: string;
      readonly why: string;
    }
  | ({ readonly kind: 'imported'; readonly dryRun: boolean; readonly finished: boolean } & ImportCounts);

/** Throws AdminError for what cannot be imported so. */
export type Import = (request: ImportRequest) => AsyncIterable<ImportStep>;
