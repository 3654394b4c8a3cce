import picomatch from 'picomatch';
import { GLOB_OPTIONS, withNoneBehind } from '../oci/globs.ts';
import type { Pseudonym } from '../oci/via.ts';
import type { ClientCredentials } from '../upstream/upstream.ts';
import type { Admission } from './admission.ts';
import type { Balance } from './balance.ts';
import type { FreshnessPolicy } from './freshness.ts';
import type { Limits } from './limits.ts';
import type { Name } from './name.ts';

/** Pattern → chain and policy. */
export interface Route {
  /** The metric label, and how log and Cache-Status name it. */
  readonly name: string;
  /** 403 for everybody. */
  readonly deny: boolean;
  /** What was pushed here is a member of the chain: it alone answers for the repositories that it owns. */
  readonly hosted: boolean;
  /** It is the only member: for what was not pushed here there is nobody to ask. */
  readonly alone: boolean;
  /** Clients may push. */
  readonly push: boolean;
  /** They may push under a name that the rest of the chain answers. */
  readonly shadow: boolean;
  /** Bytes that may be pushed to all its repositories together. */
  readonly quota?: number | undefined;
  /** Whom to ask for something of a registry, in order; never what was pushed here. */
  readonly order: Balance;
  readonly policy: RoutePolicy;
  /** Who reads is decided by its upstream, by each client's own credentials; see passthrough.ts. */
  readonly passthrough?: Passing | undefined;
  /** As whom it is asked, where that is one client: what the chain says is nobody else's. */
  readonly asker?: string;
  /** The mirrors through which the question came; none where it is a client's, or our own. */
  readonly via?: readonly Pseudonym[];
}

/** How credentials are passed on. */
export interface Passing {
  /** Whom to ask with a client's own credentials. */
  readonly as: (client: ClientCredentials) => Balance;
  /** Where that is; what it said there says nothing of another place to which the route leads since a reload. */
  readonly place: string;
  /** How long an upstream's word about somebody is believed (`authttl`), ms. */
  readonly proofMs: number;
}

/** Tells what was asked or answered on one route, or as one of its clients, from all else: also from before anyone could pull there. */
export function keyOf({ name, asker, policy }: Pick<Route, 'name' | 'asker' | 'policy'>): string {
  const key = policy.open ? `${name} to anyone` : name;
  return asker === undefined ? key : `${key} as ${asker}`;
}

export interface RoutePolicy extends FreshnessPolicy {
  /** True for a tag that never moves and is asked for once. */
  readonly immutable: (tag: string) => boolean;
  /** The next upstream is asked beside one that is slower than it usually is. */
  readonly hedge: boolean;
  /** For tags too: only where the upstreams hold the same ones, since a slow first one may be the one that is up to date. */
  readonly hedgeTags: boolean;
  /** Ranges of a large blob that are fetched at once, from 1. */
  readonly parallel: number;
  /** Whether a question may be asked that need not be. */
  readonly limits: Limits;
  /** Nobody is asked: what is held is served whatever its age, and nothing else. */
  readonly offline: boolean;
  /** What becomes of a held tag or list that its whole chain no longer knows. */
  readonly onDelete: 'keep' | 'drop';
  /** The blobs of a manifest that is served are filled before they are asked for. */
  readonly prefetch: boolean;
  /** Which children of an index are followed by what fills in the background: `os/architecture` or `os/architecture/variant`. */
  readonly platforms: readonly string[];
  /** A tag is answered with what it pointed to at this moment, ms since the epoch, or at an earlier one that is asked for. */
  readonly asof: number | undefined;
  /** A digest has to have stood under its tag for so long, ms, before it is answered with; 0: for no time. */
  readonly cooldownMs: number;
  /** May what it would answer with be served; `undefined`: all of it. */
  readonly admission: Admission | undefined;
  /** Anyone may pull here: what is obtained without credentials is then public (architecture.md, decision 8). */
  readonly open: boolean;
  /** Whether our account at that upstream, by its name, unlocks for whoever may pull here (`use: all`); left out: none does. */
  readonly unlocks?: (upstream: string) => boolean;
}

export interface RouteOptions extends Omit<Route, 'policy'> {
  /** Over `registry/repository`; `*` is one segment, `**` any number. */
  readonly match: readonly string[];
  readonly policy: RoutePolicy;
}

/** The first route that matches, `undefined` where none does. */
export type Router = (name: Pick<Name, 'registry' | 'repository'>) => Route | undefined;

export function createRouter(routes: readonly RouteOptions[]): Router {
  const compiled = routes.map((route) => ({ route, matches: compilePatterns(route.match) }));
  return ({ registry, repository }) => {
    const full = `${registry}/${repository}`;
    return compiled.find(({ matches }) => matches(full))?.route;
  };
}

/** Whether a text matches one of them: globs as the contract has them ({@link GLOB_OPTIONS}). */
export function compilePatterns(patterns: readonly string[]): (text: string) => boolean {
  if (patterns.length === 0) return () => false;
  return picomatch(withNoneBehind(patterns), GLOB_OPTIONS);
}
