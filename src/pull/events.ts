import type { Digest } from '../oci/digest.ts';

/** What the request path tells the rest of the house; compose.ts hands in who listens (log, metrics). */
export type PullEvent =
  | { readonly kind: 'fill-started'; readonly registry: string; readonly digest: Digest }
  | {
      readonly kind: 'fill-ended';
      readonly registry: string;
      readonly digest: Digest;
      readonly outcome: FillOutcome;
      readonly bytes: number;
      readonly ms: number;
    }
  /** Clients that read running fills beside the first of each, now. */
  | { readonly kind: 'fill-followers'; readonly count: number }
  /** A body broke and was gone on with at this upstream. */
  | { readonly kind: 'resumed'; readonly upstream: string; readonly digest: Digest; readonly from: number }
  /** Bytes that do not hash to their digest. `whole`: all came in one body, so the upstream is to blame. */
  | { readonly kind: 'verify-failed'; readonly upstream: string; readonly digest: Digest; readonly whole: boolean }
  /** Held bytes that turned out damaged, and were dropped. */
  | { readonly kind: 'quarantined'; readonly digest: Digest; readonly why: string }
  | {
      readonly kind: 'tag-moved';
      readonly repository: string;
      readonly tag: string;
      readonly from: Digest;
      readonly to: Digest;
    }
  /** A request or fill went past the cache. */
  | { readonly kind: 'bypass'; readonly reason: BypassReason; readonly error: unknown }
  /** Something was kept after all: what was degraded works again. */
  | { readonly kind: 'kept'; readonly digest: Digest; readonly bytes: number };

export type FillOutcome = 'done' | 'failed' | 'bypass' | 'parked';

/** `room`: nothing is in trouble, but the cache has no room for this one. */
export type BypassReason = 'storage' | 'metadata' | 'room';

export type ReportPull = (event: PullEvent) => void;
