import type { ScrubEvent } from '../observe/events.ts';

/** What a scrub is asked to do: see `evict/scrubber.ts`, and `evict/scrub-events.ts`, whose shapes these are. */
export interface ScrubRequest {
  /** Damaged files are moved away and fetched again; without it only told of. */
  readonly repair: boolean;
}

/** What it found, or how far it is; the last is the whole. */
export type ScrubStep =
  | {
      readonly kind: 'damaged';
      readonly digest: string;
      readonly bytes: number;
      readonly why: string;
      readonly repositories: readonly string[];
      readonly hosted: boolean;
      readonly repaired: boolean;
    }
  | { readonly kind: 'orphan'; readonly digest: string; readonly bytes: number }
  | { readonly kind: 'progress'; readonly blobs: number; readonly bytes: number; readonly share: number }
  | ScrubEvent;

export type Scrub = (request: ScrubRequest) => AsyncIterable<ScrubStep>;
