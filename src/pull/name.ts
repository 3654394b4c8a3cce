import { RegistryError } from '../oci/errors.ts';
import type { Digest } from '../oci/digest.ts';
import { parseDigest } from '../oci/digest.ts';
import { parseReference, type Reference } from '../oci/reference.ts';
import { parseRegistry } from '../oci/registry.ts';
import { parseRepository } from '../oci/repository.ts';
import { splitTarget, unknownEndpoint, type AsOf, type Endpoint } from './target.ts';

/** What is being asked for, after all the ways to spell it have been undone. */
export interface Name {
  /** Canonical, lower-case: `docker.io`, `localhost:5001`. */
  readonly registry: string;
  /** As that registry names it: `library/ubuntu`. */
  readonly repository: string;
  /** The repository as this client spelt it, by which the same Host can pull it: the `name` of tag lists. */
  readonly shown: string;
  /** `?ns=` as received, where it decided; echoed as `OCI-Namespace`. */
  readonly ns: string | undefined;
  /** The path of this client's requests up to and with the repository, `/v2/ubuntu`: links to further pages begin so. */
  readonly base: string;
  /** Its tags are asked for as of this moment, ms since the epoch. */
  readonly asof?: number;
  /** Under which somebody asks who is asked whether this may be let in (`admission/questions.ts`). */
  readonly nonce?: string;
}

export type Target =
  | { readonly kind: 'base' }
  | { readonly kind: 'manifest'; readonly name: Name; readonly reference: Reference }
  | { readonly kind: 'blob'; readonly name: Name; readonly digest: Digest }
  | { readonly kind: 'tags'; readonly name: Name }
  | { readonly kind: 'referrers'; readonly name: Name; readonly digest: Digest }
  /** `base`: the path that was asked, for links to further pages. */
  | { readonly kind: 'catalog'; readonly base: string }
  /** `session`: which of them; `undefined` where one is to begin. */
  | { readonly kind: 'upload'; readonly name: Name; readonly session: string | undefined };

/**
 * Reads a request target as it stood in the request line, and the Host header. Throws RegistryError: 400 for what breaks
 * the grammar, 404 for what can be no endpoint. Asks nobody.
 */
export type NameParser = (target: string, host: string | undefined) => Target;

export interface NameOptions {
  /** The registry of a name that names none. */
  readonly default: string;
  /** This server's own names. */
  readonly self: readonly string[];
  /** Host → registry; `*.suffix` → registry, or `*` for the labels before the suffix. */
  readonly hosts: ReadonlyMap<string, string>;
  /** A first segment that stands for a registry. */
  readonly prefixes: ReadonlyMap<string, string>;
  /** Other names of a registry. `index.docker.io` and `registry-1.docker.io` are built in. */
  readonly aliases: ReadonlyMap<string, string>;
  /** Stands before every path: `/registry`; empty for none. */
  readonly pathPrefix: string;
  /** The official registry's proxy mode: names are this registry's, another one's `ns` is 404. */
  readonly only?: string;
  /** Its plain mode: the name is the path as it stands, all of them under this registry, and nothing else is read. */
  readonly plain?: string;
}

const BUILT_IN_ALIASES: readonly (readonly [string, string])[] = [
  ['index.docker.io', 'docker.io'],
  ['registry-1.docker.io', 'docker.io'],
];

export function createNameParser(options: NameOptions): NameParser {
  const resolve = options.plain === undefined ? createResolver(options) : plainResolver(options.plain, options.pathPrefix);
  return (target, host) => {
    // A plain registry's names are its paths as they stand.
    const { prefix, endpoint, query, asof, nonce } = splitTarget(target, options.pathPrefix, options.plain === undefined);
    if (nonce !== undefined && 'path' in endpoint)
      return toTarget(endpoint, askedAbout(endpoint.path, nonce, options.pathPrefix));
    if (options.plain !== undefined && prefix !== '') throw unknownEndpoint();
    if (endpoint.kind === 'base') return { kind: 'base' };
    if (endpoint.kind === 'catalog' && asof !== undefined)
      throw new RegistryError('NAME_UNKNOWN', 'the catalogue is of now, and has no date: ask for it without asof');
    if (endpoint.kind === 'catalog')
      return { kind: 'catalog', base: `${options.pathPrefix}${prefix === '' ? '' : `/${prefix}`}/v2/_catalog` };
    const ns = options.plain === undefined ? namespaceOf(query) : undefined;
    const name = resolve(prefix, endpoint.path, ns, host);
    return toTarget(endpoint, asof === undefined ? name : asOf(name, asof, options.pathPrefix));
  };
}

