import { join } from 'node:path';
import { createCalls } from './admin/calls.ts';
import type { RunningServer, StartOptions } from './commands/context.ts';
import { createAdministration } from './compose/administration.ts';
import { createAdmitting, ownAddress } from './compose/admission.ts';
import { createAllWorkers } from './compose/all-workers.ts';
import { atTheDesk } from './compose/at-the-desk.ts';
import { withAudit } from './compose/auditing.ts';
import { createAuthentication } from './compose/authentication.ts';
import { createChains, type Chains } from './compose/chains.ts';
import { listen } from './compose/edge.ts';
import { createHousehold } from './compose/household.ts';
import { createNotifier, type Notifier } from './compose/notifications.ts';
import { serveOfficial } from './compose/official.ts';
import { mirrorPseudonym } from './compose/pseudonym.ts';
import { createPushing } from './compose/pushing.ts';
import { createReporting } from './compose/reporting.ts';
import { createRooms } from './compose/rooms.ts';
import { openStorage, type StorageDeps } from './compose/storage.ts';
import { storedAmounts } from './compose/stored.ts';
import { system } from './compose/system.ts';
import { recordedMemory } from './compose/upstreams.ts';
import type { Config, RouteConfig } from './config/config.ts';
import { needsRestart, withFixed } from './config/reload.ts';
import { HostedStock } from './evict/hosted-stock.ts';
import { createMetrics } from './observe/metrics.ts';
import { Unowned } from './pull/unowned.ts';
import type { Timer } from './system/clock.ts';
import { giveBackHeap, growHeapSlowly } from './system/heap.ts';
import { createBudgets } from './upstream/budget.ts';
import { createFetchJson } from './upstream/fetch-json.ts';
import { ALONE, type Siblings } from './workers/siblings.ts';

/** What a start leaves behind is given back when it is over. */
const AT_REST_MS = 10_000;

/**
 * Builds the house from its configuration, top to bottom, and opens its doors. Resolves when it listens; rejects with what
 * kept it from that, everything that was opened closed again.
 */
