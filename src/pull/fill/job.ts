import type { BlobStore, Part } from '../../blobs/blob-store.ts';
import type { Records } from '../../metadata/records.ts';
import type { Digest } from '../../oci/digest.ts';
import type { Clock } from '../../system/clock.ts';
import type { Random } from '../../system/random.ts';
import type { Upstream } from '../../upstream/upstream.ts';
import type { ReportPull } from '../events.ts';
import type { Blame } from './sources.ts';
import type { Refusal } from '../refusal.ts';

/** What a fill remembers, and asks of those that run elsewhere. */
export type FillRecords = Pick<Records, 'part' | 'putPart' | 'dropPart' | 'lease' | 'blob' | 'link'>;

export interface FillDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly blobs: BlobStore;
  readonly records: FillRecords;
  readonly report: ReportPull;
  readonly blame: Blame;
}

/** What to get, from where, and for whom: the repository under which an upstream has to say yes. */
export interface FillJob {
  readonly digest: Digest;
  readonly registry: string;
  readonly repository: string;
  readonly chain: () => readonly Upstream[];
  /** The next upstream is asked beside one that is slow to answer. */
  readonly hedge: boolean;
  /** Ranges of a large blob that are fetched at once; 1: it comes in one piece. */
  readonly parallel: number;
  /** As a verified manifest of that repository describes it. */
  readonly expectedSize: number | undefined;
}

/** How leading ended. `refused`: nobody supplied (the rest of) it. `parked`: told to stop; the part stays for later. */
export type LeadEnd =
  | { readonly kind: 'done'; readonly part: Part; readonly upstream: string }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'parked' }
  | { readonly kind: 'disk'; readonly error: unknown };