/** The same repository as of then; the client goes on to spell it with the date. */
function asOf(name: Name, { at, text, where }: AsOf, pathPrefix: string): Name {
  const path = name.base.slice(pathPrefix.length);
  if (where === 'before') return { ...name, asof: at, base: `${pathPrefix}/asof/${text}${path}` };
  const base = `${pathPrefix}${path.replace('/v2/', `/v2/asof/${text}/`)}`;
  return { ...name, asof: at, base, shown: `asof/${text}/${name.shown}` };
}

/** Written out by us, whatever the Host stands for; a port with an underscore, since programs take no colon there. */
function askedAbout(path: string, nonce: string, pathPrefix: string): Name {
  const slash = path.indexOf('/');
  const shown = `admission/${nonce}/${path}`;
  const registry = path.slice(0, slash).replace(/_(\d+)$/, ':$1');
  const repository = checkRepository(path.slice(slash + 1));
  return { registry, repository, shown, ns: undefined, base: `${pathPrefix}/v2/${shown}`, nonce };
}

function toTarget(endpoint: Exclude<Endpoint, { kind: 'base' | 'catalog' }>, name: Name): Target {
  switch (endpoint.kind) {
    case 'manifest': {
      const reference = parseReference(endpoint.last);
      if (reference !== undefined) return { kind: 'manifest', name, reference };
      throw endpoint.last.includes(':')
        ? new RegistryError('DIGEST_INVALID', `"${endpoint.last}" is no sha256 or sha512 digest`)
        : new RegistryError('MANIFEST_UNKNOWN', `"${endpoint.last}" can be no tag: a tag is 1 to 128 of A-Z a-z 0-9 _ . -`);
    }
    case 'blob':
    case 'referrers': {
      const digest = parseDigest(endpoint.last);
      if (digest !== undefined) return { kind: endpoint.kind, name, digest };
      throw new RegistryError('DIGEST_INVALID', `"${endpoint.last}" is no sha256 or sha512 digest`);
    }
    case 'upload':
      return { kind: 'upload', name, session: endpoint.session };
    case 'tags':
      return { kind: 'tags', name };
  }
}

/**
 * The other way round: by which name a Host can pull what is held as `registry/repository`; `undefined` where that Host
 * stands for another registry. What the Host names need not be said, and neither need the default registry.
 */
export function createNameShower(options: NameOptions): (host: string | undefined) => NameShower {
  const parse = createNameParser({ ...options, pathPrefix: '' });
  const readAs = (name: string, host: string | undefined): string | undefined => {
    try {
      const target = parse(`/v2/${name}/tags/list`, host);
      return target.kind === 'tags' ? `${target.name.registry}/${target.name.repository}` : undefined;
    } catch (error) {
      if (error instanceof RegistryError) return undefined;
      throw error;
    }
  };
  return (host) => {
    const show = (holder: string): string | undefined => {
      const bare = holder.slice(holder.indexOf('/') + 1);
      return [bare, holder].find((name) => readAs(name, host) === holder);
    };
    return Object.assign(show, { home: readAs('any/name', host)?.replace(/\/any\/name$/, '') });
  };
}

/** As {@link import('./lists.ts').ShowName}. */
export interface NameShower {
  (holder: string): string | undefined;
  readonly home: string | undefined;
}

type Resolve = (prefix: string, path: string, ns: string | undefined, host: string | undefined) => Name;

