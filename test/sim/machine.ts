import { createFakeClock, type FakeClock } from '../fakes/fake-clock.ts';
import { createMemoryDisk, type MemoryDisk } from '../fakes/memory-disk.ts';
import { createMemoryMetadata, type MemoryMetadata } from '../fakes/memory-metadata.ts';
import type { Dice } from '../fakes/dice.ts';

export type MetadataFlavour = 'lmdb' | 'redis';

/** How long calls of disk and metadata take: `instant` is the next turn, `jitter` now and then some milliseconds, `slow` seconds. */
export type Tempo = 'instant' | 'jitter' | 'slow';

/** `ok`; `down`: nothing is answered; `lossy`: some calls take effect and their answer is lost, some do not come through. */
export type MetadataHealth = 'ok' | 'down' | 'lossy';

/** What outlives the processes that run on it. */
export interface Machine {
  readonly clock: FakeClock;
  readonly disk: MemoryDisk;
  readonly metadata: MemoryMetadata;
  readonly flavour: MetadataFlavour;
  readonly dice: Dice;
  tempo: Tempo;
  metadataHealth: MetadataHealth;
  /** Calls of disk and metadata that are still made before the power goes; Infinity: it stays. */
  callsLeft: number;
  /** Calls so far. */
  calls: number;
}

const START = Date.UTC(2026, 0, 1);

export function createMachine(flavour: MetadataFlavour, tempo: Tempo, dice: Dice): Machine {
  const clock = createFakeClock(START, 1);
  return {
    clock,
    disk: createMemoryDisk({ now: () => clock.now() }),
    metadata: createMemoryMetadata({ async: flavour === 'redis' }),
    flavour,
    dice,
    tempo,
    metadataHealth: 'ok',
    callsLeft: Infinity,
    calls: 0,
  };
}
