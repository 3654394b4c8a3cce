import type { Scrub } from '../admin/scrub.ts';
import { Scrubber } from '../evict/scrubber.ts';
import type { HouseEvent } from '../observe/events.ts';
import type { Clock } from '../system/clock.ts';
import type { Pulling } from './pulling.ts';
import type { Storage } from './storage.ts';

export interface ScrubbingDeps {
  readonly system: { readonly clock: Clock };
  readonly storage: Storage;
  /** As a reload leaves it; without it what the disk has. */
  readonly cacheMax?: (() => number | undefined) | undefined;
  readonly pulling: Pick<Pulling, 'refill' | 'forget'>;
  /** The cache has turned out to hold more than was counted. */
  readonly onEntered: () => void;
  readonly report: (event: HouseEvent) => void;
}

export interface Scrubbing {
  readonly scrub: Scrub;
  /** Reads all that is held through in the background. */
  start(): void;
  stop(): Promise<void>;
  /** A file was quarantined by who read it. */
  quarantined(): void;
}

/** Scrub, wired: reads what the disk holds, and has what is damaged pulled again. */
export function createScrubbing({ system, storage, cacheMax, pulling, onEntered, report }: ScrubbingDeps): Scrubbing {
  const { clock } = system;
  const { blobs, records } = storage;
  const { refill, forget } = pulling;
  const scrubber = new Scrubber({
    clock,
    blobs,
    records,
    holder: storage.holder,
    isDead: storage.isDead,
    report,
    refill,
    forget,
    onEntered,
    cacheMax,
  });
  return {
    scrub: (request) => scrubber.scrubNow(request),
    start: () => scrubber.start(),
    stop: () => scrubber.stop(),
    quarantined: () => void scrubber.tidy(),
  };
}
