import { lookup } from 'node:dns/promises';

import type { Clock } from '../system/clock.ts';
import type { Address, Resolve } from './guard.ts';

/** A name is asked for again after this. */
const FRESH_MS = 10_000;
/** What was found is used for so long while the resolver fails (R14). */
const STALE_MS = 10 * 60_000;
const NAMES_MAX = 1000;

interface Known {
  readonly addresses: readonly Address[];
  readonly atMs: number;
}

/**
 * One look-up of a name however many connections want it: the system's resolver blocks one of the few threads that also
 * read the disk. A resolver that fails is made up for by what it said before; what it says is judged each time anew.
 */
export function createResolve(clock: Clock, resolve: Resolve = resolveBySystem): Resolve {
  const known = new Map<string, Known>();
  const running = new Map<string, Promise<readonly Address[]>>();

  const ask = async (hostname: string): Promise<readonly Address[]> => {
    const before = known.get(hostname);
    try {
      const addresses = await resolve(hostname);
      known.delete(hostname);
      known.set(hostname, { addresses, atMs: clock.monotonic() });
      const [oldest] = known.keys();
      if (known.size > NAMES_MAX && oldest !== undefined) known.delete(oldest);
      return addresses;
    } catch (error) {
      if (before !== undefined && clock.monotonic() - before.atMs < STALE_MS) return before.addresses;
      throw error;
    }
  };
  return async (hostname) => {
    const found = known.get(hostname);
    if (found !== undefined && clock.monotonic() - found.atMs < FRESH_MS) return found.addresses;
    const asking = running.get(hostname) ?? ask(hostname).finally(() => running.delete(hostname));
    running.set(hostname, asking);
    return await asking;
  };
}

async function resolveBySystem(hostname: string): Promise<readonly Address[]> {
  const found = await lookup(hostname, { all: true, verbatim: true });
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
}
