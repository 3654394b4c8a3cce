import { createCollecting, type Collecting } from '../../src/compose/collecting.ts';
import type { Chains } from '../../src/compose/chains.ts';
import { createPulling, type Pulling } from '../../src/compose/pulling.ts';
import { createPushing, type Pushing } from '../../src/compose/pushing.ts';
import { createEvicting } from '../../src/compose/evicting.ts';
import { createScrubbing, type Scrubbing } from '../../src/compose/scrubbing.ts';
import { storageOver, type Storage } from '../../src/compose/storage.ts';
import type { Evictor } from '../../src/evict/evictor.ts';
import { openDiskBlobStore } from '../../src/blobs/disk.ts';
import type { Config } from '../../src/config/config.ts';
import type { MetadataEvent } from '../../src/metadata/events.ts';
import type { HouseEvent } from '../../src/observe/events.ts';
import type { FillStatus } from '../../src/pull/fill/types.ts';
import type { Random } from '../../src/system/random.ts';
import { beginLife, type Life } from './life.ts';
import type { Machine } from './machine.ts';
import { THIEF, UPSTREAMS, type Network } from './network.ts';
import { configOf, layChains, type Settings } from './settings.ts';

export type SimEvent = HouseEvent | MetadataEvent;

/** One process: everything between the ports is what production composes. */
export interface Server {
  readonly life: Life;
  readonly storage: Storage;
  readonly pulling: Pulling;
  readonly pushing: Pushing;
  readonly collecting: Collecting;
  readonly evictor: Evictor;
  readonly scrubbing: Scrubbing;
  readonly events: readonly SimEvent[];
  /** Those too that began while the metadata could not be asked. */
  fills(): readonly FillStatus[];
  chains(): Chains;
  config(): Config;
  reload(settings: Settings): Promise<void>;
  /** As `compose.ts` on SIGTERM; `edge` ends what clients are being answered. */
  drain(edge: () => Promise<void>): Promise<void>;
}

/** Rejects with what kept it from starting; its life is over then. */
export async function startServer(machine: Machine, network: Network, random: Random, settings: Settings): Promise<Server> {
  const life = beginLife(machine);
  try {
    return await compose(life, network, random, settings);
  } catch (error) {
    life.end();
    throw error;
  }
}

async function compose(life: Life, network: Network, random: Random, settings: Settings): Promise<Server> {
  const { clock, disk } = life;
  const events: SimEvent[] = [];
  const report = (event: SimEvent): void => void events.push(event);
  let config = await configOf(settings);
  const files = await openDiskBlobStore({ disk, random, root: config.storage.rootdirectory, version: 'sim' });
  const storage = storageOver(
    config,
    { files, store: life.metadata },
    {
      clock,
      disk,
      random,
      report,
      onDamaged: (digest, why) => report({ kind: 'quarantined', digest, why }),
      limits: () => config.cache,
    },
  );
  const byName = new Map([...UPSTREAMS, THIEF].map((name) => [name, network.upstreamFor(name, life)]));
  let chains = layChains(config, byName);
  const system = { clock, random };
  const pulling = createPulling(system, storage, () => chains, report);
  const pushing = createPushing({ system, storage, chains: () => chains, pulling, report, notify: () => undefined });
  const collecting = createCollecting({ system, storage, chains: () => chains, report });
  const { evictor } = createEvicting({ system, storage, chains: () => chains, report });
  const scrubbing = createScrubbing({
    system,
    storage,
    pulling,
    cacheMax: () => config.cache.maxBytes,
    onEntered: () => void evictor.makeRoom(0),
    report,
  });
  pulling.sweep();
  pushing.purge();
  collecting.start();
  evictor.start();
  scrubbing.start();
  return {
    life,
    storage,
    pulling,
    pushing,
    collecting,
    evictor,
    scrubbing,
    events,
    fills: () => [...pulling.fills.running(), ...pulling.unrecordedFills.running()],
    chains: () => chains,
    config: () => config,
    async reload(next) {
      config = await configOf(next);
      chains = layChains(config, byName);
      pulling.rerouted();
    },
    async drain(edge) {
      pulling.quiet();
      pushing.stop();
      collecting.stop();
      const scrubbed = scrubbing.stop();
      await edge();
      await pushing.settled();
      await Promise.all([pulling.park(), storage.blobs.quiet()]);
      await scrubbed;
      await evictor.stop();
      await storage.close();
    },
  };
}
