import type { Digest } from '../../oci/digest.ts';
import type { FillDeps, FillJob, LeadEnd } from './job.ts';
import type { Leases } from './lease.ts';
import type { Decider } from '../granting.ts';
import type { Refusal, Tried } from '../refusal.ts';
import type { Provenance } from '../store.ts';

export interface FillsDeps extends FillDeps {
  readonly leases: Leases;
  /** Whether the disk works, as far as whoever looks after it knows; default: it does. */
  readonly isDiskUp?: () => boolean;
  /** Publishes a verified part and links it; rejects when disk or metadata fail. */
  readonly keep: (
    end: Extract<LeadEnd, { kind: 'done' }>,
    digest: Digest,
    size: number,
    provenance: Provenance,
  ) => Promise<void>;
}

/** A fill, and under which repository it is to be kept. */
export interface FillOrder extends FillJob {
  /** The repository with its registry. */
  readonly holder: string;
  /** Where nobody does, what comes without credentials is public. */
  readonly decider: Decider;
  /** As `Route.asker`. */
  readonly asker: string | undefined;
}

/**
 * What is known before the first byte leaves. `proven`: the repository under which an upstream said yes; `undefined` where
 * another process asked. `upstream` is empty then.
 */
export type FirstAnswer =
  | {
      readonly kind: 'content';
      readonly proven: string | undefined;
      readonly upstream: string;
      readonly tried: readonly Tried[];
    }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'bypass' };

export interface FillStatus {
  readonly registry: string;
  readonly digest: Digest;
  readonly repository: string;
  readonly size: number | undefined;
  readonly written: number;
  /** Up to where it may be read. */
  readonly frontier: number;
  readonly readers: number;
  /** Of the part file. */
  readonly part: string | undefined;
  readonly upstream: string;
}
