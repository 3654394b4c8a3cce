import type { Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import { formatInstant } from '../oci/instant.ts';
import { noSuchName } from '../oci/no-such-name.ts';
import { AS_OF_STATUS, missStatus, NEGATIVE_STATUS, OFFLINE_STATUS } from './cache-status.ts';
import { earlier } from './meaning.ts';
import { answersHere } from './hosted.ts';
import { coolingTags, tagsAsOf } from './lists/tags-as-of.ts';
import { Listings, type ListingDeps, type Listed, type Remembered } from './lists/listing.ts';
import type { Name } from './name.ts';
import { catalog, search } from './lists/catalogue.ts';
import { json } from './lists/reply.ts';
import { referrersHosted, tagsHosted } from './lists/hosted-lists.ts';
import { createHiddenPlaces } from './lists/hidden-place.ts';
import { heldTags } from './lists/held-lists.ts';
import { linkTo, readPage, type Page } from './lists/paging.ts';
import { referrersList, type FallbackTag } from './lists/referrers.ts';
import { OFFLINE, readable } from './offline.ts';
import type { Client, Entrance, Passthrough } from './passthrough.ts';
import type { Refusal } from './refusal.ts';
import { refusalError, refusedOutcome } from './refusal-error.ts';
import type { Reply } from './reply.ts';
import type { Route, Router } from './route.ts';
import type { Random } from '../system/random.ts';
import type { Trace } from './trace.ts';
import { carrying } from './via.ts';

/** Who wants a list; `client` as far as an upstream may be told. */
export interface Asker {
  readonly client?: Client | undefined;
  readonly trace: Trace;
}

/** What can be listed. Each throws RegistryError for refusals. */
export interface Lists {
  tags(name: Name, query: URLSearchParams, asker: Asker): Promise<Reply>;
  referrers(name: Name, digest: Digest, query: URLSearchParams, asker: Asker): Promise<Reply>;
  /** Repositories of which something is held, as this Host can pull them; `base` is the path that was asked, for the link. */
  catalog(query: URLSearchParams, show: ShowName, base: string): Promise<Reply>;
  /** What `docker search` asks of a registry: names held that contain `q`. */
  search(query: URLSearchParams, show: ShowName): Promise<Reply>;
}

/** The name by which a Host can pull `registry/repository`; `undefined` where it cannot. */
export interface ShowName {
  (holder: string): string | undefined;
  /** The registry whose names are shown without it; `undefined`: none. */
  readonly home?: string | undefined;
}

export interface ListsDeps extends ListingDeps {
  readonly records: Records;
  readonly random: Random;
  readonly router: Router;
  readonly fallbackTag: FallbackTag;
  readonly passthrough: Pick<Passthrough, 'enter'>;
}

export function createLists(deps: ListsDeps): Lists {
  const listings = new Listings(deps);
  const places = createHiddenPlaces(deps);
  return {
    tags: (name, query, asker) => tagList(deps, listings, name, readPage(query), asker),
    async referrers(name, digest, query, asker) {
      const route = await enter(deps, name, asker, { kind: 'referrers', reference: digest });
      const ask = { name, route, digest, query, ...asker };
      return withNamespace((await referrersHosted(deps, ask)) ?? (await referrersList(deps, listings, ask)), name);
    },
    catalog: (query, show, base) => catalog({ ...deps, places }, query, show, base),
    search: (query, show) => search({ ...deps, places }, query, show),
  };
}

/** OCI distribution-spec, "Listing Tags". */
async function tagList(deps: ListsDeps, listings: Listings, name: Name, { n, last }: Page, asker: Asker): Promise<Reply> {
  const { trace } = asker;
  const route = await enter(deps, name, asker, { kind: 'tags', reference: '' });
  const asof = earlier(name.asof, route.policy.asof);
  if (asof !== undefined) return tagsThen(deps, route, name, { n, last }, asof, trace);
  const hosted = await tagsHosted(deps, { name, route, trace }, { n, last });
  if (hosted !== undefined) return withNamespace(hosted, name);
  const cooling = await coolingNow(deps, route, name);
  if (route.policy.offline) return tagsOffline(deps, route, name, { n, last }, cooling, trace);
  // n=0 asks for nothing but whether the repository is there; no upstream is trusted to know that.
  const query = { ...(n === undefined ? {} : { n: String(Math.max(1, n)) }), ...(last === undefined ? {} : { last }) };
  const { registry, repository } = name;
  const request = { kind: 'tags', method: 'GET', registry, repository, reference: '', query } as const;
  const result = await listings.get({ route, request, key: `tags ${new URLSearchParams(query).toString()}`, trace });
  if (result.kind === 'unreachable' && result.looped !== true && route.policy.staleMs > 0) {
    const held = await tagsHeldInstead(deps, route, name, { n, last }, cooling, trace);
    if (held !== undefined) return held;
  }
  if (result.kind !== 'listed') throw refused(result, { kind: 'tags', registry, repository, reference: '' }, trace);
  trace.outcome = result.source.outcome;
  const { tags, next } = pageOf(result, n, last);
  const link = next === undefined ? {} : { link: linkTo(`${name.base}/tags/list`, next, name.ns) };
  return withNamespace(json({ name: name.shown, tags: without(tags, cooling) }, result.source, link), name);
}

/** By what is known of then, whoever is asked of now; what was pushed here has no cooldown. Throws RegistryError: 404 for nothing. */
async function tagsThen(deps: ListsDeps, route: Route, name: Name, page: Page, at: number, trace: Trace): Promise<Reply> {
  const { registry, repository } = name;
  const holder = `${registry}/${repository}`;
  const found = await readable(deps.report, async () => {
    const isOurs = route.hosted && (await answersHere(deps, { route, holder }));
    return tagsAsOf(deps.records, route, holder, { at, cooldownMs: isOurs ? 0 : route.policy.cooldownMs }, page);
  });
  if (found === undefined || at > deps.clock.now()) {
    trace.outcome = 'negative';
    const then = formatInstant(at);
    const detail = { asof: { at: then } };
    throw new RegistryError('NAME_UNKNOWN', `nothing is known of the tags of ${holder} as of ${then}`, {
      detail,
      headers: { 'cache-status': AS_OF_STATUS },
    });
  }
  trace.outcome = 'hit';
  const link = found.next === undefined ? {} : { link: linkTo(`${name.base}/tags/list`, found.next, name.ns) };
  return withNamespace(json({ name: name.shown, tags: found.tags }, { outcome: 'hit', past: 'asof' }, link), name);
}

const NONE: ReadonlySet<string> = new Set();

/** Tags that a pull would be refused now. A list grants nothing: while that cannot be told it is told as it is. */
async function coolingNow(deps: ListsDeps, { policy }: Route, { registry, repository }: Name): Promise<ReadonlySet<string>> {
  if (policy.cooldownMs === 0) return NONE;
  try {
    const now = { at: deps.clock.now(), cooldownMs: policy.cooldownMs };
    return await coolingTags(deps.records, `${registry}/${repository}`, now);
  } catch (error) {
    deps.report({ kind: 'bypass', reason: 'metadata', error });
    return NONE;
  }
}

function without(tags: readonly string[], left: ReadonlySet<string>): readonly string[] {
  return left.size === 0 ? tags : tags.filter((tag) => !left.has(tag));
}

const HELD_ALONE = 'stale: no upstream could be asked, and only tags that are held here are listed';

/** The chain fails, and its list was never asked for: what can be pulled all the same. `undefined` where nothing can. */
async function tagsHeldInstead(
  deps: ListsDeps,
  route: Route,
  name: Name,
  page: Page,
  cooling: ReadonlySet<string>,
  trace: Trace,
): Promise<Reply | undefined> {
  const holder = `${name.registry}/${name.repository}`;
  const found = await heldTags(deps.records, route, holder, page).catch(() => undefined); // Then the chain's answer stands.
  if (found === undefined || (found.tags.length === 0 && page.last === undefined && page.n !== 0)) return undefined;
  const source = { outcome: 'stale', ttlSeconds: 0, why: HELD_ALONE } as const;
  trace.outcome = source.outcome;
  const link = found.next === undefined ? {} : { link: linkTo(`${name.base}/tags/list`, found.next, name.ns) };
  return withNamespace(json({ name: name.shown, tags: without(found.tags, cooling) }, source, link), name);
}

/** Nobody is asked: the tags that are held. */
async function tagsOffline(
  deps: ListsDeps,
  route: Route,
  name: Name,
  page: Page,
  cooling: ReadonlySet<string>,
  trace: Trace,
): Promise<Reply> {
  const { registry, repository } = name;
  const found = await readable(deps.report, () => heldTags(deps.records, route, `${registry}/${repository}`, page));
  if (found === undefined) {
    trace.outcome = refusedOutcome(OFFLINE);
    throw refusalError(OFFLINE, { kind: 'tags', registry, repository, reference: '' }, OFFLINE_STATUS);
  }
  trace.outcome = 'hit';
  const link = found.next === undefined ? {} : { link: linkTo(`${name.base}/tags/list`, found.next, name.ns) };
  return withNamespace(json({ name: name.shown, tags: without(found.tags, cooling) }, { outcome: 'hit' }, link), name);
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

/** Through the door of its route, where that has one. */
async function enter(deps: ListsDeps, name: Name, asker: Asker, what: Pick<Entrance, 'kind' | 'reference'>): Promise<Route> {
  const route = routeOf(deps, name, asker.trace, what.reference === '' ? undefined : what.reference);
  if (route.passthrough === undefined) return route;
  const { registry, repository } = name;
  return deps.passthrough.enter({ route, registry, repository, client: undefined, ...asker, ...what });
}

function routeOf(deps: ListsDeps, name: Name, trace: Trace, reference: string | undefined): Route {
  trace.registry = name.registry;
  trace.repository = name.repository;
  trace.reference = reference;
  const route = deps.router(name);
  if (route === undefined) throw noSuchName(`${name.registry}/${name.repository}`);
  trace.route = route.name;
  if (!route.deny) return carrying(route, trace.via);
  trace.outcome = 'denied';
  throw new RegistryError('DENIED', `${name.registry}/${name.repository} is denied here by the route ${route.name}`);
}

function refused(refusal: Refusal | Remembered, what: Parameters<typeof refusalError>[1], trace: Trace): RegistryError {
  trace.outcome = refusedOutcome(refusal);
  return refusalError(refusal, what, 'remembered' in refusal ? NEGATIVE_STATUS : missStatus(refusal.tried.at(-1)?.upstream));
}

function withNamespace(reply: Reply, { ns }: Name): Reply {
  return ns === undefined ? reply : { ...reply, headers: { ...reply.headers, 'oci-namespace': ns } };
}
