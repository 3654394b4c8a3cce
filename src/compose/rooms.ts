import type { AttemptsOf } from '../auth/attempts.ts';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';
import type { Random } from '../system/random.ts';
import { createMachineTokens, type MachineTokenKeeping } from '../auth/machine-tokens.ts';
import type { HouseEvent } from '../observe/events.ts';
import type { Unowned } from '../pull/unowned.ts';
import type { Chains } from './chains.ts';
import { createCollecting, type Collecting } from './collecting.ts';
import { createEvicting, type Evicting } from './evicting.ts';
import type { Served } from './official.ts';
import { createPulling, type Pulling } from './pulling.ts';
import { createScrubbing, type Scrubbing } from './scrubbing.ts';
import type { Storage } from './storage.ts';

export interface RoomsDeps {
  readonly system: { readonly clock: Clock; readonly disk: Disk; readonly random: Random };
  /** As it is; what answers clients and collects sees it as `served` has it. */
  readonly storage: Storage;
  readonly served: Served;
  readonly chains: () => Chains;
  readonly report: (event: HouseEvent) => void;
  /** Where nobody looks after the disk it counts as up. */
  readonly isDiskUp?: () => boolean;
  /** What goes on for nobody's request; default: pulls' alone. */
  readonly unowned?: Unowned;
  /** Who counts wrong passwords; default: this process. */
  readonly attempts?: AttemptsOf | undefined;
}

/** What a server has, and a command that looks into the store of one that does not run. */
export interface Rooms {
  readonly pulling: Pulling;
  readonly collecting: Collecting;
  readonly scrubbing: Scrubbing;
  readonly evicting: Evicting;
  readonly machineTokens: MachineTokenKeeping;
}

export function createRooms({ system, storage, served, chains, report, isDiskUp, unowned, attempts }: RoomsDeps): Rooms {
  const pulling = createPulling(system, served.storage, chains, report, isDiskUp, unowned, attempts);
  const cacheMax = (): number | undefined => chains().config.cache.maxBytes;
  const evicting = createEvicting({ system, storage, chains, report });
  const onEntered = (): void => void evicting.evictor.makeRoom(0);
  return {
    pulling,
    collecting: createCollecting({ system, storage: served.collected, chains, report }),
    scrubbing: createScrubbing({ system, storage, cacheMax, pulling, onEntered, report }),
    evicting,
    machineTokens: createMachineTokens({ ...system, records: storage.records.machineTokens }),
  };
}

/** Something that runs beside requests. */
export interface Running {
  start?(): void;
  /** As `start`, of what one process does for all that serve together. */
  duty?(): void;
  /** Requests are about to end: it begins nothing new. */
  quiet?(): void;
  /** Requests have ended. Resolves when nothing of it runs any more. */
  stop?(): Promise<unknown>;
}
