import type { Records } from '../../metadata/records.ts';
import { emptyIndex, filterReferrers } from '../../oci/referrers.ts';
import type { Source } from '../cache-status.ts';
import { PAGE_MAX, type Page } from './paging.ts';
import { shows, type Terms } from '../granting.ts';
import type { Listed } from './listing.ts';

/** What an offline route lists: what is held. */
export interface HeldTags {
  readonly tags: readonly string[];
  /** The query of the next page. */
  readonly next: { readonly n: string; readonly last: string } | undefined;
}

/**
 * The tags that are held and may be shown on that route, of a page of them; `undefined` where nothing of the repository is. A page
 * may be shorter than it was asked for.
 */
export async function heldTags(
  records: Records,
  route: Terms,
  holder: string,
  { n, last }: Page,
): Promise<HeldTags | undefined> {
  const limit = n ?? PAGE_MAX;
  const found = limit === 0 ? [] : await records.tags(holder, last, limit + 1);
  if (found.length === 0 && !(await isKnown(records, holder))) return undefined;
  const page = found.slice(0, limit);
  const shown = await Promise.all(page.map(({ record }) => shows({ records }, route, record.digest, record)));
  const tags = page.filter((_, at) => shown[at]).map(({ tag }) => tag);
  const next = found.length > limit ? { n: String(limit), last: page.at(-1)?.tag ?? '' } : undefined;
  return { tags, next };
}

async function isKnown(records: Records, holder: string): Promise<boolean> {
  const [tag] = await records.tags(holder, undefined, 1);
  if (tag !== undefined) return true;
  return (await records.links(holder, undefined, 1)).length > 0;
}

/**
 * Referrers where the list that was asked for is not held: filtered from the whole list, where all of that is; else from
 * the referrers tag; else none, which the specification wants answered with an empty index.
 */
export function heldReferrers(
  whole: Listed | undefined,
  tagged: Uint8Array | undefined,
  artifactType: string | undefined,
): { readonly bytes: Uint8Array; readonly source: Source; readonly filtered: boolean } {
  const list = whole === undefined || whole.next !== undefined ? tagged : new TextEncoder().encode(whole.body);
  const bytes = list ?? emptyIndex();
  const source: Source = { outcome: 'hit' };
  if (artifactType === undefined) return { bytes, source, filtered: false };
  return { bytes: filterReferrers(bytes, artifactType), source, filtered: true };
}
