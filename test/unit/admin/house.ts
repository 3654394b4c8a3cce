import type { AdminOptions } from '../../../src/admin/admin.ts';
import type { CacheControl } from '../../../src/admin/cache.ts';
import { createRecent } from '../../../src/admin/recent.ts';
import type { BlobStore } from '../../../src/blobs/blob-store.ts';
import type { Records, TagRecord, ReleaseRecord, TagMove } from '../../../src/metadata/records.ts';
import { digestOf, type Digest } from '../../../src/oci/digest.ts';
import type { Upstream } from '../../../src/upstream/upstream.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { UNKNOWN } from '../../fakes/scripted-port.ts';

/** Blobs in memory. */
export class HeldBlobs {
  readonly bytes = new Map<Digest, Uint8Array>();

  hold(value: string): Digest {
    const bytes = Buffer.from(value);
    const digest = digestOf(bytes);
    this.bytes.set(digest, bytes);
    return digest;
  }

  store(): BlobStore {
    const open = (digest: Digest): ReturnType<BlobStore['open']> => {
      const bytes = this.bytes.get(digest);
      if (bytes === undefined) return Promise.resolve(undefined);
      const read = (into: Uint8Array, position: number): Promise<number> => {
        const part = bytes.subarray(position, position + into.length);
        into.set(part);
        return Promise.resolve(part.length);
      };
      return Promise.resolve({ size: bytes.length, version: '1', read, close: () => {} });
    };
    const space = () => Promise.resolve({ freeBytes: 50, totalBytes: 100, freeInodes: 1, totalInodes: 2 });
    return { open, space, parts: () => Promise.resolve([]) } as unknown as BlobStore;
  }
}

export interface HeldNames {
  readonly tags: Map<string, Map<string, TagRecord>>;
  readonly links: Set<string>;
  /** Repositories that are hosted. */
  readonly owned: Set<string>;
  /** Of tags whatever their repository, newest first. */
  readonly moves: Map<string, readonly TagMove[]>;
  readonly released: Map<string, ReleaseRecord>;
}

/** Tags and links in memory, as the records have them. */
export function recordsOf(names: HeldNames): Records {
  const { tags, links, owned } = names;
  const page = <T>(items: readonly T[], key: (item: T) => string, after: string | undefined, limit: number): T[] =>
    items.filter((item) => after === undefined || key(item) > after).slice(0, limit);
  return {
    tag: (repository: string, tag: string) => tags.get(repository)?.get(tag),
    tags: (repository: string, after: string | undefined, limit: number) =>
      page(
        [...(tags.get(repository) ?? [])].map(([tag, record]) => ({ tag, record })),
        ({ tag }) => tag,
        after,
        limit,
      ),
    link: (repository: string, digest: Digest) =>
      links.has(`${repository} ${digest}`) ? { kind: 'manifest', size: 1, by: 'upstream', at: 0 } : undefined,
    repositories: (after: string | undefined, limit: number) => page([...tags.keys()].sort(), (name) => name, after, limit),
    pulls: () => ({ pulls: 3, last: 0 }),
    lastUse: () => 0,
    tagHistory: (_: string, tag: string) => names.moves.get(tag) ?? [],
    release: (_: string, tag: string) => names.released.get(tag),
    putRelease: (_: string, tag: string, record: ReleaseRecord) => Promise.resolve(void names.released.set(tag, record)),
    owner: (repository: string) => (owned.has(repository) ? { by: 'push', at: 500_000 } : undefined),
    disown: (repository: string) => Promise.resolve(owned.delete(repository)),
    ping: () => Promise.resolve(),
  } as unknown as Records;
}

export interface House extends AdminOptions {
  readonly clock: FakeClock;
  readonly held: HeldBlobs;
  readonly names: HeldNames;
}

/** Of a route that is online, and whose chain holds nothing that was pushed here. */
export const UNHOSTED = {
  offline: false,
  hosted: false,
  alone: false,
  push: false,
  names: ['hub-a'],
  cooldownMs: 0,
  asof: undefined,
};

