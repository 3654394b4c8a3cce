import type { Digest } from '../../oci/digest.ts';
import { emptyIndex, filterReferrers } from '../../oci/referrers.ts';
import { referrersTag } from '../../oci/reference.ts';
import { missStatus, type Source } from '../cache-status.ts';
import { heldReferrers } from './held-lists.ts';
import type { ListAsk, Listings } from './listing.ts';
import type { Name } from '../name.ts';
import type { Client } from '../passthrough.ts';
import { linkTo } from './paging.ts';
import type { Refusal } from '../refusal.ts';
import { refusalError, refusedOutcome } from '../refusal-error.ts';
import type { Reply } from '../reply.ts';
import { imageIndex } from './reply.ts';
import type { Route } from '../route.ts';
import type { Trace } from '../trace.ts';

export interface ReferrersAsk {
  readonly name: Name;
  readonly route: Route;
  readonly digest: Digest;
  readonly query: URLSearchParams;
  readonly client?: Client | undefined;
  readonly trace: Trace;
}

/** The bytes of a manifest by tag, pulled like any other; `undefined` when it is not there. */
export type FallbackTag = (
  name: Name,
  tag: string,
  asker: { readonly client?: Client | undefined; readonly trace: Trace },
) => Promise<{ readonly bytes: Uint8Array; readonly source: Source } | Refusal>;

/**
 * OCI distribution-spec, "Listing Referrers". Where an upstream has no such API, the mirror reads the referrers tag itself
 * ("Unavailable Referrers API"), so that clients always get a list.
 */
export async function referrersList(
  deps: { readonly fallbackTag: FallbackTag },
  listings: Listings,
  ask: ReferrersAsk,
): Promise<Reply> {
  const { name, digest, trace } = ask;
  const { registry, repository } = name;
  const query = pick(ask.query);
  const result = await listings.get(listAsk(ask, query));
  if (result.kind === 'listed') {
    trace.outcome = result.source.outcome;
    const link = result.next === undefined ? {} : { link: linkTo(`${name.base}/referrers/${digest}`, result.next, name.ns) };
    const filters = result.filtersApplied === undefined ? {} : { 'oci-filters-applied': result.filtersApplied };
    return imageIndex(new TextEncoder().encode(result.body), result.source, { ...link, ...filters });
  }
  if (result.kind === 'absent') return fallback(deps, ask, query.artifactType);
  if (result.kind === 'offline') return held(deps, listings, ask, query.artifactType);
  trace.outcome = refusedOutcome(result);
  throw refusalError(
    result,
    { kind: 'referrers', registry, repository, reference: digest },
    missStatus(result.tried.at(-1)?.upstream),
  );
}

function listAsk({ name, route, digest, trace }: ReferrersAsk, query: Query): ListAsk {
  const { registry, repository } = name;
  const request = { kind: 'referrers', method: 'GET', registry, repository, reference: digest, query } as const;
  return { route, request, key: `referrers ${digest} ${new URLSearchParams(query).toString()}`, trace };
}

/** Offline, and this very list is not held: made from what is. */
async function held(
  deps: { readonly fallbackTag: FallbackTag },
  listings: Listings,
  ask: ReferrersAsk,
  artifactType: string | undefined,
): Promise<Reply> {
  const { name, digest, trace } = ask;
  const whole = await listings.get(listAsk(ask, {}));
  const tagged = await deps.fallbackTag(name, referrersTag(digest), ask);
  const { bytes, source, filtered } = heldReferrers(
    whole.kind === 'listed' ? whole : undefined,
    'bytes' in tagged ? tagged.bytes : undefined,
    artifactType,
  );
  trace.outcome = source.outcome;
  return imageIndex(bytes, source, filtered ? { 'oci-filters-applied': 'artifactType' } : {});
}

async function fallback(
  deps: { readonly fallbackTag: FallbackTag },
  ask: ReferrersAsk,
  artifactType: string | undefined,
): Promise<Reply> {
  const { name, digest, trace } = ask;
  const tagged = await deps.fallbackTag(name, referrersTag(digest), ask);
  if ('kind' in tagged && tagged.kind !== 'absent') {
    trace.outcome = refusedOutcome(tagged);
    const { registry, repository } = name;
    throw refusalError(
      tagged,
      { kind: 'referrers', registry, repository, reference: digest },
      missStatus(tagged.tried.at(-1)?.upstream),
    );
  }
  const source: Source =
    'bytes' in tagged ? tagged.source : { outcome: 'miss', upstream: trace.upstream ?? 'none', stored: false };
  const list = 'bytes' in tagged ? tagged.bytes : emptyIndex();
  trace.outcome = source.outcome;
  if (artifactType === undefined) return imageIndex(list, source, {});
  return imageIndex(filterReferrers(list, artifactType), source, { 'oci-filters-applied': 'artifactType' });
}

type Query = Readonly<{ artifactType?: string; n?: string; last?: string }>;

/** The parameters that mean something upstream; `ns` and whatever else came with them stay here. */
function pick(query: URLSearchParams): Query {
  const entries = ['artifactType', 'n', 'last'].map((key) => [key, query.get(key)] as const);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== null && entry[1].length <= 512));
}
