import type { Pseudonym } from '../oci/via.ts';
import type { NotLetIn } from './admission.ts';

/** What one request turned out to be: filled in by the steps as they learn it, read once at its end for log and metrics. */
export interface Trace {
  readonly requestId: string;
  registry: string | undefined;
  repository: string | undefined;
  /** The mirrors through which it came here: none where a client asks. */
  via: readonly Pseudonym[];
  /** As asked: a tag or a digest. */
  reference: string | undefined;
  digest: string | undefined;
  type: 'manifest' | 'blob' | undefined;
  /** The route's `name`. */
  route: string | undefined;
  outcome: Outcome | undefined;
  /** The user whose credentials an upstream took, where it was asked with a client's own. */
  reader: string | undefined;
  /** The one that answered. */
  upstream: string | undefined;
  /** Those that were asked in vain, in order. */
  tried: { upstream: string; error: string; ms: number }[];
  /** Bytes of the content, where known. */
  size: number | undefined;
  /** Seconds since a tag was last found true upstream. */
  ageSeconds: number | undefined;
  /** Of content that is not let in: which rule of its route refuses it, and why. */
  notLetIn: NotLetIn | undefined;
}

/** The label of `entrepot_requests_total`: hit, stale and revalidated are hits; miss, collapsed and bypass are misses. */
export type Outcome = 'hit' | 'miss' | 'collapsed' | 'revalidated' | 'stale' | 'negative' | 'bypass' | 'denied' | 'error';

export function newTrace(requestId: string): Trace {
  return {
    requestId,
    registry: undefined,
    repository: undefined,
    via: [],
    reference: undefined,
    digest: undefined,
    type: undefined,
    route: undefined,
    outcome: undefined,
    reader: undefined,
    upstream: undefined,
    tried: [],
    size: undefined,
    ageSeconds: undefined,
    notLetIn: undefined,
  };
}

/** What a chain said, whoever of several requests had it asked: those in vain, and the one that answered. */
export function noteTried(trace: Trace, tried: readonly Trace['tried'][number][], upstream?: string): void {
  trace.tried.push(...tried);
  if (upstream !== undefined && upstream !== '') trace.upstream = upstream;
}
