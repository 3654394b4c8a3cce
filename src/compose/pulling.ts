import { attemptsHere, type AttemptsOf } from '../auth/attempts.ts';
import { createUnrecordedFills } from '../pull/fill/unrecorded.ts';
import { createLeases } from '../pull/fill/lease.ts';
import { Blame } from '../pull/fill/sources.ts';
import { Fills } from '../pull/fills.ts';
import { Absences } from '../pull/absences.ts';
import type { Adopt } from '../pull/adopt.ts';
import { Givers } from '../pull/givers.ts';
import { splitHolder } from '../pull/holder.ts';
import { createLists, type Lists } from '../pull/lists.ts';
import { Passthrough } from '../pull/passthrough.ts';
import { Prover } from '../pull/prove.ts';
import { createPull, type Pull, type PullReady, type PullRequest } from '../pull/pull.ts';
import { Ready } from '../pull/ready.ts';
import type { Refill } from '../pull/refill.ts';
import { SmallBlobs } from '../pull/small-blobs.ts';
import { Store } from '../pull/store.ts';
import { createAskTaken, type AskTaken } from '../pull/taken.ts';
import { newTrace } from '../pull/trace.ts';
import { createWatch } from '../pull/watch.ts';
import { Unowned } from '../pull/unowned.ts';
import { sweepParts } from '../pull/fill/sweep.ts';
import type { PullEvent } from '../pull/events.ts';
import type { Clock } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import { tagBytes } from '../pull/lists/fallback-tag.ts';
import type { ManifestAnswer } from '../pull/manifest.ts';
import type { Digest } from '../oci/digest.ts';
import { uploadParts } from '../evict/reservations.ts';
import type { Chains } from './chains.ts';
import type { Storage } from './storage.ts';

export interface Pulling {
  readonly pull: Pull;
  readonly ready: PullReady;
  readonly refresh: (request: PullRequest) => Promise<ManifestAnswer>;
  readonly lists: Lists;
  /** Whether an upstream answers a name that is to be pushed. */
  readonly askTaken: AskTaken;
  /** Fetches what a pushed manifest needs and its chain has. */
  readonly adopt: Adopt;
  /** Fetches again what a repository lost the bytes of. */
  readonly refill: Refill;
  /** Memory's copy of what is on disk no more. */
  readonly forget: (digest: Digest) => void;
  readonly fills: Fills;
  /** Those that began while the metadata could not be asked. */
  readonly unrecordedFills: Fills;
  /** Drops parts that nobody goes on with, now and every hour. */
  sweep(): void;
  /** Asks for tags in use a few times a day, where answers depend on when they moved. */
  watch(): void;
  /**
   * The routes are others now: what was said of the old chains is forgotten, nothing is filled ahead for them, and where a
   * route is offline now, what nobody reads stops as well.
   */
  rerouted(): void;
  /** Begins no more fills that no client asks for. */
  quiet(): void;
  /** Stops every fill so that it can go on after a restart, and ends what else goes on for nobody's request. */
  park(): Promise<void>;
}

/** The request path, wired: name → route → lookup → fill → store → respond. */
export function createPulling(
  system: { readonly clock: Clock; readonly random: Random },
  storage: Storage,
  chains: () => Chains,
  report: (event: PullEvent) => void,
  isDiskUp: () => boolean = () => true,
  unowned: Unowned = new Unowned(system.clock),
  attempts: AttemptsOf = attemptsHere(system.clock),
): Pulling {
  const { clock, random } = system;
  const { cached: blobs, records } = storage;
  const store = new Store({ blobs, records, clock, random, report });
  const smallBlobs = new SmallBlobs({ clock, store, unowned });
  const blame = new Blame(clock);
  const givers = new Givers({ records });
  const filling = { clock, random, blobs, report, blame };
  const fills = new Fills({
    ...filling,
    records,
    leases: createLeases(records, clock, storage.holder, storage.isDead),
    isDiskUp,
    async keep({ part }, digest, size, provenance) {
      await store.keepBlob(part, digest, size, provenance);
      givers.note(digest, provenance);
    },
  });
  const unrecordedFills = createUnrecordedFills({ ...filling, kept: (digest, provenance) => givers.note(digest, provenance) });
  const absences = new Absences(clock);
  const deps = {
    clock,
    blobs,
    records,
    store,
    smallBlobs,
    ready: new Ready({ clock, records: storage.instant, store, blobs: smallBlobs }),
    fills,
    unrecordedFills,
    blame,
    report,
    prover: new Prover(clock, unowned),
    givers,
    absences,
    unowned,
    passthrough: new Passthrough({ clock, random, records, unowned, attempts: attempts('passthrough') }),
    router: (name: { readonly registry: string; readonly repository: string }) => chains().router(name),
  };
  const { pull, ready, refresh, manifest, adopt, refill, prefetch, watch } = createPull(deps);
  const lists = createLists({
    ...deps,
    random,
    fallbackTag: (name, tag, asker) => tagBytes(manifest, name, tag, asker),
  });
  const sweeping = sweepParts({
    clock,
    blobs,
    running: async () => [
      ...[...fills.running(), ...unrecordedFills.running()].map(({ part }) => part),
      ...(await uploadParts(records)),
    ],
  });
  const watching = createWatch({
    clock,
    random,
    records,
    router: deps.router,
    look({ registry, repository, tag }, signal) {
      const name = { registry, repository, shown: repository, ns: undefined, base: '' };
      const target = { kind: 'manifest', name, reference: { kind: 'tag', tag } } as const;
      return watch({ method: 'HEAD', target, signal, trace: newTrace('') });
    },
  });
  return {
    pull,
    ready,
    refresh,
    lists,
    askTaken: createAskTaken(deps),
    adopt,
    refill,
    forget(digest) {
      store.forget(digest);
      smallBlobs.forget(digest);
    },
    fills,
    unrecordedFills,
    sweep: () => sweeping.start(),
    watch: () => watching.start(),
    rerouted() {
      absences.clear();
      prefetch.clear();
      fills.parkOrphans((repository) => isOffline(chains(), repository));
    },
    quiet() {
      prefetch.stop();
      watching.stop();
    },
    async park() {
      prefetch.stop();
      watching.stop();
      sweeping.stop();
      await Promise.all([fills.park(), unrecordedFills.park(), unowned.end()]);
    },
  };
}

function isOffline({ router }: Chains, holder: string): boolean {
  return router(splitHolder(holder))?.policy.offline === true;
}
