import { join } from 'node:path';
import { createCalls } from './admin/calls.ts';
import { createRecent } from './admin/recent.ts';
import type { Proof } from './admin/prove.ts';
import type { OpenStore, RestoreStore, RunningServer, StartOptions } from './commands/context.ts';
import { createAdmitting, ownAddress } from './compose/admission.ts';
import { createChains, type Chains } from './compose/chains.ts';
import { atTheDesk } from './compose/at-the-desk.ts';
import { createAuditing, withAudit } from './compose/auditing.ts';
import { createAuthentication } from './compose/authentication.ts';
import { Condition } from './compose/condition.ts';
import { listen } from './compose/edge.ts';
import { CacheHistory } from './compose/cache-control.ts';
import { createPushing } from './compose/pushing.ts';
import { createRooms, type Running } from './compose/rooms.ts';
import { createAdministration } from './compose/administration.ts';
import { createAllWorkers } from './compose/all-workers.ts';
import { serveOfficial } from './compose/official.ts';
import { createNotifier, type Notifier } from './compose/notifications.ts';
import { mirrorPseudonym } from './compose/pseudonym.ts';
import { openStorage, type StorageDeps } from './compose/storage.ts';
import { storedAmounts } from './compose/stored.ts';
import { createTroubles } from './compose/troubles.ts';
import { recordedMemory } from './compose/upstreams.ts';
import type { Config, RouteConfig } from './config/config.ts';
import { HostedStock } from './evict/hosted-stock.ts';
import { HOSTED } from './metadata/records.ts';
import { needsRestart, withFixed } from './config/reload.ts';
import { createMetrics } from './observe/metrics.ts';
import { Unowned } from './pull/unowned.ts';
import { messageOf } from './observe/redact.ts';
import { createReporter, type Report } from './observe/report.ts';
import { createFetchJson } from './upstream/fetch-json.ts';
import { createBudgets } from './upstream/budget.ts';
import { systemClock, type Timer } from './system/clock.ts';
import { giveBackHeap } from './system/heap.ts';
import { nodeDisk } from './system/node-disk.ts';
import { systemRandom } from './system/random.ts';
import { runProgram } from './system/run-program.ts';
import type { HouseEvent } from './observe/events.ts';
import { ALONE, type Siblings } from './workers/siblings.ts';

const system = { clock: systemClock, disk: nodeDisk, random: systemRandom, run: runProgram };

/** Between two looks at a socket that another process has. */
const SOCKET_MS = 5_000;

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
  const storage = await openStorage(config, {
    ...system,
    version,
    report: (event) => log.warn('metadata', { ...event }),
    onDamaged: (digest, why) => onDamaged(digest, why),
    limits: () => limits(),
    ...(siblings.count === 1 ? {} : { unwrittenElsewhere: () => sumOf(siblings, 'unwritten') }),
    onBlobs: (action, seconds) => metrics.record('registry_storage_action_seconds', { driver: 'filesystem', action }, seconds),
    onMetadata: (op, seconds) => metrics.record('entrepot_metadata_seconds', { op }, seconds),
  });
  siblings.answer('unwritten', () => storage.room.unwritten());
  let notifier: Notifier | undefined;
  let onDamaged: StorageDeps['onDamaged'] = () => undefined;
  let limits: StorageDeps['limits'] = () => config.cache;
  try {
    // Log, metrics and whoever else listens: every room reports through this one function.
    let chains: Chains | undefined;
    const recent = createRecent(clock);
    const history = new CacheHistory();
    const observe: Report = createReporter({
      log,
      metrics,
      known: {
        registries: () => chains?.registries ?? new Set(),
        upstreams: () => chains?.upstreamNames ?? new Set(),
      },
      reserveOf: (upstream) => chains?.upstreams.reserveOf(upstream) ?? 0,
      accesslog: () => (chains?.config ?? config).log.accesslog,
      onRequest(event) {
        recent.onRequest(event);
        history.note(event);
        notifier?.onRequest(event);
      },
    });
    const report = (event: HouseEvent): void => {
      // What is kept by a store that has forgotten shows only that it answers.
      const shows =
        event.kind === 'bypass' || event.kind === 'push-failed' || (event.kind === 'kept' && !storage.hasForgotten());
      if (shows) condition.note(event);
      if (event.kind === 'evicted') history.note(event);
      observe(event);
      auditing.note(event);
    };
    const auditing = createAuditing({ system, stdout: options.stdout, onTrouble: (error) => condition.noteAudit(error) });
    const troubles = createTroubles(siblings);
    const condition = new Condition({
      clock,
      probes: { storage: () => storage.probe(), metadata: () => storage.records.ping() },
      anyUpstreamUp: () => chains !== undefined && anyUpstreamUp(chains),
      onChange: (reason, degraded, error) => {
        if (!degraded) observe({ kind: 'recovered', reason });
        else observe({ kind: 'degraded', reason, error });
        troubles.tell(condition.degradedHere());
      },
      elsewhere: () => troubles.elsewhere(),
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
    limits = () => current.config.cache;
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
    /** In the order in which they end: what others need comes after them. */
    const running: readonly Running[] = [
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
      { start: () => void (atRest = clock.after(AT_REST_MS, giveBackHeap)), quiet: () => atRest?.cancel() },
      { stop: () => notifications.stop() },
      { stop: () => auditing.stop() },
      { stop: () => documents.close() },
      { stop: () => current.upstreams.close() },
      { stop: () => storage.close() },
    ];
    await condition.start();
    for (const one of running) one.start?.();
    let draining = false;
    siblings.onDuty(() => {
      if (draining) return;
      for (const one of running) one.duty?.();
      if (siblings.count > 1) void takeSocket();
    });
    /** Who had it before may be about to end, or another server be there for good: then it is looked at for as long as that is. */
    async function takeSocket(): Promise<void> {
      try {
        if (draining || (await edge.openSocket())) return;
      } catch (error) {
        log.error('socket failed', { error: messageOf(error) });
      }
      clock.after(SOCKET_MS, () => void takeSocket());
    }

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
        draining = true;
        condition.drain();
        report({ kind: 'draining', requests: edge.connections() });
        for (const one of running) one.quiet?.();
        await edge.drain(current.config.http.draintimeout);
        for (const one of running) await one.stop?.();
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

/** An upstream that nobody has asked yet counts as up; where every route is offline there is none. */
function anyUpstreamUp({ config, upstreams }: Chains): boolean {
  const statuses = upstreams.statuses();
  if (statuses.length > 0) return statuses.some(({ up }) => up);
  return config.routes.some(
    ({ deny, policy, upstreams }) => !deny && !policy.offline && upstreams.some((name) => name !== HOSTED),
  );
}

/** Nobody listens to a command's store. */
const UNHEARD = {
  report: () => undefined,
  onDamaged: () => undefined,
  onBlobs: () => undefined,
  onMetadata: () => undefined,
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
  const { restoreBackup } = await import('./compose/restoring.ts');
  yield* restoreBackup(config, directory, { ...system, version, ...UNHEARD, limits: () => config.cache });
};

/** Asks every upstream of the configuration, each once: for `entrepot check`, which touches no store. */
export async function proveUpstreams(config: Config, signal: AbortSignal): Promise<readonly Proof[]> {
  const [{ provable }, { proveUpstream }] = await Promise.all([import('./compose/proofs.ts'), import('./admin/prove.ts')]);
  return Promise.all(provable(config, system).map((proved) => proveUpstream(system.clock, proved, signal)));
}
