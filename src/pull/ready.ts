import { HOSTED, type LinkRecord, type Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import type { Source } from './cache-status.ts';
import type { Pulling } from './deps.ts';
import { ageMs, judge, ttlSeconds } from './freshness.ts';
import { grants } from './granting.ts';
import type { Target } from './name.ts';
import type { Route } from './route.ts';
import type { SmallBlobs } from './small-blobs.ts';
import type { Store } from './store.ts';

export interface ReadyDeps {
  readonly clock: Clock;
  /** The records as they stand, where those are told at once; `undefined`: they are not, and nothing is ever ready. */
  readonly records: Pick<Records, 'tag' | 'link'> | undefined;
  readonly store: Pick<Store, 'atHand'>;
  readonly blobs: SmallBlobs;
}

/** Content out of memory, which this repository may show now. */
export interface ReadyContent {
  readonly digest: Digest;
  /** Of a manifest. */
  readonly mediaType: string | undefined;
  readonly bytes: Uint8Array;
  readonly source: Source;
}

/**
 * Hits without a turn of the loop: a manifest, or a small blob, whose bytes are in memory *by digest*, after one read of the record
 * that grants it (architecture.md, decision 10). Nothing that was decided once is believed here: tag, link, freshness and whether it
 * may still be shown are read and judged at each request, so that what another process deleted a moment ago is not answered with.
 * Whatever is not plainly a hit is left to the ordinary way. Saves a dozen promises, a timer and three calls of the disk.
 */
export class Ready {
  readonly #deps: ReadyDeps;

  constructor(deps: ReadyDeps) {
    this.#deps = deps;
  }

  /** `undefined`: the ordinary way answers. Never throws. Changes nothing but the trace's age of a tag that it answers with. */
  look(pulling: Pulling, target: Extract<Target, { kind: 'manifest' | 'blob' }>): ReadyContent | undefined {
    const { records } = this.#deps;
    if (records === undefined || !isPlain(pulling)) return undefined;
    try {
      if (target.kind === 'blob') return this.#blob(records, pulling, target.digest);
      const { reference } = target;
      return reference.kind === 'tag'
        ? this.#tag(records, pulling, reference.tag)
        : this.#manifest(records, pulling, reference.digest);
    } catch {
      // The records cannot be read now, and it is the ordinary way that knows what is done then.
      return undefined;
    }
  }

  #tag(records: NonNullable<ReadyDeps['records']>, { holder, route, trace }: Pulling, tag: string): ReadyContent | undefined {
    const record = records.tag(holder, tag);
    if (record === undefined || isLate(record)) return undefined;
    const { digest, mediaType, size } = record;
    const { policy } = route;
    const now = this.#deps.clock.now();
    const isImmutable = policy.immutable(tag);
    // What is gone upstream is answered with a warning, and what is pushed by others.
    if (record.upstream === HOSTED || record.gone !== undefined || grants(route, record) !== true) return undefined;
    if (judge(record, policy, isImmutable, now) !== 'fresh') return undefined;
    const bytes = this.#deps.store.atHand(digest);
    if (bytes?.byteLength !== size) return undefined;
    trace.ageSeconds = Math.round(ageMs(record, now) / 1000);
    const source: Source = isImmutable ? { outcome: 'hit' } : { outcome: 'hit', ttlSeconds: ttlSeconds(record, policy, now) };
    return { digest, mediaType, bytes, source };
  }

  #manifest(records: NonNullable<ReadyDeps['records']>, { holder, route }: Pulling, digest: Digest): ReadyContent | undefined {
    const bytes = this.#deps.store.atHand(digest);
    const link = bytes === undefined ? undefined : records.link(holder, digest);
    if (bytes === undefined || link === undefined || isLate(link)) return undefined;
    const { kind, mediaType, size } = link;
    if (kind !== 'manifest' || mediaType === undefined || bytes.byteLength !== size || !shows(route, link)) return undefined;
    return { digest, mediaType, bytes, source: { outcome: 'hit' } };
  }

  #blob(records: NonNullable<ReadyDeps['records']>, { holder, route }: Pulling, digest: Digest): ReadyContent | undefined {
    const bytes = this.#deps.blobs.get(digest);
    const link = bytes === undefined ? undefined : records.link(holder, digest);
    if (bytes === undefined || link === undefined || isLate(link)) return undefined;
    if (bytes.byteLength !== link.size || !shows(route, link)) return undefined;
    return { digest, mediaType: undefined, bytes, source: { outcome: 'hit' } };
  }
}

/** Nobody but the records has to be asked: not an upstream, a judge or an owner, nor what a tag stood for once. */
function isPlain({ route, asof, range, ifNoneMatch }: Pulling): boolean {
  const { policy } = route;
  return (
    range === undefined &&
    ifNoneMatch === undefined &&
    asof === undefined &&
    route.via === undefined &&
    route.passthrough === undefined &&
    !route.deny &&
    !route.hosted &&
    !policy.offline &&
    !policy.prefetch &&
    policy.cooldownMs === 0 &&
    policy.admission === undefined
  );
}

/** As `linkShows` of granting.ts, where the link itself says it: what has to be looked up besides is not ready. */
function shows(route: Route, link: LinkRecord): boolean {
  return link.by === 'public' || (link.by === 'upstream' && grants(route, link) === true);
}

/** A store that was to answer at once did not: its answer is not waited for. */
function isLate(answer: object): answer is Promise<unknown> {
  if (!(answer instanceof Promise)) return false;
  answer.catch(() => undefined);
  return true;
}
