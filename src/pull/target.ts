import { RegistryError } from '../oci/errors.ts';
import { isLikeInstant, parseInstant } from '../oci/instant.ts';

/** A request target taken apart, before anybody asks which registry is meant. */
export interface SplitTarget {
  /** What stood before `/v2`: the `ghcr.io` of `/ghcr.io/v2/…`, or nothing. */
  readonly prefix: string;
  readonly endpoint: Endpoint;
  /** What stood behind the question mark. */
  readonly query: string;
  /** The moment as of which tags are asked for. */
  readonly asof: AsOf | undefined;
  /** Under which name somebody asks who is asked whether this may be let in; the path is then the whole name, with its registry. */
  readonly nonce?: string;
}

/** `/asof/2026-11-01/v2/…` says it `before` the registry's paths, `/v2/asof/2026-11-01/…` `within` them. */
export interface AsOf {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** As it was written. */
  readonly text: string;
  readonly where: 'before' | 'within';
}

/** `path` is the repository as it stood; `last` is the final segment. */
export type Endpoint =
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'tags'; readonly path: string }
  | { readonly kind: 'upload'; readonly path: string; readonly session: string | undefined }
  | { readonly kind: 'manifest' | 'blob' | 'referrers'; readonly path: string; readonly last: string };

/** Longer targets are no names: 255 of a repository, 137 of a digest, and room for a query. */
const TARGET_LENGTH_MAX = 4096;

/**
 * Takes the raw target apart by hand, since a router that decodes first lets `%2f..%2f` become a path (reliability.md,
 * S20). The only escape that is undone is the colon, which some proxies write as `%3A` in digests and ports.
 * `within`: whether a date within `/v2/` is one, and not a repository that is called so. Throws RegistryError 400 for any other
 * escape and for what was meant to be a date, 404 for what is no endpoint.
 */
export function splitTarget(target: string, pathPrefix: string, within = true): SplitTarget {
  if (target.length > TARGET_LENGTH_MAX) throw new RegistryError('NAME_INVALID', 'the request target is too long');
  const question = target.indexOf('?');
  const rawPath = pathOf(question < 0 ? target : target.slice(0, question));
  const path = rawPath.replaceAll(/%3a/gi, ':');
  if (path.includes('%')) throw new RegistryError('NAME_INVALID', 'a name holds no percent-encoded characters');
  if (!path.startsWith(`${pathPrefix}/`)) throw unknownEndpoint();
  const before = splitBefore(path.slice(pathPrefix.length));
  const { prefix, rest } = splitPrefix(before.rest);
  const asked = before.asof === undefined && prefix === '' ? splitNonce(rest) : undefined;
  if (asked !== undefined) return { prefix, query: '', asof: undefined, ...asked };
  const inside = before.asof === undefined && within ? splitWithin(rest) : { asof: before.asof, rest };
  const query = question < 0 ? '' : target.slice(question + 1);
  return { prefix, endpoint: endpointOf(inside.rest), query, asof: inside.asof };
}

/** A path without the date that it names, and the date. */
interface Dated {
  readonly asof: AsOf | undefined;
  readonly rest: string;
}

/** No registry is called `asof`, but `asof/v2/…` may be a prefix of one: only with a segment between them a date is meant. */
function splitBefore(path: string): Dated {
  const [, text, rest] = /^\/asof\/([^/]+)(\/.*)$/.exec(path) ?? [];
  if (text === undefined || rest === undefined || text === 'v2') return { asof: undefined, rest: path };
  const at = parseInstant(text);
  if (at === undefined) throw noInstant(text);
  return { asof: { at, text, where: 'before' }, rest };
}

/** A repository may well be called `asof/…`, so that only a whole date with a name behind it is one. */
function splitWithin(path: string): Dated {
  const [, text, rest] = /^asof\/([^/]+)\/(.+)$/.exec(path) ?? [];
  if (text === undefined || rest === undefined || !isLikeInstant(text) || isBare(rest)) return { asof: undefined, rest: path };
  const at = parseInstant(text);
  if (at === undefined) throw noInstant(text);
  return { asof: { at, text, where: 'within' }, rest };
}

/**
 * `/v2/admission/<nonce>/docker.io/library/alpine/…`: no repository is called by 32 hexadecimal digits of chance. Only what is asked
 * about can be had so, by its digest.
 */
function splitNonce(rest: string): { readonly nonce: string; readonly endpoint: Endpoint } | undefined {
  const [, nonce, path] = /^admission\/([0-9a-f]{32})\/([^/]+\/.+)$/.exec(rest) ?? [];
  if (nonce === undefined || path === undefined || isBare(path)) return undefined;
  const endpoint = endpointOf(path);
  if (endpoint.kind !== 'manifest' && endpoint.kind !== 'blob') throw unknownEndpoint();
  return { nonce, endpoint };
}

/** An endpoint without a name before it: what stood there is the name. */
function isBare(rest: string): boolean {
  return /^(?:tags\/list|(?:manifests|blobs|referrers)\/[^/]+|blobs\/uploads\/[^/]*)$/.test(rest);
}

function noInstant(text: string): RegistryError {
  const message = `asof: "${text.slice(0, 100)}" is no date such as 2026-11-01, nor a moment such as 2026-11-01T12:00:00Z`;
  return new RegistryError('NAME_INVALID', message);
}

/** The absolute form of a target (RFC 9112 3.2.2) names a host that we do not believe: only its path counts. */
function pathOf(target: string): string {
  if (target.startsWith('/')) return target;
  const scheme = target.indexOf('://');
  const slash = scheme < 0 ? -1 : target.indexOf('/', scheme + 3);
  if (slash < 0) throw unknownEndpoint();
  return target.slice(slash);
}

/** `/v2/…` and `/<one segment>/v2/…`. */
function splitPrefix(path: string): { prefix: string; rest: string } {
  if (path === '/v2' || path.startsWith('/v2/')) return { prefix: '', rest: path.slice(4) };
  const slash = path.indexOf('/', 1);
  const prefix = slash < 0 ? '' : path.slice(1, slash);
  if (prefix !== '' && (path.startsWith('/v2/', slash) || path.slice(slash) === '/v2')) {
    return { prefix, rest: path.slice(slash + 4) };
  }
  throw unknownEndpoint();
}

/** Matched from the right, since a repository may hold components named `blobs` or `manifests` (protocol.md 1.4). */
function endpointOf(rest: string): Endpoint {
  if (rest === '') return { kind: 'base' };
  if (rest === '_catalog') return { kind: 'catalog' };
  const tags = /^(.+)\/tags\/list$/.exec(rest);
  if (tags?.[1] !== undefined) return { kind: 'tags', path: tags[1] };
  const upload = /^(.+)\/blobs\/uploads(?:\/([^/]*))?$/.exec(rest);
  if (upload?.[1] !== undefined) return { kind: 'upload', path: upload[1], session: upload[2] || undefined };
  const object = /^(.+)\/(manifests|blobs|referrers)\/([^/]+)$/.exec(rest);
  const [, path, kind, last] = object ?? [];
  if (path === undefined || last === undefined) throw unknownEndpoint();
  return { kind: kind === 'manifests' ? 'manifest' : kind === 'blobs' ? 'blob' : 'referrers', path, last };
}

export function unknownEndpoint(): RegistryError {
  return new RegistryError('NAME_UNKNOWN', 'there is no such endpoint; the registry is under /v2/');
}
