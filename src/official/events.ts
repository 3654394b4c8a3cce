/** What this room tells the rest of the house; compose.ts hands in who listens (log). */
export type OfficialEvent =
  /** At the start: such data are there, and are not imported yet. `served`: the configuration is that registry's own. */
  | { readonly kind: 'official-found'; readonly directory: string; readonly served: boolean }
  /** It is in that registry's data, and can never be taken over: told once in the life of a process. */
  | { readonly kind: 'official-refused'; readonly repository: string; readonly reference: string; readonly why: string }
  /** It could not be found out, and was asked for upstream instead. */
  | { readonly kind: 'official-failed'; readonly repository: string; readonly reference: string; readonly error: unknown };

export type ReportOfficial = (event: OfficialEvent) => void;
