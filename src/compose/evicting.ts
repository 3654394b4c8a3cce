import type { RouteConfig } from '../config/config.ts';
import type { NamedPin } from '../admin/pins.ts';
import { Evictor, type EvictorDeps } from '../evict/evictor.ts';
import { Keep, type CacheRule } from '../evict/keep.ts';
import { compilePin, type Pin } from '../evict/pins.ts';
import type { HouseEvent } from '../observe/events.ts';
import { compilePatterns } from '../pull/route.ts';
import type { Clock } from '../system/clock.ts';
import type { Chains } from './chains.ts';
import type { Storage } from './storage.ts';

export interface EvictingDeps {
  readonly system: { readonly clock: Clock };
  readonly storage: Storage;
  readonly chains: () => Chains;
  readonly report: (event: HouseEvent) => void;
}

export interface Evicting {
  readonly evictor: Evictor;
  /** What it works with: the same right to evict is asked for by whoever evicts by command. */
  readonly deps: EvictorDeps;
  /** What keeps digests from being evicted now. */
  readonly keep: () => Promise<Keep>;
  readonly ruleOf: (repository: string) => CacheRule;
  /** Those of the configuration first. */
  readonly pins: () => Promise<readonly NamedPin[]>;
}

/** The limits of the cache, wired. */
export function createEvicting({ system, storage, chains, report }: EvictingDeps): Evicting {
  const { clock } = system;
  const { files, records, room } = storage;
  const rulesOf = rememberedBy(chains);
  const keep = async (): Promise<Keep> => {
    const { ruleOf, anyOffline, pins } = rulesOf();
    return new Keep({ blobs: files, records, ruleOf, anyOffline, pins: [...pins, ...(await pinsByCommand())] });
  };
  let compiled = new Map<string, Pin>();
  /** Each is compiled once, for as long as it stands. */
  const pinsByCommand = async (): Promise<readonly Pin[]> => {
    const pins = (await records.pins()).map(({ text }) => compiled.get(text) ?? compilePin(text, compilePatterns));
    compiled = new Map(pins.map((pin) => [pin.text, pin]));
    return pins;
  };
  const deps: EvictorDeps = {
    clock,
    blobs: files,
    records,
    holder: storage.holder,
    isDead: storage.isDead,
    room,
    keep,
    maxAgeMin: () => rulesOf().maxAgeMin,
    report,
  };
  return {
    evictor: new Evictor(deps),
    deps,
    keep,
    ruleOf: (repository) => rulesOf().ruleOf(repository),
    pins: async () => [
      ...rulesOf().pins.map((pin) => named(pin, 'configuration')),
      ...(await pinsByCommand()).map((pin) => named(pin, 'command')),
    ],
  };
}

/** Without a tag only a pin that speaks of none matches. */
export function matchesPin({ repository, tag }: Pin): NamedPin['matches'] {
  return (name, its) => repository(name) && (tag === undefined || (its !== undefined && tag(its)));
}

function named(pin: Pin, by: NamedPin['by']): NamedPin {
  return { text: pin.text, by, matches: matchesPin(pin) };
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
    // Those of `defaults` stand in every route.
    pins: [...new Set(routes.flatMap(({ policy }) => policy.pin))].map((text) => compilePin(text, compilePatterns)),
    maxAgeMin: ages.length === 0 ? undefined : Math.min(...ages),
  };
}
