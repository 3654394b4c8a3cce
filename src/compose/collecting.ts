import type { Collect } from '../admin/collect.ts';
import { collect, type CollectDeps } from '../evict/collect.ts';
import { finishCollections } from '../evict/finish.ts';
import type { RetentionLine } from '../evict/retention.ts';
import { takeTurn, type Turn } from '../evict/turn.ts';
import type { HouseEvent } from '../observe/events.ts';
import { compilePatterns } from '../pull/route.ts';
import { purgeOnce } from '../push/purge.ts';
import type { Clock } from '../system/clock.ts';
import type { Chains } from './chains.ts';
import { quotasOf } from './quotas.ts';
import type { Storage } from './storage.ts';

export interface CollectingDeps {
  readonly system: { readonly clock: Clock };
  readonly storage: Storage;
  readonly chains: () => Chains;
  readonly report: (event: HouseEvent) => void;
}

export interface Collecting {
  readonly collect: Collect;
  /** The right to collect, for who must not be collected from. Throws RegistryError where another has it. */
  keepOut(): Promise<Turn>;
  /** Ends what a collection that died left in the middle. */
  start(): void;
  stop(): void;
}

/** Collection of what was pushed, wired. */
export function createCollecting({ system, storage, chains, report }: CollectingDeps): Collecting {
  const { blobs, records } = storage;
  const { clock } = system;
  const parts = { clock, blobs, records, holder: storage.holder, isDead: storage.isDead, report };
  let running = 0;
  const finishing = finishCollections({
    ...parts,
    isBusy: () => running > 0,
    onError: (error) => report({ kind: 'push-failed', reason: 'metadata', error }),
  });
  const deps: CollectDeps = {
    ...parts,
    retention: (repository) => retentionOf(chains(), repository),
    quotas: () => quotasOf({ clock, records }, chains()),
    async purge(dryRun) {
      const { enabled, age, interval } = chains().config.storage.uploadpurging;
      return enabled ? purgeOnce({ clock, blobs, records, report }, { enabled, age, interval, dryRun }) : { uploads: 0 };
    },
  };
  return {
    async *collect(request) {
      running += 1;
      try {
        yield* collect(deps, request);
      } finally {
        running -= 1;
      }
    },
    async keepOut() {
      running += 1;
      try {
        const turn = await takeTurn('collect', parts);
        return {
          ...turn,
          end: () => turn.end().finally(() => void (running -= 1)),
        };
      } catch (error) {
        running -= 1;
        throw error;
      }
    },
    start: finishing.start,
    stop: finishing.stop,
  };
}

/** Of the route that answers for the repository, where it holds what was pushed. */
function retentionOf({ config, routeOf }: Chains, holder: string): readonly RetentionLine[] {
  const slash = holder.indexOf('/');
  const view = routeOf({ registry: holder.slice(0, slash), repository: holder.slice(slash + 1) });
  const route = config.routes.find(({ name }) => name === view?.name);
  return (route?.policy.retention ?? []).map(({ match, keep, unpulled, newest }) => ({
    matches: compilePatterns(match),
    rule:
      keep !== undefined
        ? { kind: 'forever' }
        : unpulled !== undefined
          ? { kind: 'unpulled', ms: unpulled }
          : { kind: 'newest', count: newest ?? Infinity },
  }));
}
