/** What a scrub tells: each thing that it found, how far it is, and the whole at the end. */
export type ScrubStep = DamagedStep | OrphanStep | ScrubProgress | ScrubEvent;

export interface DamagedStep {
  readonly kind: 'damaged';
  readonly digest: string;
  readonly bytes: number;
  readonly why: string;
  /** Who has it; the first of them. */
  readonly repositories: readonly string[];
  /** It was pushed here, and no upstream has it: the next push of the same bytes heals it. */
  readonly hosted: boolean;
  /** It is held again, and right. */
  readonly repaired: boolean;
}

/** A file that nothing leads to, as a crash leaves it; taken away where repairs are made. */
export interface OrphanStep {
  readonly kind: 'orphan';
  readonly digest: string;
  readonly bytes: number;
}

export interface ScrubProgress {
  readonly kind: 'progress';
  readonly blobs: number;
  readonly bytes: number;
  /** Of the store, 0 to 1: by directories, of which each holds about as much. */
  readonly share: number;
}

/** A whole round has ended. */
export interface ScrubEvent extends ScrubTotals {
  readonly kind: 'scrubbed';
  readonly repair: boolean;
  /** When it ended, ms since the epoch. */
  readonly at: number;
  /** From its beginning, restarts and rests included. */
  readonly ms: number;
}

/** Since this process began or took up the round. */
export interface ScrubTotals {
  /** Read through. */
  readonly blobs: number;
  readonly bytes: number;
  readonly damaged: number;
  readonly repaired: number;
  readonly orphans: number;
}

export type ScrubReport =
  | ScrubEvent
  | { readonly kind: 'quarantined'; readonly digest: string; readonly why: string }
  /** What an earlier process had ended: so that a restart does not hide when that was. */
  | { readonly kind: 'scrubbed-before'; readonly at: number }
  | { readonly kind: 'scrub-failed'; readonly error: unknown };

export type ReportScrub = (event: ScrubReport) => void;
