import type { Pseudonym } from '../oci/via.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { Route } from './route.ts';

/**
 * How long a question that came through other mirrors waits for one that is being asked already. Two mirrors that ask each
 * other would otherwise wait for each other until their limits; so after this it is asked by itself, and whoever it comes
 * round to says 508.
 */
export const PATIENCE_MS = 2000;

/** What may tell that somebody was passed by because he asks us in turn. */
export interface Told {
  readonly kind: string;
  readonly looped?: boolean;
  readonly refusal?: { readonly kind: string; readonly looped?: boolean };
}

/** Part of the chain waits for us: for somebody else, who asks through others, it may have an answer. */
export function isLooped({ looped, refusal }: Told): boolean {
  return looped === true || refusal?.looped === true;
}

/** The route for a question that came through other mirrors: whoever is asked is told of them (RFC 9110 7.6.3). */
export function carrying(route: Route, via: readonly Pseudonym[]): Route {
  if (via.length === 0) return route;
  const carriers = new Map<Upstream, Upstream>();
  const carrier = (upstream: Upstream): Upstream => {
    const known = carriers.get(upstream);
    if (known !== undefined) return known;
    const made: Upstream = { ...upstream, ask: (request, signal) => upstream.ask({ ...request, via }, signal) };
    carriers.set(upstream, made);
    return made;
  };
  return { ...route, via, order: (registry, wanted) => route.order(registry, wanted).map(carrier) };
}
