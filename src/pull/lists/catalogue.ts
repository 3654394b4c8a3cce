import type { Records } from '../../metadata/records.ts';
import { RegistryError } from '../../oci/errors.ts';
import { paged } from '../../system/paged.ts';
import { json } from './reply.ts';
import type { ShowName } from '../lists.ts';
import type { HiddenPlaces } from './hidden-place.ts';
import { linkTo, PAGE_MAX, readPage } from './paging.ts';
import type { Reply } from '../reply.ts';

const CATALOG_PAGE = 100;
const SEARCH_PAGE = 25;
const SEARCH_PAGE_MAX = 100;

/** Names that one answer looks at, shown or not: a page is then shorter, perhaps empty, and its link goes on behind them. */
const LOOKED_MAX = PAGE_MAX;
/** The same of a search, which has no next page: it finds nothing beyond. */
const SEARCHED_MAX = 20_000;

/** A place that is hidden is longer than a name. */
const LAST_BYTES_MAX = 1024;

export interface CatalogueDeps {
  readonly records: Pick<Records, 'repositories'>;
  readonly places: HiddenPlaces;
}

/** The official registry's `_catalog`: repositories of which something is held; `base` is the path that was asked. */
export async function catalog(deps: CatalogueDeps, query: URLSearchParams, show: ShowName, base: string): Promise<Reply> {
  const { n, last } = readPage(query, LAST_BYTES_MAX);
  const limit = n ?? CATALOG_PAGE;
  const after = last?.startsWith('~') === true ? await readable(() => deps.places.find(last)) : last;
  if (last !== undefined && after === undefined)
    throw new RegistryError('PAGINATION_NUMBER_INVALID', 'last: is no place in this list: begin it again');
  const { names, next } = limit === 0 ? NOTHING : await walk(deps, show, after, { limit, lookedMax: LOOKED_MAX });
  if (next === undefined) return json({ repositories: names }, { outcome: 'hit' }, {});
  const place = next.shown ?? (await readable(() => deps.places.hide(next.place)));
  const link = linkTo(base, { n: String(limit), last: place }, query.get('ns') ?? undefined);
  return json({ repositories: names }, { outcome: 'hit' }, { link });
}

/** What `docker search` asks of a registry (protocol.md 3.2). */
export async function search(deps: CatalogueDeps, query: URLSearchParams, show: ShowName): Promise<Reply> {
  const term = (query.get('q') ?? '').toLowerCase();
  const { n } = readPage(query);
  const limit = Math.min(Math.max(n ?? SEARCH_PAGE, 1), SEARCH_PAGE_MAX);
  const found = Object.assign(
    (holder: string): string | undefined => {
      const shown = show(holder);
      return shown?.includes(term) === true ? shown : undefined;
    },
    { home: show.home },
  );
  const { names } = await walk(deps, found, undefined, { limit, lookedMax: SEARCHED_MAX });
  const results = names.map((name) => ({ name, description: '', star_count: 0, is_official: false, is_automated: false }));
  return json({ num_results: results.length, query: term, results }, { outcome: 'hit' }, {});
}

interface Walked {
  readonly names: readonly string[];
  /** Where to go on; `undefined`: all has been looked at. `shown`: what stands there is theirs to know. */
  readonly next: { readonly place: string; readonly shown: string | undefined } | undefined;
}

const NOTHING: Walked = { names: [], next: undefined };

/** The first `limit` shown names behind a place, in order, of the first `lookedMax` that stand there. */
async function walk(
  deps: CatalogueDeps,
  show: ShowName,
  after: string | undefined,
  { limit, lookedMax }: { readonly limit: number; readonly lookedMax: number },
): Promise<Walked> {
  const names: string[] = [];
  let looked = 0;
  let last: Walked['next'];
  for await (const { place, holder } of inOrder(deps, show.home, after)) {
    if (looked === lookedMax || (names.length === limit && last !== undefined)) return { names, next: last };
    looked += 1;
    const shown = show(holder);
    last = { place, shown: shown === place ? shown : undefined };
    if (shown !== undefined) names.push(shown);
  }
  return { names, next: undefined };
}

/** A repository where it stands in the list: as its name is shown, without its registry where that is the one at home. */
interface Placed {
  readonly place: string;
  readonly holder: string;
}

/** The catalogue is by registry: what is at home there and all else are each in order, and are laid into one another. */
async function* inOrder(deps: CatalogueDeps, home: string | undefined, after: string | undefined): AsyncGenerator<Placed> {
  const own = home === undefined ? undefined : `${home}/`;
  const rest = others(deps, own, after);
  if (own === undefined) return yield* rest;
  const streams = [atHome(deps, own, after), rest];
  const heads = await Promise.all(streams.map(async (stream) => stream.next()));
  for (;;) {
    const [first, second] = heads as [IteratorResult<Placed>, IteratorResult<Placed>];
    if (first.done === true && second.done === true) return;
    const at = second.done === true || (first.done !== true && first.value.place < second.value.place) ? 0 : 1;
    yield heads[at]!.value as Placed;
    heads[at] = await streams[at]!.next();
  }
}

async function* atHome(deps: CatalogueDeps, own: string, after: string | undefined): AsyncGenerator<Placed> {
  for await (const holder of from(deps, `${own}${after ?? ''}`)) {
    if (!holder.startsWith(own)) return;
    yield { place: holder.slice(own.length), holder };
  }
}

async function* others(deps: CatalogueDeps, own: string | undefined, after: string | undefined): AsyncGenerator<Placed> {
  if (own === undefined) {
    for await (const holder of from(deps, after)) yield { place: holder, holder };
    return;
  }
  if (after === undefined || after < own) {
    for await (const holder of from(deps, after)) {
      if (holder.startsWith(own) || holder > own) break;
      yield { place: holder, holder };
    }
  }
  // Behind the last that begins with it: what comes after the slash in ASCII is the zero.
  const behind = `${own.slice(0, -1)}0`;
  const start = after === undefined || after < behind ? behind : after;
  for await (const holder of from(deps, start)) yield { place: holder, holder };
}

function from({ records }: CatalogueDeps, start: string | undefined): AsyncGenerator<string> {
  return paged(
    (after: string | undefined, limit) => readable(() => records.repositories(after ?? start, limit)),
    (holder) => holder,
  );
}

/** A catalogue that cannot be read is no fault of this program, and nothing that a client should take for an empty one. */
async function readable<T>(read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new RegistryError('UNAVAILABLE', 'what is held cannot be listed now', { status: 503, cause: error });
  }
}
