import type { BlobStore } from '../blobs/blob-store.ts';
import type { MaybePromise } from '../metadata/metadata-store.ts';
import type { Records } from '../metadata/records.ts';
import type { Clock } from '../system/clock.ts';
import type { UpstreamStatus } from '../upstream/upstream.ts';
import { AdminError } from './admin-error.ts';
import type { CacheControl } from './cache.ts';
import type { Backup } from './backup.ts';
import type { Collect } from './collect.ts';
import type { Import } from './import.ts';
import { evictHeld, type EvictRequest, type EvictStep } from './evict.ts';
import { explain, type Explanation } from './explain.ts';
import type { RefreshResult, Resolve, RouteOf } from './image.ts';
import { listHeld, type ListedTag } from './ls.ts';
import { pinImages, unpinImages, type Pinned, type PinView } from './pins.ts';
import type { Recent, RecentClient } from './recent.ts';
import { disown, type Disowned } from './disown.ts';
import { release, type Released } from './release.ts';
import type { Scrub } from './scrub.ts';
import {
  createToken,
  listTokens,
  revokeToken,
  type CreatedToken,
  type TokenKeeping,
  type TokenRequest,
  type TokenView,
} from './tokens.ts';
import { status, type HostedRoute, type OfflineRoutes, type RouteQuota, type RunningFill, type Status } from './status.ts';

/** What the command line asks a running server, or a store that it opened itself. */
export interface Admin {
  status(): Promise<Status>;
  /** Throws AdminError for what can be no image. */
  /** `as`: whether this subject may pull it. */
  explain(image: string, signal: AbortSignal, as?: string): Promise<Explanation>;
  /** What is held, by name. `pattern` undefined lists everything. Throws AdminError where nothing held matches. */
  ls(pattern: string | undefined): AsyncIterable<ListedTag>;
  /** Drops what is cached under a name; see {@link EvictRequest}. Throws AdminError where nothing matches, or all of it stays. */
  evict(request: EvictRequest): AsyncIterable<EvictStep>;
  /** From now on those images are not evicted. Throws AdminError for what can be no pin. */
  pin(pattern: string): Promise<Pinned>;
  /** Throws AdminError where no command pinned them. */
  unpin(pattern: string): Promise<PinView>;
  /** Asks upstream now what a tag points to, whatever its age. Throws AdminError for a digest, which never changes. */
  refresh(image: string): Promise<RefreshedTag>;
  /** Ends the cooldown of what a tag was last seen to point to, and forgets what judges said. Throws AdminError where there is neither. */
  release(image: string): Promise<Released>;
  /** Gives a hosted repository back to its chain, with all that was pushed. Throws AdminError where that cannot be. */
  disown(repository: string): Promise<Disowned>;
  /** Removes what was pushed and nothing needs. Throws RegistryError where another collects. */
  collect: Collect;
  /** Reads all that is held through. Throws RegistryError where another process does. */
  scrub: Scrub;
  /** Takes over an official registry's data. */
  import: Import;
  /** A copy that can be restored, while everything goes on. */
  backup: Backup;
  /** Makes a machine token and tells it, once. Throws AdminError where the name is taken, or can be none. */
  createToken(request: TokenRequest): Promise<CreatedToken>;
  /** Machine tokens by name, without what they are. */
  tokens(): Promise<readonly TokenView[]>;
  /** From the next request on it is refused. Throws AdminError where there is none of that name. */
  revokeToken(name: string): Promise<TokenView>;
  /** One readable line a request from now on, until the signal. */
  tail(signal: AbortSignal): AsyncIterable<string>;
  clients(): MaybePromise<readonly RecentClient[]>;
}

export interface RefreshedTag extends RefreshResult {
  /** `docker.io/library/alpine:latest`. */
  readonly image: string;
}

export interface AdminOptions {
  readonly version: string;
  readonly clock: Clock;
  /** `clock.now()` at the start. */
  readonly started: number;
  readonly records: Records;
  readonly blobs: BlobStore;
  readonly recent: Recent;
  readonly resolve: Resolve;
  readonly routeOf: RouteOf;
  /** Who may pull it, or whether `as` may and why. Throws AdminError where nobody is called so. */
  readonly whoMayPull: (holder: string, as: string | undefined) => string;
  /** The name by which a person can ask for what is held under `registry/repository`. */
  readonly shown: (holder: string) => string;
  /** Compiles a pattern over `registry/repository`. */
  readonly match: (pattern: string) => (text: string) => boolean;
  readonly refresh: (name: { registry: string; repository: string }, tag: string) => Promise<RefreshResult>;
  readonly cache: CacheControl;
  readonly collect: Collect;
  readonly scrub: Scrub;
  readonly import: Import;
  readonly backup: Backup;
  readonly tokens: TokenKeeping;
  readonly fills: () => readonly RunningFill[];
  readonly upstreams: () => readonly UpstreamStatus[];
  readonly offline: () => OfflineRoutes;
  readonly hosted: () => readonly HostedRoute[];
  /** What the routes with a `quota` hold. Rejects while that cannot be counted. */
  readonly quotas: () => Promise<readonly RouteQuota[]>;
  /** What lasts and a person should know: degraded storage, keys that wait for a restart, a configuration's warnings. */
  readonly warnings: () => readonly string[];
  /** Log records that nobody read. */
  readonly logDropped: () => number;
}

export function createAdmin(options: AdminOptions): Admin {
  return {
    status: () => status(options),
    explain: (image, signal, as) => explain(options, image, signal, as),
    ls: (pattern) => listHeld(options, pattern),
    evict: (request) => evictHeld(options, request),
    pin: (pattern) => pinImages(options, pattern),
    unpin: (pattern) => unpinImages(options, pattern),
    async refresh(image) {
      const { registry, repository, reference } = options.resolve(image);
      if (reference.includes(':')) throw new AdminError(`${image} names a digest, which never changes: name a tag`);
      const result = await options.refresh({ registry, repository }, reference);
      return { ...result, image: `${registry}/${repository}:${reference}` };
    },
    release: (image) => release(options, image),
    disown: (repository) => disown(options, repository),
    collect: (request) => options.collect(request),
    scrub: (request) => options.scrub(request),
    import: (request) => options.import(request),
    backup: (request) => options.backup(request),
    createToken: (request) => createToken(options, request),
    tokens: () => listTokens(options),
    revokeToken: (name) => revokeToken(options, name),
    tail: (signal) => options.recent.tail(signal),
    clients: () => options.recent.clients(),
  };
}
