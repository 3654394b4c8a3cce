import type { RouteConfig } from '../config/config.ts';
import { Evictor } from '../evict/evictor.ts';
import { Keep, type CacheRule } from '../evict/keep.ts';
import { compilePin, type Pin } from '../evict/pins.ts';
import type { HouseEvent } from '../observe/events.ts';
import { compilePatterns } from '../pull/route.ts';
import type { Clock } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import type { Chains } from './chains.ts';
import { holderName, isDeadHolder, type Storage } from './storage.ts';

export interface EvictingDeps {
  readonly system: { readonly clock: Clock; readonly random: Random };
  readonly storage: Storage;
  readonly chains: () => Chains;
  readonly report: (event: HouseEvent) => void;
}

export interface Evicting {
  readonly evictor: Evictor;
  /** What keeps digests from being evicted now. */
  readonly keep: () => Promise<Keep>;
}

/** The limits of the cache, wired. */
export function createEvicting({ system, storage, chains, report }: EvictingDeps): Evicting {
  const { clock, random } = system;
  const { files, records, room } = storage;
  const holder = holderName(random);
  const rulesOf = rememberedBy(chains);
  const keep = async (): Promise<Keep> => {
    const { ruleOf, anyOffline, pins } = rulesOf();
    return new Keep({ blobs: files, records, ruleOf, anyOffline, pins });
  };
  const evictor = new Evictor({
    clock,
    blobs: files,
    records,
    holder,
    isDead: isDeadHolder(holder),
    room,
    keep,
    maxAgeMin: () => rulesOf().maxAgeMin,
    report,
  });
  return { evictor, keep };
}

interface Rules {
  readonly ruleOf: (repository: string) => CacheRule;
  readonly anyOffline: boolean;
  readonly pins: readonly Pin[];
  readonly maxAgeMin: number | undefined;
}

/** Compiled once for each configuration. */
function rememberedBy(chains: () => Chains): () => Rules {
  let known: { readonly routes: readonly RouteConfig[]; readonly rules: Rules } | undefined;
  return () => {
    const { routes } = chains().config;
    if (known?.routes !== routes) known = { routes, rules: rulesOf(routes) };
    return known.rules;
  };
}

function rulesOf(routes: readonly RouteConfig[]): Rules {
  const compiled = routes.map(({ match, policy }) => ({ matches: compilePatterns(match), policy }));
  const ages = routes.flatMap(({ policy }) => policy.maxAgeMs ?? []);
  return {
    // A repository that no route has any more is nobody's to keep, and nobody's to throw away for its age.
    ruleOf: (repository) => {
      const policy = compiled.find(({ matches }) => matches(repository))?.policy;
      return { offline: policy?.offline === true, maxAgeMs: policy?.maxAgeMs };
    },
    anyOffline: routes.some(({ policy }) => policy.offline),
    pins: routes.flatMap(({ policy }) => policy.pin).map((text) => compilePin(text, compilePatterns)),
    maxAgeMin: ages.length === 0 ? undefined : Math.min(...ages),
  };
}