export async function startServer(config: Config, options: StartOptions): Promise<RunningServer> {
  const { log, version, siblings = ALONE } = options;
  const { clock } = system;
  const metrics = createMetrics({ version, processMetrics: true });
  // What is made further down is asked for from above, too.
  let chains: Chains | undefined;
  let notifier: Notifier | undefined;
  let onDamaged: StorageDeps['onDamaged'] = () => undefined;
  const configNow = (): Config => chains?.config ?? config;
  const storage = await openStorage(config, {
    ...system,
    version,
    report: (event) => log.warn('metadata', { ...event }),
    onDamaged: (digest, why) => onDamaged(digest, why),
    limits: () => configNow().cache,
    ...(siblings.count === 1 ? {} : { unwrittenElsewhere: () => sumOf(siblings, 'unwritten') }),
    onBlobs: (action) => metrics.recording('registry_storage_action_seconds', { driver: 'filesystem', action }),
    onMetadata: (op) => metrics.recording('entrepot_metadata_seconds', { op }),
  });
  siblings.answer('unwritten', () => storage.room.unwritten());
  try {
    const { report, recent, history, condition, auditing } = createReporting({
      log,
      stdout: options.stdout,
      siblings,
      metrics,
      storage,
      config: configNow,
      chains: () => chains,
      onRequest: (event) => notifier?.onRequest(event),
    });
    auditing.apply(config);

    const desk = atTheDesk(siblings);
    const pseudonym = await mirrorPseudonym(storage.records, system.random);
    const unowned = new Unowned(clock);
    let listening = '';
    const admitting = createAdmitting({
      system,
      records: storage.records,
      unowned,
      pulling: () => rooms.pulling,
      address: () => ownAddress(current.config, listening),
      report,
      siblings,
    });
    // What a reload replaces; everything below asks for the current one at each request.
    const chainDeps = {
      ...system,
      pseudonym,
      report,
      memoryOf: recordedMemory(storage.records),
      budgets: createBudgets(clock),
      env: process.env,
      version,
      sharers: siblings.count,
      admissionOf: (route: RouteConfig) => admitting.of(route),
    };
    let current = createChains(config, chainDeps);
    chains = current;
    const served = await serveOfficial(config, { system, storage, report });
    const rooms = createRooms({
      system,
      storage,
      served,
      chains: () => current,
      report,
      isDiskUp: () => condition.isUp('storage'),
      unowned,
      attempts: desk?.attempts,
    });
    const { pulling, collecting, scrubbing, evicting, machineTokens } = rooms;
    onDamaged = (digest, why) => {
      report({ kind: 'quarantined', digest, why });
      scrubbing.quarantined();
    };
    const notifications = createNotifier({ system, storage, chains: () => current, report });
    notifier = notifications;
    // Before the doors open: whatever comes in by them is told.
    await notifications.apply(config);
    const pushing = createPushing({
      system,
      storage: served.storage,
      chains: () => current,
      pulling,
      report,
      notify: (change) => notifications.notify(change),
    });

    const administration = createAdministration({
      ...rooms,
      system,
      storage: served.storage,
      taken: storage,
      history,
      recent,
      log,
      version,
      condition,
      chains: () => current,
    });
    const all = createAllWorkers({ siblings, recent, metrics, clock });
    const admin = withAudit(all.admin(administration), (event) => auditing.note(event));
    const hosted = new HostedStock({ clock, records: storage.records });
    const documents = createFetchJson({ clock, userAgent: `entrepot/${version}`, env: process.env });
    const authentication = createAuthentication({
      ...(desk === undefined ? {} : { attempts: desk.attempts }),
      system,
      records: storage.records,
      machineTokens,
      fetchJson: documents.fetch,
      report,
    });
    let isSocketTold = false;
    const edge = await listen({
      config,
      system,
      report,
      chains: () => current,
      pulling,
      push: pushing.push,
      auth: await authentication.authOf(config),
      pseudonym,
      condition,
      metrics: { contentType: metrics.contentType, text: () => all.metricsText() },
      calls: createCalls(admin, { reload: options.reload, health: () => condition.readiness() }),
      probeStorage: () => storage.probe(),
      counting: desk?.counting,
      isFirst: siblings.worker === 1,
      sharers: siblings.count,
      socketPath: join(config.storage.rootdirectory, 'entrepot.sock'),
      onSocketTaken() {
        if (!isSocketTold)
          log.warn('socket taken', { why: 'another server on this directory answers there: commands reach that one' });
        isSocketTold = true;
      },
    });
    listening = edge.addresses['main'] ?? '';
    metrics.attach({
      storage: () => storedAmounts(storage, hosted),
      cacheMaxBytes: () => current.config.cache.maxBytes,
      diskFreeBytes: async () => (await storage.blobs.space()).freeBytes,
      upstreams: () => current.upstreams.statuses(),
      clients: () => recent.clientCounts(),
      buffersBytes: () => edge.buffersBytes(),
      metadataUp: () => condition.isUp('metadata'),
      notifications: () => notifications.pending(),
    });
    let atRest: Timer | undefined;
    const running = [
      { duty: () => pushing.purge(), quiet: () => pushing.stop(), stop: () => pushing.settled() },
      {
        duty() {
          pulling.sweep();
          pulling.watch();
        },
        quiet: () => pulling.quiet(),
        stop: () => Promise.all([pulling.park(), storage.blobs.quiet()]),
      },
      { duty: () => collecting.start(), quiet: () => collecting.stop() },
      { duty: () => scrubbing.start(), quiet: () => void scrubbing.stop(), stop: () => scrubbing.stop() },
      { duty: () => evicting.evictor.start(), stop: () => evicting.evictor.stop() },
      { duty: () => hosted.start(), stop: () => hosted.stop() },
      { duty: () => admitting.start(), quiet: () => admitting.stop() },
      {
        start() {
          growHeapSlowly();
          atRest = clock.after(AT_REST_MS, giveBackHeap);
        },
        quiet: () => atRest?.cancel(),
      },
      { stop: () => notifications.stop() },
      { stop: () => auditing.stop() },
      { stop: () => documents.close() },
      { stop: () => current.upstreams.close() },
      { stop: () => storage.close() },
    ];
    const household = createHousehold({ running, siblings, edge, log });
    await condition.start();
    household.start();

    return {
      addresses: edge.addresses,
      report,
      async reload(next, agreed) {
        const restart = needsRestart(current.config, next);
        const previous = current;
        const config = withFixed(previous.config, next);
        const auth = await authentication.authOf(config);
        const chainsNext = createChains(config, chainDeps, previous);
        const takeEffect = edge.prepare(config, auth);
        try {
          await agreed?.();
        } catch (error) {
          chainsNext.upstreams.retire(previous.upstreams);
          throw error;
        }
        takeEffect();
        auditing.apply(config);
        current = chainsNext;
        chains = current;
        pulling.rerouted();
        // A smaller limit holds from now on.
        void evicting.evictor.makeRoom(0);
        previous.upstreams.retire(current.upstreams);
        await notifications.apply(config);
        return restart;
      },
      /** Unready first, then no new connections; what runs may end; fills stop so that they can go on after a restart. */
      async drain() {
        condition.drain();
        report({ kind: 'draining', requests: edge.connections() });
        await household.end(current.config.http.draintimeout);
      },
    };
  } catch (error) {
    await notifier?.stop();
    await storage.close();
    throw error;
  }
}

async function sumOf(siblings: Siblings, call: string): Promise<number> {
  return ((await siblings.gather(call)) as readonly number[]).reduce((sum, one) => sum + one, 0);
}
