import type { Clock } from '../system/clock.ts';
import type { SetKey } from './key-set.ts';

/** The keys of one issuer, as it publishes them now. */
export interface IssuerKeys {
  /** `undefined`: it has no such key. Rejects where it cannot be asked, and never could. */
  find(id: string): Promise<SetKey | undefined>;
}

/** Issuers replace keys every few weeks, and say so a day before; one that got about they take away at once. */
const FRESH_MS = 3600_000;
/** So often a key that is not known makes us ask. */
const ASKED_MS = 60_000;
/** So soon again where nothing is known at all. */
const RETRY_MS = 5000;
/** The source has limits of its own; this is for one that does not keep them. */
const SOURCE_MS_MAX = 20_000;

/** `load` is asked by one at a time, and what it said last holds while it fails. */
export function createIssuerKeys(load: (signal: AbortSignal) => Promise<readonly SetKey[]>, clock: Clock): IssuerKeys {
  let known: ReadonlyMap<string, SetKey> | undefined;
  let loadedAt = -Infinity;
  let askedAt = -Infinity;
  let loading: Promise<void> | undefined;

  async function reload(): Promise<void> {
    askedAt = clock.monotonic();
    const keys = await withLimit(load, clock);
    known = new Map(keys.flatMap((key) => (key.id === undefined ? [] : [[key.id, key] as const])));
    loadedAt = clock.monotonic();
  }

  return {
    async find(id) {
      const isFresh = clock.monotonic() - loadedAt < FRESH_MS;
      if (isFresh && known?.has(id) === true) return known.get(id);
      const pause = known === undefined ? RETRY_MS : ASKED_MS;
      if (loading === undefined && clock.monotonic() - askedAt >= pause)
        loading = reload().finally(() => (loading = undefined));
      try {
        await loading;
      } catch (error) {
        if (known === undefined) throw error;
      }
      if (known === undefined) throw new Error('it could not be asked a moment ago');
      return known.get(id);
    },
  };
}

function withLimit<T>(load: (signal: AbortSignal) => Promise<T>, clock: Clock): Promise<T> {
  const limit = new AbortController();
  return new Promise((resolve, reject) => {
    const timer = clock.after(SOURCE_MS_MAX, () => {
      const late = new Error(`no answer within ${SOURCE_MS_MAX} ms`);
      limit.abort(late);
      reject(late);
    });
    load(limit.signal)
      .then(resolve, reject)
      .finally(() => timer.cancel());
  });
}
