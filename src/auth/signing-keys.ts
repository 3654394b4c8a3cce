import { createSecretKey, type KeyObject } from 'node:crypto';
import type { SigningKey, SigningKeys } from '../metadata/records.ts';
import type { Clock } from '../system/clock.ts';
import { randomId, type Random } from '../system/random.ts';

/** The keys that our tokens are signed with: made once by whichever node is first, and the same on all of them. */
export interface KeyRing {
  /** The one to sign with; made where there is none. Rejects where the store cannot be asked and nothing is known. */
  current(): Promise<NamedKey>;
  /** The one of that id, if tokens that it has signed may still be good. */
  find(id: string): Promise<NamedKey | undefined>;
}

export interface NamedKey {
  readonly id: string;
  readonly key: KeyObject;
}

export interface KeyRingOptions {
  readonly records: SigningKeys;
  readonly clock: Clock;
  readonly random: Random;
}

const DAY_MS = 24 * 3600 * 1000;
const SIGNS_MS = 30 * DAY_MS;
/** The longest that a token lives, and what clocks may differ by. */
const OUTLIVES_MS = 2 * 3600 * 1000;
/** A key of a clock that was further ahead is no use: it would last for as long as that clock was wrong. */
const AHEAD_MS = DAY_MS;
const KEYS_MAX = 10;
const KEY_BYTES = 32;
const ID = /^[0-9a-f]{32}$/;

/** Who signs looks this often whether the store still has the key: it may have been emptied, or another put in its place. */
const SIGNER_LOOKS_MS = 60_000;
/** So often an id that is not known makes us look. */
const STRANGER_LOOKS_MS = 1000;

interface Held extends NamedKey {
  readonly at: number;
}

export function createKeyRing({ records, clock, random }: KeyRingOptions): KeyRing {
  let stored: readonly SigningKey[] = [];
  let held = new Map<string, Held>();
  let readAt = -Infinity;
  let strangerAt = -Infinity;
  let reading: Promise<void> | undefined;
  let making: Promise<NamedKey> | undefined;

  const age = (at: number): number => clock.now() - at;
  const signs = ({ at }: Held): boolean => age(at) < SIGNS_MS && age(at) > -AHEAD_MS;
  const verifies = ({ at }: { readonly at: number }): boolean => age(at) < SIGNS_MS + OUTLIVES_MS && age(at) > -AHEAD_MS;
  const newest = (): Held | undefined => [...held.values()].filter(signs).sort((a, b) => b.at - a.at)[0];
  const adopt = (keys: readonly SigningKey[]): void => {
    stored = keys;
    held = new Map(keys.map(toHeld).flatMap((key) => (key === undefined ? [] : [[key.id, key] as const])));
    readAt = clock.monotonic();
  };

  function read(): Promise<void> {
    reading ??= (async () => adopt(await records.all()))().finally(() => (reading = undefined));
    return reading;
  }

  async function make(): Promise<NamedKey> {
    for (;;) {
      await read();
      const found = newest();
      if (found !== undefined) return found;
      const key = { id: randomId(random), secret: Buffer.from(random.bytes(KEY_BYTES)).toString('base64url'), at: clock.now() };
      const next = [key, ...stored.filter(verifies)].slice(0, KEYS_MAX);
      // Where it is not taken, somebody else's was.
      if (await records.replace(stored, next)) adopt(next);
    }
  }

  return {
    async current() {
      const known = newest();
      if (known !== undefined && clock.monotonic() - readAt < SIGNER_LOOKS_MS) return known;
      making ??= make().finally(() => (making = undefined));
      if (known === undefined) return making;
      // A store that cannot be asked takes nothing back.
      return making.catch(() => known);
    },
    async find(id) {
      const known = (): NamedKey | undefined => {
        const key = held.get(id);
        return key !== undefined && verifies(key) ? key : undefined;
      };
      if (known() !== undefined || !ID.test(id)) return known();
      if (reading === undefined) {
        if (clock.monotonic() - strangerAt < STRANGER_LOOKS_MS) return undefined;
        strangerAt = clock.monotonic();
      }
      await read();
      return known();
    },
  };
}

/** `undefined` for what no node of ours would have made. */
function toHeld({ id, secret, at }: SigningKey): Held | undefined {
  const bytes = Buffer.from(secret, 'base64url');
  return ID.test(id) && bytes.length === KEY_BYTES ? { id, key: createSecretKey(bytes), at } : undefined;
}