export function house(changes: Partial<AdminOptions> = {}): House {
  const clock = createFakeClock(1_000_000);
  const held = new HeldBlobs();
  const names: HeldNames = { tags: new Map(), links: new Set(), owned: new Set(), moves: new Map(), released: new Map() };
  return {
    version: '1.2.3',
    started: 400_000,
    recent: createRecent(clock),
    records: recordsOf(names),
    blobs: held.store(),
    resolve(image) {
      const [path = '', reference = 'latest'] = image.includes('@') ? image.split('@') : image.split(':');
      return {
        steps: [`${image} is of docker.io`],
        registry: 'docker.io',
        repository: path.includes('/') ? path : `library/${path}`,
        reference,
      };
    },
    whoMayPull: (_holder, as) => (as === undefined ? 'everybody: no auth is configured' : `${as} may`),
    routeOf: () => ({ name: 'hub', at: 'config.yml:12', deny: false, ...UNHOSTED, chain: [], tagttlMs: 300_000 }),
    match: (pattern) => {
      const expression = new RegExp(`^${pattern.replaceAll('**', '.+').replaceAll(/(?<!\.)\*/g, '[^/]*')}$`);
      return (text) => expression.test(text);
    },
    cache: roomy(),
    refresh: () => Promise.resolve({ outcome: 'unchanged' }),
    collect: () => collected(),
    scrub: () => nothing(),
    import: () => nothing(),
    backup: () => nothing(),
    tokens: noTokens(),
    fills: () => [],
    upstreams: () => [],
    offline: () => ({ all: false, routes: [] }),
    hosted: () => [],
    quotas: () => Promise.resolve([]),
    shown: (holder) => holder,
    warnings: () => [],
    logDropped: () => 0,
    ...changes,
    clock,
    held,
    names,
  };
}

function noTokens(): AdminOptions['tokens'] {
  return {
    create: () => Promise.resolve('full'),
    list: () => Promise.resolve([]),
    revoke: () => Promise.resolve(undefined),
    isName: () => true,
  };
}

/** An upstream that says what it is told to say. */
export function scripted(name: string, ask: Upstream['ask']): Upstream {
  const status = {
    name,
    url: `https://${name}.test`,
    up: true,
    latencyMs: undefined,
    credentialsValid: undefined,
    lastError: undefined,
    rateLimit: undefined,
    running: 0,
  };
  return { name, ask, status: () => status, standing: () => UNKNOWN, close: () => Promise.resolve() };
}

/** A cache of 80 bytes that nothing has happened to. */
export function roomy(changes: Partial<CacheControl> = {}): CacheControl {
  return {
    evict: () => nothing(),
    nextToGo: () => nothing(),
    pins: () => Promise.resolve([]),
    readPin: () => ({ matches: () => false }),
    imageBytes: () => Promise.resolve(7),
    imageDigests: (_, root) => Promise.resolve(new Set([root])),
    maxAgeMs: () => undefined,
    state: () =>
      Promise.resolve({
        maxBytes: 80,
        usedBytes: 0,
        cachedBytes: 0,
        blobs: 0,
        asideBytes: 0,
        quarantineBytes: 0,
        watermarks: { high: 76, low: 68 },
        keepFreeBytes: 10,
        excessBytes: 0,
        evicted: undefined,
        reuse: undefined,
        pins: [],
      }),
    ...changes,
  };
}

/** Found nothing to take. */
async function* collected() {
  const none = { repositories: 0, unreadable: 0, tags: 0, manifests: 0, links: 0, blobs: 0, bytes: 0, uploads: 0 };
  yield await Promise.resolve({ kind: 'collected', dryRun: false, at: 0, ms: 1, ...none } as const);
}

async function* nothing(): AsyncGenerator<never> {
  yield* await Promise.resolve([]);
}
