import type { Records } from '../../metadata/records.ts';
import { RegistryError } from '../../oci/errors.ts';
import { pagesOf } from '../../system/paged.ts';
import { json } from './reply.ts';
import type { ShowName } from '../lists.ts';
import { linkTo, PAGE_MAX, readPage } from './paging.ts';
import type { Reply } from '../reply.ts';

const CATALOG_PAGE = 100;
const SEARCH_PAGE = 25;
const SEARCH_PAGE_MAX = 100;

interface CatalogueDeps {
  readonly records: Records;
}

/** The official registry's `_catalog`: repositories of which something is held; `base` is the path that was asked. */
export async function catalog(deps: CatalogueDeps, query: URLSearchParams, show: ShowName, base: string): Promise<Reply> {
  const { n, last } = readPage(query);
  const limit = n ?? CATALOG_PAGE;
  const names = limit === 0 ? [] : await collect(deps, (shown) => last === undefined || shown > last, limit + 1, show);
  const page = names.slice(0, limit);
  const next = { n: String(limit), last: page.at(-1) ?? '' };
  const link = names.length > limit ? { link: linkTo(base, next, query.get('ns') ?? undefined) } : {};
  return json({ repositories: page }, { outcome: 'hit' }, link);
}

/** What `docker search` asks of a registry (protocol.md 3.2). */
export async function search(deps: CatalogueDeps, query: URLSearchParams, show: ShowName): Promise<Reply> {
  const term = (query.get('q') ?? '').toLowerCase();
  const { n } = readPage(query);
  const limit = Math.min(Math.max(n ?? SEARCH_PAGE, 1), SEARCH_PAGE_MAX);
  const names = await collect(deps, (shown) => shown.includes(term), limit, show);
  const results = names.map((name) => ({ name, description: '', star_count: 0, is_official: false, is_automated: false }));
  return json({ num_results: results.length, query: term, results }, { outcome: 'hit' }, {});
}

/** The first `limit` shown names that pass, in order. Reads all of the catalogue, page by page, and holds two answers' worth. */
async function collect(
  { records }: CatalogueDeps,
  passes: (shown: string) => boolean,
  limit: number,
  show: ShowName,
): Promise<string[]> {
  let names: string[] = [];
  const pages = pagesOf(
    (after: string | undefined, limit) => readable(() => records.repositories(after, limit)),
    (holder) => holder,
    PAGE_MAX,
  );
  for await (const page of pages) {
    for (const holder of page) {
      const shown = show(holder);
      if (shown !== undefined && passes(shown)) names.push(shown);
    }
    if (names.length > 2 * limit) names = names.sort().slice(0, limit);
  }
  return names.sort().slice(0, limit);
}

/** A catalogue that cannot be read is no fault of this program, and nothing that a client should take for an empty one. */
async function readable<T>(read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new RegistryError('UNAVAILABLE', 'what is held cannot be listed now', { status: 503, cause: error });
  }
}
