import { createOwnTokens } from '../../../src/auth/own-tokens.ts';
import { createKeyRing, type KeyRing } from '../../../src/auth/signing-keys.ts';
import type { OwnTokens } from '../../../src/auth/ways.ts';
import type { MetadataStore } from '../../../src/metadata/metadata-store.ts';
import { createRecords, type Records } from '../../../src/metadata/records.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata, type MemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

/** One of several processes that share a store. */
export interface Node {
  readonly clock: FakeClock;
  readonly records: Records;
  readonly keys: KeyRing;
  readonly tokens: OwnTokens;
  /** How often the keys were read from the store. */
  readonly keyReads: () => number;
}

export const START = Date.UTC(2026, 0, 1);
export const AUDIENCE = 'mirror.example.test';
export const MINUTE = 60_000;
export const DAY = 24 * 60 * MINUTE;

export function startNode(
  store: MetadataStore = createMemoryMetadata(),
  seed = 1,
  clock: FakeClock = createFakeClock(START),
  lifetimeSeconds = 900,
): Node {
  const records = createRecords(store, { clock });
  const random = createSeededRandom(seed);
  let reads = 0;
  const counted = {
    ...records.signingKeys,
    all: () => {
      reads += 1;
      return records.signingKeys.all();
    },
  };
  const keys = createKeyRing({ records: counted, clock, random });
  return { clock, records, keys, tokens: createOwnTokens({ keys, clock, random, lifetimeSeconds }), keyReads: () => reads };
}

export function emptyStore(): MemoryMetadata {
  return createMemoryMetadata({ async: true });
}

/** The three parts of a token, read. */
export function opened(token: string): { header: Record<string, unknown>; claims: Record<string, unknown> } {
  const [header = '', claims = ''] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString());
  return { header: JSON.parse(header) as Record<string, unknown>, claims: JSON.parse(claims) as Record<string, unknown> };
}
