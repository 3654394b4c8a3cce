import { RegistryError } from '../../oci/errors.ts';
import { formatNextLink } from '../../oci/link.ts';

/** Entries of a page at most: more is clamped, since `n` is the client's to choose and memory is ours (reliability.md, S23). */
export const PAGE_MAX = 1000;
const LAST_BYTES_MAX = 512;

/** `n` and `last` of a list (OCI distribution-spec, "Listing Tags"). */
export interface Page {
  /** `undefined`: the client leaves it open. */
  readonly n: number | undefined;
  readonly last: string | undefined;
}

export function readPage(query: URLSearchParams, lastBytesMax: number = LAST_BYTES_MAX): Page {
  const n = query.get('n');
  const last = query.get('last');
  if (n !== null && !/^\d{1,10}$/.test(n)) {
    throw new RegistryError('PAGINATION_NUMBER_INVALID', `n: "${n.slice(0, 20)}" is no number of entries; it is 0 or more`);
  }
  if (last !== null && last.length > lastBytesMax)
    throw new RegistryError('PAGINATION_NUMBER_INVALID', 'last: is too long to be an entry');
  return { n: n === null ? undefined : Math.min(Number(n), PAGE_MAX), last: last === null || last === '' ? undefined : last };
}

/** A `Link` to the next page that stays on this mirror: same path, same `ns`. */
export function linkTo(path: string, query: Readonly<Record<string, string>>, ns: string | undefined): string {
  const next = new URLSearchParams({ ...query, ...(ns === undefined ? {} : { ns }) });
  return formatNextLink(`${path}?${next.toString()}`);
}
