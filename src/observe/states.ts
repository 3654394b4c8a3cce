/** What was said last of each thing, so that a state is logged when it changes and not each time it is met. */
export interface States {
  /** True when the thing was in another state until now. A thing never heard of is in `initial`. */
  change(thing: string, to: string, initial: string): boolean;
}

/** Upstreams and reasons are bounded by the configuration; this bounds those of `origin` under a route for everything. */
const THINGS_MAX = 10_000;

export function createStates(): States {
  const last = new Map<string, string>();
  return {
    change(thing, to, initial) {
      const changed = (last.get(thing) ?? initial) !== to;
      if (to === initial) last.delete(thing);
      else if (last.has(thing) || last.size < THINGS_MAX) last.set(thing, to);
      return changed;
    },
  };
}
