import type { Proof } from '../admin/prove.ts';
import type { OpenStore, RestoreStore } from '../commands/context.ts';
import type { Config } from '../config/config.ts';
import { Unowned } from '../pull/unowned.ts';
import { createRecent } from '../admin/recent.ts';
import { createAdministration } from './administration.ts';
import { createAdmitting, ownAddress } from './admission.ts';
import { createAuditing, withAudit } from './auditing.ts';
import { CacheHistory } from './cache-control.ts';
import { createChains } from './chains.ts';
import { Condition } from './condition.ts';
import { serveOfficial } from './official.ts';
import { createRooms } from './rooms.ts';
import { openStorage } from './storage.ts';
import { system } from './system.ts';
import { recordedMemory } from './upstreams.ts';

/** Nobody listens to a command's store. */
const UNHEARD = {
  report: () => undefined,
  onDamaged: () => undefined,
  onBlobs: () => () => undefined,
  onMetadata: () => () => undefined,
};

/** Opens the store of a server that does not run, for a command to look into. */
export const openStore: OpenStore = async (config, version) => {
  const storage = await openStorage(config, { ...system, version, ...UNHEARD, limits: () => config.cache });
  const report = (): void => undefined;
  const unowned = new Unowned(system.clock);
  const admitting = createAdmitting({
    system,
    records: storage.records,
    unowned,
    pulling: () => rooms.pulling,
    address: () => ownAddress(config, ''),
    report,
  });
  const chains = createChains(config, {
    ...system,
    report,
    memoryOf: recordedMemory(storage.records),
    env: process.env,
    version,
    admissionOf: (route) => admitting.of(route),
  });
  const served = await serveOfficial(config, { system, storage, report });
  const rooms = createRooms({ system, storage, served, chains: () => chains, report, unowned });
  const recent = createRecent(system.clock);
  const condition = new Condition({
    clock: system.clock,
    probes: { storage: () => Promise.resolve(), metadata: () => storage.records.ping() },
    anyUpstreamUp: () => true,
    onChange: () => undefined,
  });
  const administration = createAdministration({
    ...rooms,
    system,
    storage: served.storage,
    taken: storage,
    history: new CacheHistory(),
    recent,
    log: undefined,
    version,
    condition,
    chains: () => chains,
  });
  // Standard output is the command's own.
  const auditing = createAuditing({ system, stdout: undefined, onTrouble: () => undefined });
  auditing.apply(config);
  return {
    admin: withAudit(administration, (event) => auditing.note(event)),
    async close() {
      await auditing.stop();
      await rooms.pulling.park();
      await rooms.evicting.evictor.stop();
      await chains.upstreams.close();
      await storage.close();
    },
  };
};

/** Makes the configuration's root directory of a backup. */
export const restoreStore: RestoreStore = async function* (config, directory, version) {
  const { restoreBackup } = await import('./restoring.ts');
  yield* restoreBackup(config, directory, { ...system, version, ...UNHEARD, limits: () => config.cache });
};

/** Asks every upstream of the configuration, each once: for `entrepot check`, which touches no store. */
export async function proveUpstreams(config: Config, signal: AbortSignal): Promise<readonly Proof[]> {
  const [{ provable }, { proveUpstream }] = await Promise.all([import('./proofs.ts'), import('../admin/prove.ts')]);
  return Promise.all(provable(config, system).map((proved) => proveUpstream(system.clock, proved, signal)));
}