/** The order is the contract's ("Names"): ns, Host, first segment, default; then aliases, then `library/`. */
function createResolver(options: NameOptions): Resolve {
  const aliases = new Map([...BUILT_IN_ALIASES, ...options.aliases]);
  const canonical = (registry: string): string => aliases.get(registry) ?? registry;
  const self = new Set(options.self);
  const hosts = createHostTable(options.hosts);
  const registryOf = (segment: string): string | undefined => {
    const prefixed = options.prefixes.get(segment);
    if (prefixed !== undefined) return canonical(prefixed);
    if (!/[.:]/.test(segment) && segment !== 'localhost') return undefined;
    const registry = parseRegistry(segment);
    return registry === undefined ? undefined : canonical(registry);
  };
  const byHost = (host: string | undefined): string | undefined => {
    for (const name of host === undefined ? [] : hostSpellings(host)) {
      const registry = self.has(name) ? name : hosts(name);
      if (registry !== undefined) return canonical(registry);
    }
    return undefined;
  };

  return (prefix, path, ns, host) => {
    const asked = ns === undefined ? undefined : canonicalNamespace(ns, canonical);
    if (options.only !== undefined && asked !== undefined && asked !== canonical(options.only)) {
      throw new RegistryError('NAME_UNKNOWN', `this mirror serves ${options.only} alone, not ${ns}`);
    }
    const scoped = asked ?? (options.only === undefined ? byHost(host) : canonical(options.only));
    const full = prefix === '' ? path : `${prefix}/${path}`;
    const slash = full.indexOf('/');
    const named = slash > 0 ? registryOf(full.slice(0, slash)) : undefined;
    const registry = scoped ?? named ?? canonical(options.default);
    // Under ns or Host a first segment that names the same registry is said twice (BuildKit); any other is part of the name.
    const repository = named === registry ? full.slice(slash + 1) : full;
    return {
      registry,
      repository: checkRepository(inLibrary(registry, repository)),
      shown: full,
      ns: asked === undefined ? undefined : ns,
      base: `${options.pathPrefix}${prefix === '' ? '' : `/${prefix}`}/v2/${path}`,
    };
  };
}

/** No `ns`, no Host, no alias, no `library/`. */
function plainResolver(registry: string, pathPrefix: string): Resolve {
  return (_prefix, path) => ({
    registry,
    repository: checkRepository(path),
    shown: path,
    ns: undefined,
    base: `${pathPrefix}/v2/${path}`,
  });
}

/** Docker Hub alone keeps its official images under `library/`. */
function inLibrary(registry: string, repository: string): string {
  return registry === 'docker.io' && !repository.includes('/') ? `library/${repository}` : repository;
}

function checkRepository(text: string): string {
  const repository = parseRepository(text);
  if (repository !== undefined) return repository;
  throw new RegistryError('NAME_INVALID', `"${text.slice(0, 300)}" can be no repository name`);
}

/** `?ns=`: empty is absent, equal repetitions are one, different ones are an error (protocol.md 4.3). */
function namespaceOf(query: string): string | undefined {
  if (!query.includes('ns=')) return undefined;
  const values = new Set(new URLSearchParams(query).getAll('ns').filter((value) => value !== ''));
  if (values.size > 1) throw new RegistryError('NAME_INVALID', 'the parameter ns is given twice with different values');
  return values.values().next().value;
}

function canonicalNamespace(ns: string, canonical: (registry: string) => string): string {
  const registry = parseRegistry(ns);
  if (registry === undefined) throw new RegistryError('NAME_INVALID', `ns: "${ns.slice(0, 300)}" is no registry's host name`);
  return canonical(registry);
}

/** The Host header as sent, then without its port. */
function hostSpellings(host: string): string[] {
  const lower = host.toLowerCase();
  const bare = lower.replace(/:\d+$/, '');
  return bare === lower ? [lower] : [lower, bare];
}

/** Exact names first, then wildcards, the longest suffix first. */
function createHostTable(hosts: ReadonlyMap<string, string>): (host: string) => string | undefined {
  const wildcards = [...hosts]
    .filter(([pattern]) => pattern.startsWith('*.'))
    .map(([pattern, registry]) => ({ suffix: pattern.slice(1), registry }))
    .sort((a, b) => b.suffix.length - a.suffix.length);
  return (host) => {
    const exact = hosts.get(host);
    if (exact !== undefined) return exact;
    for (const { suffix, registry } of wildcards) {
      if (host.length <= suffix.length || !host.endsWith(suffix)) continue;
      return registry === '*' ? parseRegistry(host.slice(0, -suffix.length)) : registry;
    }
    return undefined;
  };
}
