/** What the metadata room tells the rest of the house; compose.ts hands in who listens. */
export type MetadataEvent =
  /** A value that is not what its key promises; it was taken for absent. */
  | { readonly kind: 'metadata-undecodable'; readonly slot: string; readonly collection: string; readonly id: string }
  /** Uses could not be written: `kept` of them are tried again, `lost` are not. */
  | { readonly kind: 'uses-unwritten'; readonly kept: number; readonly lost: number; readonly error: unknown }
  /** Once, until it is over: `why` says what to do. */
  | { readonly kind: 'metadata-forgot'; readonly why: string };

export type ReportMetadata = (event: MetadataEvent) => void;
