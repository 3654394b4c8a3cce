import type { Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import { cacheStatus, missStatus, NEGATIVE_STATUS, warning, type Source } from './cache-status.ts';
import { Listings, type ListingDeps, type Listed, type Remembered } from './listing.ts';
import type { Name } from './name.ts';
import { linkTo, PAGE_MAX, readPage, type Page } from './paging.ts';
import { referrersList, type FallbackTag } from './referrers.ts';
import type { Refusal } from './refusal.ts';
import { refusalError } from './refusals.ts';
import type { Reply } from './reply.ts';
import type { Route, Router } from './route.ts';
import type { Trace } from './trace.ts';

/** What can be listed. Each throws RegistryError for refusals; the signal is the client's. */
export interface Lists {
  tags(name: Name, query: URLSearchParams, trace: Trace, signal: AbortSignal): Promise<Reply>;
  referrers(name: Name, digest: Digest, query: URLSearchParams, trace: Trace, signal: AbortSignal): Promise<Reply>;
  /** Repositories of which something is held, as this Host can pull them; `base` is the path that was asked, for the link. */
  catalog(query: URLSearchParams, show: ShowName, base: string): Promise<Reply>;
  /** What `docker search` asks of a registry: names held that contain `q`. */
  search(query: URLSearchParams, show: ShowName): Promise<Reply>;
}

/** The name by which a Host can pull `registry/repository`; `undefined` where it cannot. */
export type ShowName = (holder: string) => string | undefined;

export interface ListsDeps extends ListingDeps {
  readonly records: Records;
  readonly router: Router;
  readonly fallbackTag: FallbackTag;
}

const CATALOG_PAGE = 100;
const SEARCH_PAGE = 25;
const SEARCH_PAGE_MAX = 100;

export function createLists(deps: ListsDeps): Lists {
  const listings = new Listings(deps);
  return {
    tags: (name, query, trace) => tagList(deps, listings, name, readPage(query), trace),
    async referrers(name, digest, query, trace) {
      const route = routeOf(deps, name, trace, digest);
      return withNamespace(await referrersList(deps, listings, { name, route, digest, query, trace }), name);
    },
    catalog: (query, show, base) => catalog(deps.records, query, show, base),
    search: (query, show) => search(deps.records, query, show),
  };
}

/** OCI distribution-spec, "Listing Tags". */
async function tagList(deps: ListsDeps, listings: Listings, name: Name, { n, last }: Page, trace: Trace): Promise<Reply> {
  const route = routeOf(deps, name, trace, undefined);
  // n=0 asks for nothing but whether the repository is there; no upstream is trusted to know that.
  const query = { ...(n === undefined ? {} : { n: String(Math.max(1, n)) }), ...(last === undefined ? {} : { last }) };
  const { registry, repository } = name;
  const request = { kind: 'tags', method: 'GET', registry, repository, reference: '', query } as const;
  const result = await listings.get({ route, request, key: `tags ${new URLSearchParams(query).toString()}`, trace });
  if (result.kind !== 'listed') throw refused(result, { kind: 'tags', registry, repository, reference: '' }, trace);
  trace.outcome = result.source.outcome;
  const { tags, next } = pageOf(result, n, last);
  const link = next === undefined ? {} : { link: linkTo(`${name.base}/tags/list`, next, name.ns) };
  return withNamespace(json({ name: name.shown, tags }, result.source, link), name);
}

/** The upstream's page, begun after `last` and cut to `n` where it took no notice of them. */
function pageOf(
  listed: Listed,
  n: number | undefined,
  last: string | undefined,
): { tags: string[]; next: Readonly<Record<string, string>> | undefined } {
  const { tags: raw } = JSON.parse(listed.body) as { tags?: unknown };
  if (n === 0) return { tags: [], next: undefined };
  const all = Array.isArray(raw) ? raw.filter((tag): tag is string => typeof tag === 'string') : [];
  const tags = last === undefined ? all : tagsAfter(all, last);
  if (n === undefined || tags.length <= n) return { tags, next: listed.next };
  const page = tags.slice(0, n);
  return { tags: page, next: { n: String(n), last: page.at(-1) ?? '' } };
}

/** A list that begins again at every page would never end for the client. */
function tagsAfter(tags: readonly string[], last: string): string[] {
  const at = tags.indexOf(last);
  if (at >= 0) return tags.slice(at + 1);
  const isSorted = tags.every((tag, index) => index === 0 || (tags[index - 1] ?? '') <= tag);
  return isSorted ? tags.filter((tag) => tag > last) : [...tags];
}

async function catalog(records: Records, query: URLSearchParams, show: ShowName, base: string): Promise<Reply> {
  const { n, last } = readPage(query);
  const limit = n ?? CATALOG_PAGE;
  const names = limit === 0 ? [] : await collect(records, (shown) => last === undefined || shown > last, limit + 1, show);
  const page = names.slice(0, limit);
  const next = { n: String(limit), last: page.at(-1) ?? '' };
  const link = names.length > limit ? { link: linkTo(base, next, query.get('ns') ?? undefined) } : {};
  return json({ repositories: page }, { outcome: 'hit' }, link);
}

async function search(records: Records, query: URLSearchParams, show: ShowName): Promise<Reply> {
  const term = (query.get('q') ?? '').toLowerCase();
  const { n } = readPage(query);
  const limit = Math.min(Math.max(n ?? SEARCH_PAGE, 1), SEARCH_PAGE_MAX);
  const names = await collect(records, (shown) => shown.includes(term), limit, show);
  const results = names.map((name) => ({ name, description: '', star_count: 0, is_official: false, is_automated: false }));
  return json({ num_results: results.length, query: term, results }, { outcome: 'hit' }, {});
}

/** The first `limit` shown names that pass, in order. Reads all of the catalogue, page by page, and holds two answers' worth. */
async function collect(records: Records, passes: (shown: string) => boolean, limit: number, show: ShowName): Promise<string[]> {
  let names: string[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await records.repositories(after, PAGE_MAX);
    for (const holder of page) {
      const shown = show(holder);
      if (shown !== undefined && passes(shown)) names.push(shown);
    }
    if (names.length > 2 * limit) names = names.sort().slice(0, limit);
    after = page.at(-1);
    if (page.length < PAGE_MAX || after === undefined) break;
  }
  return names.sort().slice(0, limit);
}

function routeOf(deps: ListsDeps, name: Name, trace: Trace, reference: string | undefined): Route {
  trace.registry = name.registry;
  trace.repository = name.repository;
  trace.reference = reference;
  const route = deps.router(name);
  if (route === undefined)
    throw new RegistryError('NAME_UNKNOWN', `no route of this mirror leads to ${name.registry}/${name.repository}`);
  trace.route = route.name;
  if (!route.deny) return route;
  trace.outcome = 'denied';
  throw new RegistryError('DENIED', `${name.registry}/${name.repository} is denied here by the route ${route.name}`);
}

function refused(refusal: Refusal | Remembered, what: Parameters<typeof refusalError>[1], trace: Trace): RegistryError {
  trace.outcome = refusal.kind === 'absent' ? 'negative' : refusal.kind === 'denied' ? 'denied' : 'error';
  return refusalError(refusal, what, 'remembered' in refusal ? NEGATIVE_STATUS : missStatus(refusal.tried.at(-1)?.upstream));
}

function json(value: unknown, source: Source, headers: Readonly<Record<string, string>>): Reply {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  const text = warning(source);
  return {
    status: 200,
    headers: {
      'content-type': 'application/json',
      'content-length': String(bytes.byteLength),
      'cache-status': cacheStatus(source),
      ...(text === undefined ? {} : { warning: text }),
      ...headers,
    },
    body: { kind: 'bytes', bytes },
  };
}

function withNamespace(reply: Reply, { ns }: Name): Reply {
  return ns === undefined ? reply : { ...reply, headers: { ...reply.headers, 'oci-namespace': ns } };
}
