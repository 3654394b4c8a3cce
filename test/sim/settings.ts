import type { Config, RouteConfig } from '../../src/config/config.ts';
import { chainsOver, type Chains } from '../../src/compose/chains.ts';
import type { UpstreamSet } from '../../src/compose/upstreams.ts';
import { HOSTED } from '../../src/metadata/records.ts';
import { createBalance } from '../../src/pull/balance.ts';
import { createLimits } from '../../src/pull/limits.ts';
import type { Upstream } from '../../src/upstream/upstream.ts';
import { load } from '../unit/config/load.ts';
import { THIEF, UPSTREAMS } from './network.ts';

/** What a reload changes; plain data. */
export interface Settings {
  /** docker.io's chain is asked from the other end. */
  readonly reversed: boolean;
  readonly balance: 'failover' | 'round-robin' | 'least-latency';
  readonly parallel: 1 | 4;
  /** quay.io is served from what is held, and nobody is asked. */
  readonly offline: boolean;
  readonly onDelete: 'keep' | 'drop';
  readonly prefetch: boolean;
  /** Of the cache; `undefined`: as much as the disk has. */
  readonly maxBytes: number | undefined;
}

export const PLAIN: Settings = {
  reversed: false,
  balance: 'failover',
  parallel: 1,
  offline: false,
  onDelete: 'keep',
  prefetch: false,
  maxBytes: undefined,
};

export const TAG_TTL_MS = 60_000;
export const NEGATIVE_TTL_MS = 30_000;
/** Uploads that nobody goes on with. */
export const PURGE_AGE_MS = 24 * 3600_000;

const loaded = new Map<string, Promise<Config>>();

/** Read by the real loader, once for each text. */
export async function configOf(settings: Settings): Promise<Config> {
  const text = textOf(settings);
  const known = loaded.get(text) ?? load(text);
  loaded.set(text, known);
  const config = await known;
  // Smaller than a file may say: the blobs are small here, too.
  return { ...config, cache: { ...config.cache, maxBytes: settings.maxBytes } };
}

function textOf({ reversed, balance, parallel, offline, onDelete, prefetch }: Settings): string {
  const policy = { tagttl: '60s', negativettl: '30s', retry: '10s', ondelete: onDelete };
  const hubs = reversed ? ['hub-b', 'hub-a'] : ['hub-a', 'hub-b'];
  return JSON.stringify({
    version: 0.1,
    http: { addr: '127.0.0.1:0' },
    storage: {
      filesystem: { rootdirectory: '/data' },
      delete: { enabled: true },
      maintenance: { uploadpurging: { enabled: true, age: '24h', interval: '1h' } },
    },
    upstreams: Object.fromEntries([...UPSTREAMS, THIEF].map((name) => [name, { url: `https://${name}.example.test` }])),
    routes: [
      { name: 'evil', match: 'docker.io/evil/**', deny: true },
      {
        name: 'hub',
        match: 'docker.io/**',
        upstreams: hubs,
        balance,
        parallel,
        prefetch: prefetch ? 'layers' : 'none',
        immutable: ['v*'],
        ...policy,
      },
      { name: 'quay', match: 'quay.io/**', upstreams: ['quay'], offline, ...policy },
      { name: 'thief', match: 'thief.io/**', upstreams: [THIEF], ...policy },
      { name: 'mixed', match: 'mixed.io/**', upstreams: [HOSTED, 'hub-c'], push: true, ...policy },
      { name: 'own', match: 'own.io/**', upstreams: [HOSTED], push: true },
    ],
  });
}

/** Chains over these upstreams, routed as the server routes. */
export function layChains(config: Config, byName: ReadonlyMap<string, Upstream>): Chains {
  const chainOf = ({ policy, upstreams }: RouteConfig): readonly Upstream[] =>
    policy.offline ? [] : upstreams.map((name) => byName.get(name)).filter((upstream) => upstream !== undefined);
  const set: UpstreamSet = {
    byName: new Map(),
    limitsOf: (route) => createLimits(chainOf(route), 0),
    reserveOf: () => 0,
    passingOf: () => undefined,
    balanceOf: (route) => createBalance(chainOf(route), [], { kind: route.policy.balance, replicas: route.policy.replicas }),
    statuses: () => [],
    retire: () => undefined,
    close: () => Promise.resolve(),
  };
  return chainsOver(config, set);
}

/** The upstreams that a route of these settings asks for a name. */
export function chainNames(config: Config, registry: string): readonly string[] {
  const route = config.routes.find(({ match }) => match.some((pattern) => pattern === `${registry}/**`));
  return route === undefined || route.policy.offline ? [] : route.upstreams.filter((name) => name !== HOSTED);
}
